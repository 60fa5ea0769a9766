#include "put_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <optional>
#include <thread>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr unsigned kThreadsMax = 8;

struct Source {
  std::string path;  // On this disk.
  std::string name;  // As printed.
};

Result<IncomingFile> CopyIn(const Repository& repository, const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
  STAGEFS_ASSIGN_OR_RETURN(IncomingFile file, repository.NewIncoming());
  const Status copied = file.CopyFrom(fd.get());
  if (!copied) return copied.error().In("copy " + path);
  file.Close();
  return file;
}

std::vector<Source> Walk(const std::vector<std::string>& paths, std::vector<std::string>* failed) {
  std::vector<Source> sources;
  for (const std::string& path : paths) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (std::filesystem::is_regular_file(status)) {
      sources.push_back({path, std::filesystem::path(path).filename().string()});
    } else if (std::filesystem::is_directory(status)) {
      const size_t first = sources.size();
      for (std::filesystem::recursive_directory_iterator it(path, error), end; !error && it != end;
           it.increment(error)) {
        if (it->is_symlink(error) || !it->is_regular_file(error)) continue;
        const std::string found = it->path().string();
        sources.push_back({found, it->path().lexically_relative(path).string()});
      }
      if (error) failed->push_back(path + ": " + error.message());
      std::sort(sources.begin() + static_cast<ptrdiff_t>(first), sources.end(),
                [](const Source& a, const Source& b) { return a.name < b.name; });
    } else {
      failed->push_back(path + ": " + (error ? error.message() : "neither a file nor a folder"));
    }
  }
  return sources;
}

}  // namespace

// Hashing is most of the work, so each processor takes files until there are none.
std::vector<std::optional<Result<IncomingFile>>> CopyGroup(const Repository& repository,
                                                           const std::vector<std::string>& paths) {
  std::vector<std::optional<Result<IncomingFile>>> files(paths.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i; (i = next.fetch_add(1)) < paths.size();) files[i] = CopyIn(repository, paths[i]);
  };
  std::vector<std::jthread> threads;
  const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1u, kThreadsMax);
  for (unsigned i = 1; i < count && i < paths.size(); ++i) threads.emplace_back(work);
  work();
  threads.clear();
  return files;
}

namespace {

// Files on their way into the store, and the names they are told under.
struct Group {
  std::vector<std::string> names;
  std::future<Result<std::vector<VersionInfo>>> versions;
};

}  // namespace

// While one group is synced and adopted, the next is copied and hashed.
Result<std::vector<std::string>> PutFiles(
    Repository& repository, const std::vector<std::string>& paths,
    const std::function<Status(const std::string&, const VersionInfo&)>& stored,
    const std::function<void(int64_t, int64_t)>& progress) {
  std::vector<std::string> failed;
  const std::vector<Source> sources = Walk(paths, &failed);
  Group adopting;
  const auto finish = [&]() -> Status {
    if (!adopting.versions.valid()) return {};
    STAGEFS_ASSIGN_OR_RETURN(const auto versions, adopting.versions.get());
    for (size_t i = 0; i < versions.size(); ++i) {
      STAGEFS_RETURN_IF_ERROR(stored(adopting.names[i], versions[i]));
    }
    return {};
  };
  for (size_t begin = 0; begin < sources.size(); begin += kGroupFilesMax) {
    const size_t end = std::min(begin + kGroupFilesMax, sources.size());
    std::vector<std::string> paths_of_group;
    for (size_t i = begin; i < end; ++i) paths_of_group.push_back(sources[i].path);
    auto copied = CopyGroup(repository, paths_of_group);
    STAGEFS_RETURN_IF_ERROR(finish());
    adopting.names.clear();
    std::vector<IncomingFile> files;
    for (size_t i = begin; i < end; ++i) {
      Result<IncomingFile>& file = *copied[i - begin];
      if (!file && file.error().code() == ErrorCode::kNoSpace) return file.error();
      if (!file) {
        failed.push_back(file.error().message());
        continue;
      }
      files.push_back(std::move(*file));
      adopting.names.push_back(sources[i].name);
    }
    progress(static_cast<int64_t>(end), static_cast<int64_t>(sources.size()));
    if (files.empty()) continue;
    adopting.versions = std::async(std::launch::async, [&repository, files = std::move(files)]() mutable {
      return repository.Adopt(std::move(files));
    });
  }
  STAGEFS_RETURN_IF_ERROR(finish());
  return failed;
}

std::string SumLine(const std::string& hash, const std::string& path, bool zero) {
  if (zero) return hash + "  " + path + '\0';
  std::string escaped;
  for (const char c : path) {
    if (c == '\\') escaped += "\\\\";
    else if (c == '\n') escaped += "\\n";
    else if (c == '\r') escaped += "\\r";
    else escaped += c;
  }
  return (escaped == path ? "" : "\\") + hash + "  " + escaped + '\n';
}

}  // namespace stagefs
