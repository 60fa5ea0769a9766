// Workloads on core alone, and what SQLite does with the same rows.
// Usage: stage_bench know ROOT NS/REPO COUNT | batch ROOT NS/REPO MANIFEST | rows FOLDER MANIFEST |
// merges ROOT NS/REPO COUNT: the repository is new, and may have its index on PostgreSQL.
// Prints one row a workload: name, operations, seconds, microseconds an operation.
#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/index/sqlite/sqlite.h"
#include "stagefs/byte_source.h"
#include "stagefs/commit.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "stagefs/posix_env.h"
#include "stagefs/workspace.h"
#include "stagefs/history.h"
#include "stagefs/repositories.h"
#include "stagefs/workspaces.h"

namespace stagefs {
namespace {

constexpr int64_t kGroup = 50'000;

template <class T>
T OrDie(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "stage_bench: %s\n", result.error().message().c_str());
  std::exit(1);
}

class Row {
 public:
  explicit Row(const char* name) : name_(name) {}
  void Print(int64_t operations) const {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    std::printf("%-12s %9lld %9.3f s %9.2f us\n", name_, static_cast<long long>(operations), seconds,
                seconds * 1e6 / static_cast<double>(operations));
  }

 private:
  const char* const name_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Makes versions with the contents "0\n", "1\n", … known to the index; their bytes are not stored.
void Know(Repository& repository, int64_t count) {
  const Row row("know");
  for (int64_t begin = 0; begin < count; begin += kGroup) {
    const auto transaction = OrDie(repository.index().Begin(Durability::kProcessDeath));
    for (int64_t i = begin; i < std::min(begin + kGroup, count); ++i) {
      const std::string content = std::to_string(i) + '\n';
      VersionInfo version;
      ContentHasher hasher;
      hasher.Update(content.data(), content.size());
      version.content = hasher.Finish();
      version.size_bytes = content.size();
      version.stored_ns = NowNs();
      version.renewed_ns = version.stored_ns + 1;  // As put makes it.
      version.synced = true;
      OrDie(transaction->AddVersion(version));
    }
    if (!transaction->Commit()) std::exit(1);
  }
  row.Print(count);
}

// What staging must at least cost: the paths of a manifest (`HASH  PATH` lines) as sorted rows of an empty
// index, prepared, in one transaction, with the sync that makes it durable.
void Rows(const std::string& folder, const std::string& manifest) {
  std::vector<std::string> paths;
  std::ifstream lines(manifest);
  for (std::string line; std::getline(lines, line);) paths.push_back(line.substr(66));
  std::sort(paths.begin(), paths.end());
  const std::string path = folder + "/rows.db";
  OrDie(OpenSqliteStagingIndex(path));
  const auto connection = OrDie(SqliteConnection::Open(path, {.read_only = false, .cache_kib = 32 * 1024}));
  const Row row("rows");
  const auto run = [&](const char* sql) {
    if (!connection->Execute(sql)) std::exit(1);
  };
  run("BEGIN IMMEDIATE");
  std::string directory;
  int64_t number = 0, parent = 1;
  for (const std::string& entry : paths) {
    const size_t slash = entry.rfind('/');
    if (entry.compare(0, slash, directory) != 0) {
      directory = entry.substr(0, slash);
      ++parent;
    }
    auto insert =
        OrDie(connection->Prepare("INSERT INTO staged_entry (workspace, folder, name, kind, state, scratch, "
                                  "version, size, executable, mtime_ns)"
                                  " VALUES (1, ?1, ?2, 1, 1, 0, ?3, ?4, 0, ?5)"));
    insert.BindInt(1, parent).BindBlob(2, std::string_view(entry).substr(slash + 1)).BindInt(3, ++number);
    if (!insert.BindInt(4, 7).BindInt(5, 1'700'000'000'000'000'000).Run()) std::exit(1);
  }
  run("COMMIT");
  if (!SyncFd(OrDie(OpenFd(path + "-wal", O_RDWR)).get(), "log")) std::exit(1);
  row.Print(number);
}

void Batch(Repository& repository, const std::string& manifest) {
  const WorkspaceInfo info =
      OrDie(Workspaces(repository).Create(std::string(kDefaultBranch), std::nullopt, std::nullopt));
  const auto workspace = OrDie(Workspace::Open(repository, info.uid));
  const UniqueFd fd = OrDie(OpenFd(manifest, O_RDONLY));
  const auto source = NewFileSource(fd.get());
  Workspace::ManifestRequest request;
  request.source = source.get();
  const Row row("batch");
  row.Print(OrDie(workspace->StageManifest(request)).entries);
}

constexpr int kFiles = 1'000, kLookUps = 20'000;

RepoPath PathOfFile(int number) { return OrDie(RepoPath::Parse("folder/" + std::to_string(number))); }

// What a new workspace of the default branch shows, in an order of its own.
void LookUps(Repository& repository, const char* name) {
  const WorkspaceInfo info =
      OrDie(Workspaces(repository).Create(std::string(kDefaultBranch), std::nullopt, std::nullopt));
  const auto workspace = OrDie(Workspace::Open(repository, info.uid));
  OrDie(workspace->tree().Find(PathOfFile(0)));
  const Row row(name);
  for (int i = 0; i < kLookUps; ++i) OrDie(workspace->tree().Find(PathOfFile(i * 7919 % kFiles)));
  row.Print(kLookUps);
}

// Look-ups after one merge, and after `count`: each of a branch that changed a file since the one before.
void Merges(Repository& repository, int64_t count) {
  const std::string main(kDefaultBranch);
  const Author author{"Ann", "ann@example.org"};
  const VersionInfo versions[] = {OrDie(repository.PutBytes("one")), OrDie(repository.PutBytes("two"))};
  const auto hash = [&](int64_t i) { return ToHex(versions[i % 2].content.sha256); };
  const auto stage = [&](const std::string& branch, int64_t first, int64_t last, int64_t content) {
    const WorkspaceInfo info = OrDie(Workspaces(repository).Create(branch, std::nullopt, std::nullopt));
    const auto workspace = OrDie(Workspace::Open(repository, info.uid));
    for (int64_t i = first; i < last; ++i) OrDie(workspace->StagePath(PathOfFile(i), hash(content), {}));
    OrDie(CommitStaged(*workspace, "a change", author, std::nullopt));
  };
  stage(main, 0, kFiles, 0);
  if (!History(repository).CreateBranch("side", main)) std::exit(1);
  for (int64_t i = 0; i < count; ++i) {
    stage("side", i % kFiles, i % kFiles + 1, i / kFiles + 1);
    OrDie(History(repository).Merge(main, "side", "merge", author));
    if (i == 0) LookUps(repository, "one merge");
  }
  LookUps(repository, "all merges");
}

}  // namespace
}  // namespace stagefs

int main(int argc, char** argv) {
  using namespace stagefs;
  const std::string work = argc > 1 ? argv[1] : "";
  if (work == "rows" && argc == 4) {
    Rows(argv[2], argv[3]);
    return 0;
  }
  if (argc != 5 || (work != "know" && work != "batch" && work != "merges")) {
    std::fprintf(stderr, "usage: see the head of stage_bench.cc\n");
    return 2;
  }
  const RepositoryName name = OrDie(RepositoryName::Parse(argv[3]));
  const char* const index = std::getenv("STAGEFS_INDEX");
  const auto repository = OrDie(OpenRepository(argv[2], name, {index != nullptr ? index : "", ""}));
  if (work == "know") Know(*repository, std::atoll(argv[4]));
  else if (work == "merges") Merges(*repository, std::atoll(argv[4]));
  else Batch(*repository, argv[4]);
  return 0;
}
