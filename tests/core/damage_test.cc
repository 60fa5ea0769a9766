// Damaged bytes, a damaged or lost index, and clocks that are wrong: nothing of it is served, or removed, as if right.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/versions/version_cache.h"
#include "stagefs/history.h"
#include "stagefs/posix_env.h"
#include "stagefs/repositories.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"
#include "stagefs/workspaces.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

std::string PathOfVersion(Scene& scene, const std::string& hash) {
  return scene.repository().folder() + "/versions/" + hash.substr(0, 2) + '/' + hash.substr(2);
}

enum class Damage { kEmpty, kShort, kChanged, kChangedSilently };

void DamageFile(const std::string& path, Damage damage) {
  struct stat before {};
  REQUIRE(stat(path.c_str(), &before) == 0);
  chmod(path.c_str(), 0600);
  if (damage == Damage::kEmpty) REQUIRE(truncate(path.c_str(), 0) == 0);
  if (damage == Damage::kShort) REQUIRE(truncate(path.c_str(), 3) == 0);
  if (damage == Damage::kChanged || damage == Damage::kChangedSilently) {
    const UniqueFd fd = Value(OpenFd(path, O_WRONLY));
    Ok(WriteAllAt(fd.get(), "X", 1, 0));
    const timespec times[2] = {before.st_atim, before.st_mtim};
    if (damage == Damage::kChangedSilently) REQUIRE(futimens(fd.get(), times) == 0);
  }
  chmod(path.c_str(), 0400);
}

// Every page of the index that holds `text` becomes zeros.
void ZeroPagesWith(const std::string& path, const std::string& text) {
  constexpr size_t kPageBytes = 4096;
  const std::string bytes = ReadFile(path), zeros(kPageBytes, '\0');
  const UniqueFd fd = Value(OpenFd(path, O_RDWR));
  size_t zeroed = 0;
  for (size_t page = 1; (page + 1) * kPageBytes <= bytes.size(); ++page) {
    if (bytes.substr(page * kPageBytes, kPageBytes).find(text) == std::string::npos) continue;
    Ok(WriteAllAt(fd.get(), zeros.data(), kPageBytes, page * kPageBytes));
    ++zeroed;
  }
  REQUIRE(zeroed > 0);
}

// All times in the index moved, as if the clock were elsewhere now.
void MoveTimes(Scene& scene, int days) {
  const std::string by = std::to_string(days) + " * 86400000000000";
  const std::string sql = "UPDATE version SET renewed_ns = renewed_ns + " + by +
                          "; UPDATE commit_log SET time_ns = time_ns + " + by;
  REQUIRE(std::system(("sqlite3 " + scene.repository().folder() + "/stagefs.db '" + sql + "'").c_str()) == 0);
}

}  // namespace

TEST_CASE("Damage: a version known to be wrong fails; storing its content again mends it", "[core][embedded][damage]") {
  const auto damage = GENERATE(Damage::kEmpty, Damage::kShort, Damage::kChanged, Damage::kChangedSilently);
  INFO(static_cast<int>(damage));
  Scene scene;
  scene.Stage("a", "precious");
  const std::string hash = scene.Put("precious");
  const VersionInfo version = Value(scene.repository().FindVersion(hash));
  DamageFile(PathOfVersion(scene, hash), damage);
  if (damage != Damage::kChangedSilently) {
    CHECK(scene.repository().OpenVersion(version).error().code() == ErrorCode::kCorrupt);
    CHECK(scene.repository().OpenVersion(version.id).error().code() == ErrorCode::kCorrupt);
  }
  CHECK(Value(Fsck(scene.repository(), {})).damaged.size() == 1);
  CHECK(scene.repository().OpenVersion(version).error().code() == ErrorCode::kCorrupt);
  scene.Reopen();
  CHECK(scene.repository().OpenVersion(version).error().code() == ErrorCode::kCorrupt);
  CHECK(Value(scene.repository().versions().Locate(version.content.sha256)) == Presence::kNowhere);
  scene.Put("precious");
  CHECK(scene.Read("a") == "precious");
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
}

TEST_CASE("Damage: bytes that are found right say nothing of a sync that failed", "[core][embedded][damage]") {
  Scene scene;
  const std::string path = PathOfVersion(scene, scene.Put("precious"));
  REQUIRE(chmod(path.c_str(), 0400 | S_ISVTX | kSyncFailedMark) == 0);
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == (0400 | kSyncFailedMark));
}

TEST_CASE("Damage: every door replaces wrong bytes that nobody knew of", "[core][embedded][damage]") {
  const bool by_file = GENERATE(false, true);
  Scene scene;
  scene.Stage("a", "precious");
  const std::string hash = scene.Put("precious");
  DamageFile(PathOfVersion(scene, hash), Damage::kChangedSilently);
  if (by_file) scene.Write("b", "precious");
  else scene.Put("precious");
  CHECK(scene.Read("a") == "precious");
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
}

TEST_CASE("Damage: a file whose time alone is wrong is hashed once and served", "[core][embedded][damage]") {
  Scene scene;
  const VersionInfo version = Value(scene.repository().PutBytes("touched"));
  const std::string path = PathOfVersion(scene, ToHex(version.content.sha256));
  const timespec later[2] = {{0, UTIME_OMIT}, {4'000'000'000, 0}};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), later, 0) == 0);
  CHECK(scene.repository().OpenVersion(version));
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK(ToNs(info.st_mtim) == version.stored_ns);
}

TEST_CASE("Fsck: names damaged pages of the index", "[core][embedded][damage]") {
  Scene scene;
  for (int i = 0; i < 300; ++i) scene.Stage("file " + std::to_string(i), "content " + std::to_string(i));
  const std::string commit = scene.Commit();
  CHECK(Value(Fsck(scene.repository(), {})).index_damage.empty());
  const std::string path = scene.repository().folder() + "/stagefs.db";
  scene.Close();
  ZeroPagesWith(path, "file 150");
  const auto repository = Value(OpenRepository(scene.root(), scene.name()));
  const auto report = Value(Fsck(*repository, {}));
  CHECK_FALSE(report.index_damage.empty());
  CHECK_FALSE(report.Clean());
}

TEST_CASE("Index: one that is empty or gone is not a new repository", "[core][embedded][damage]") {
  const bool gone = GENERATE(false, true);
  Scene scene;
  scene.Stage("a", "kept");
  const std::string folder = scene.repository().folder(), path = folder + "/stagefs.db";
  const std::string hash = scene.Put("kept");
  scene.Close();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
  if (!gone) WriteFile(path, "");
  const auto opened = OpenRepository(scene.root(), scene.name());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code() == ErrorCode::kCorrupt);
  CHECK(opened.error().message().find("stagefs fsck t/r --rebuild") != std::string::npos);
  CHECK_FALSE(CreateRepository(scene.root(), scene.name()));
  CHECK(std::filesystem::exists(folder + "/versions/" + hash.substr(0, 2) + '/' + hash.substr(2)));
  const auto lines = Value(RebuildIndex(scene.root(), scene.name(), {}));
  CHECK_FALSE(lines.empty());
  const auto repository = Value(OpenRepository(scene.root(), scene.name()));
  CHECK(Value(repository->FindVersion(hash)).size_bytes == 4);
  CHECK(Value(Fsck(*repository, {})).Clean());
  CHECK(Value(Value(repository->index().Read())->ListBranches()).size() == 1);
}

TEST_CASE("Background check: finds what is wrong, goes on where it stopped, and begins anew after a disk error",
          "[core][embedded][damage]") {
  Scene scene;
  for (int i = 0; i < 40; ++i) scene.Put("content " + std::to_string(i));
  int rounds = 0;
  while (CheckSomeVersions(scene.repository())) ++rounds;
  CHECK(rounds == 3);
  scene.Reopen();
  CHECK_FALSE(CheckSomeVersions(scene.repository()));
  const std::string hash = scene.Put("content 7");
  DamageFile(PathOfVersion(scene, hash), Damage::kChangedSilently);
  CHECK_FALSE(CheckSomeVersions(scene.repository()));
  scene.repository().NoteDiskError();
  while (CheckSomeVersions(scene.repository())) {
  }
  const VersionInfo version = Value(scene.repository().FindVersion(hash));
  CHECK(scene.repository().OpenVersion(version).error().code() == ErrorCode::kCorrupt);
}

TEST_CASE("Rebuild: what can be read of a damaged index is saved, line by line", "[core][embedded][damage]") {
  Scene scene;
  for (int i = 0; i < 2000; ++i) scene.Stage("file " + std::to_string(i), "content");
  const std::string commit = scene.Commit("many files");
  scene.Put("of no row soon");
  const std::string path = scene.repository().folder() + "/stagefs.db";
  CHECK(RebuildIndex(scene.root(), scene.name(), {}).error().code() == ErrorCode::kBusy);
  scene.Close();
  CHECK(RebuildIndex(scene.root(), scene.name(), {}).error().code() == ErrorCode::kExists);
  ZeroPagesWith(path, "file 1500");
  const auto lines = Value(RebuildIndex(scene.root(), scene.name(), {}));
  bool commit_saved = false;
  for (const std::string& line : lines) commit_saved = commit_saved || line.find(commit) != std::string::npos;
  CHECK(commit_saved);
  scene.Reopen();
  const auto report = Value(Fsck(scene.repository(), {}));
  CHECK(report.index_damage.empty());
  CHECK(report.missing.empty());
  CHECK(scene.AllFiles().size() > 1000);
}

TEST_CASE("Gc: does not go by a clock that is far ahead of everything", "[core][embedded][damage]") {
  const int days_ahead = GENERATE(20, 400);
  Scene scene;
  const std::string unused = scene.Put("stored a second ago");
  MoveTimes(scene, -days_ahead);
  const auto report = Value(Gc(scene.repository(), 14));
  CHECK(report.versions == 0);
  CHECK(Value(scene.repository().FindVersion(unused)).size_bytes > 0);
}

TEST_CASE("Gc: bytes without a row are kept as long as others", "[core][embedded][damage]") {
  Scene scene;
  const std::string orphan = scene.repository().folder() + "/versions/aa/" + std::string(62, 'a');
  std::filesystem::create_directories(scene.repository().folder() + "/versions/aa");
  WriteFile(orphan, "orphan");
  CHECK(Value(Gc(scene.repository(), 14)).orphans == 0);
  CHECK(std::filesystem::exists(orphan));
  CHECK(Value(Gc(scene.repository(), 0)).orphans == 1);
  CHECK_FALSE(std::filesystem::exists(orphan));
}

TEST_CASE("Gc: what comes to be named while it sweeps stays", "[core][damage]") {
  Scene scene;
  const VersionInfo named = Value(scene.repository().PutBytes("named meanwhile"));
  const VersionInfo unused = Value(scene.repository().PutBytes("unused"));
  StagingIndex& index = scene.repository().index();
  const auto in_turn = [&](const auto& work) {
    const auto turn = Value(index.Begin(Durability::kProcessDeath));
    work(*turn);
    Ok(turn->Commit());
  };
  in_turn([](IndexTransaction& turn) { Ok(turn.BeginSweep()); });
  CHECK(Value(Value(index.Read())->ListUnused(INT64_MAX, 10)).size() == 2);
  Value(scene.workspace().StagePath(Value(RepoPath::Parse("a")), ToHex(named.content.sha256), {}));
  in_turn([&](IndexTransaction& turn) {
    CHECK_FALSE(Value(turn.SweepVersion(named.id, INT64_MAX)));
    CHECK(Value(turn.SweepVersion(unused.id, INT64_MAX)));
  });
  in_turn([](IndexTransaction& turn) { Ok(turn.EndSweep()); });
  CHECK(scene.Read("a") == "named meanwhile");
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
}

TEST_CASE("Gc: two at once both succeed", "[core][damage]") {
  Scene scene;
  for (int i = 0; i < 300; ++i) Value(scene.repository().PutBytes("unused " + std::to_string(i)));
  InKilledProcess([&] {
    std::vector<pid_t> pids;
    for (int i = 0; i < 2; ++i) {
      const pid_t pid = fork();
      if (pid == 0) {
        const auto repository = OpenRepository(scene.root(), scene.name());
        _exit(repository && Gc(**repository, 0) ? 0 : 1);
      }
      pids.push_back(pid);
    }
    for (const pid_t pid : pids) {
      int status = 0;
      if (waitpid(pid, &status, 0) != pid || status != 0) _exit(1);
    }
  });
  CHECK(Value(Value(scene.repository().index().Read())->ListUnused(INT64_MAX, 10)).empty());
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
}

TEST_CASE("Gc: stops where the repository moved", "[core][embedded][damage]") {
  Scene scene;
  const std::string stored = scene.Put("stored by the new index");
  {
    const VersionInfo version = Value(scene.repository().FindVersion(stored));
    const auto turn = Value(scene.repository().index().Begin(Durability::kPowerLoss));
    Ok(turn->EraseVersion(version.id));
    Ok(turn->PutMeta("moved", "elsewhere"));
    Ok(turn->Commit());
  }
  CHECK(Gc(scene.repository(), 0).error().code() == ErrorCode::kStale);
  CHECK(std::filesystem::exists(PathOfVersion(scene, stored)));
}

TEST_CASE("Cache: whether a copy is trusted is not a matter of clocks", "[core][damage]") {
  TempFolder folder;
  const auto cache = Value(VersionCache::Open(folder / "cache", 1 << 20));
  const Sha256 hash = HashOf("copy").sha256;
  const auto take = [&] {
    const std::string file = cache->incoming() + "/a";
    WriteFile(file, "copy");
    Ok(cache->Keep(hash, file));
  };
  take();
  CHECK(Value(cache->Find(hash)).valid());
  const std::string path = folder / "cache/" + ToHex(hash).substr(0, 2) + '/' + ToHex(hash).substr(2);
  // Wrong bytes with the time of an hour that is yet to come: a clock that was ahead wrote them.
  for (const time_t when : {NowNs() / 1'000'000'000 + 7200, NowNs() / 1'000'000'000 - 7200}) {
    chmod(path.c_str(), 0600);
    WriteFile(path, "COPY");
    chmod(path.c_str(), 0400);
    const timespec times[2] = {{0, UTIME_NOW}, {when, 0}};
    REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
    CHECK_FALSE(Value(Value(VersionCache::Open(folder / "cache", 1 << 20))->Find(hash)).valid());
    take();
  }
}

TEST_CASE("Cache: trimming leaves what is on its way in, and what is larger than the bound", "[core][damage]") {
  TempFolder folder;
  const auto cache = Value(VersionCache::Open(folder / "cache", 100));
  const std::string arriving = cache->incoming() + "/b", large = cache->incoming() + "/c", text(1000, 'x');
  WriteFile(arriving, "arriving");
  chmod(arriving.c_str(), 0400);
  WriteFile(large, text);
  Ok(cache->Keep(HashOf(text).sha256, large));
  CHECK(std::filesystem::exists(arriving));
  CHECK(Value(cache->Find(HashOf(text).sha256)).valid());
}

TEST_CASE("Create: what fails leaves nothing", "[core][damage]") {
  TempFolder root;
  const RepositoryName name{"t", "r"};
  CHECK_FALSE(CreateRepository(root.path(), name, {"", "nonsense"}));
  CHECK_FALSE(CreateRepository(root.path(), name, {"", "s3://bucket/x?endpoint=nonsense"}));
  CHECK(Value(ListRepositories(root.path())).empty());
  CHECK_FALSE(std::filesystem::exists(root / "t"));
  CHECK(OpenRepository(root.path(), name).error().code() == ErrorCode::kNotFound);
  Ok(CreateRepository(root.path(), name));
}

TEST_CASE("Places: a URL never means what this disk has by the same name", "[core][damage]") {
  Scene scene;
  scene.Close();
  const RepositoryPlaces elsewhere{"postgresql://nowhere/stagefs", ""};
  CHECK(OpenRepository(scene.root(), scene.name(), elsewhere).error().code() == ErrorCode::kConflict);
  CHECK(DeleteRepository(scene.root(), scene.name(), elsewhere).error().code() == ErrorCode::kConflict);
  CHECK(OpenRepository(scene.root(), scene.name(), {"", "s3://bucket"}).error().code() == ErrorCode::kConflict);
  scene.Reopen();
}

}  // namespace stagefs::test
