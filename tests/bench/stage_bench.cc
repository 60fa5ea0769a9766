// Workloads on core alone. Usage: stage_bench fill ROOT NS/REPO COUNT | batch ROOT NS/REPO MANIFEST
// Prints one row a workload: name, operations, seconds, microseconds an operation.
#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "stagefs/posix_env.h"
#include "stagefs/workspace.h"

namespace stagefs {
namespace {

constexpr int64_t kGroup = 500;

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

// Versions with the contents "0\n", "1\n", … as `seq` writes them, one file each.
void Fill(Repository& repository, int64_t count) {
  const Row row("fill");
  for (int64_t begin = 0; begin < count; begin += kGroup) {
    std::vector<IncomingFile> files;
    for (int64_t i = begin; i < std::min(begin + kGroup, count); ++i) {
      files.push_back(OrDie(repository.NewIncoming()));
      if (!files.back().Write(std::to_string(i) + '\n')) std::exit(1);
    }
    OrDie(repository.Adopt(std::move(files)));
  }
  row.Print(count);
}

void Batch(Repository& repository, const std::string& manifest) {
  const WorkspaceInfo info =
      OrDie(repository.CreateWorkspace(std::string(kDefaultBranch), std::nullopt, std::nullopt));
  const auto workspace = OrDie(Workspace::Open(repository, info.uid));
  const UniqueFd fd = OrDie(OpenFd(manifest, O_RDONLY));
  const auto source = NewFileSource(fd.get());
  Workspace::ManifestRequest request;
  request.source = source.get();
  const Row row("batch");
  row.Print(OrDie(workspace->StageManifest(request)).entries);
}

}  // namespace
}  // namespace stagefs

int main(int argc, char** argv) {
  using namespace stagefs;
  if (argc != 5) {
    std::fprintf(stderr, "usage: stage_bench fill ROOT NS/REPO COUNT | batch ROOT NS/REPO MANIFEST\n");
    return 2;
  }
  const auto repository = OrDie(Repository::Open(argv[2], OrDie(RepositoryName::Parse(argv[3]))));
  if (std::string(argv[1]) == "fill") {
    Fill(*repository, std::atoll(argv[4]));
  } else {
    Batch(*repository, argv[4]);
  }
  return 0;
}
