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
#include <unordered_map>

#include "stagefs/posix_env.h"
#include "stagefs/text.h"

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

// As tar names what it is given: without what leads out of the folder it is in.
std::string NameOf(const std::string& path) {
  std::string name = std::filesystem::path(path).lexically_normal().string();
  while (name.starts_with("../")) name.erase(0, 3);
  name.erase(0, name.find_first_not_of('/'));
  while (name.ends_with('/')) name.pop_back();
  return name == "." || name == ".." ? "" : name;
}

// The files of a folder, sorted by their names; a folder that cannot be read keeps no others from it.
class FolderWalk {
 public:
  explicit FolderWalk(std::vector<std::string>* failed) : failed_(failed) {}

  std::vector<Source> Run(const std::string& path, const std::string& name) {
    waiting_.push_back({path, name});
    while (!waiting_.empty()) {
      const Source folder = std::move(waiting_.back());
      waiting_.pop_back();
      Read(folder);
    }
    std::sort(files_.begin(), files_.end(), [](const Source& a, const Source& b) { return a.name < b.name; });
    return std::move(files_);
  }

 private:
  void Read(const Source& folder) {
    std::error_code error;
    std::filesystem::directory_iterator at(folder.path, error), end;
    for (; !error && at != end; at.increment(error)) {
      const std::string path = at->path().string(), base = at->path().filename().string();
      Take({path, folder.name.empty() ? base : folder.name + '/' + base});
    }
    if (error) failed_->push_back(ToDisplayUtf8(folder.path) + ": " + error.message());
  }

  void Take(Source found) {
    std::error_code error, of_target;
    const auto type = std::filesystem::symlink_status(found.path, error).type();
    const auto target = std::filesystem::status(found.path, of_target).type();
    if (!error && target == std::filesystem::file_type::regular) {
      files_.push_back(std::move(found));
    } else if (!error && type == std::filesystem::file_type::directory) {
      waiting_.push_back(std::move(found));
    } else {
      const std::string why = error                                             ? error.message()
                              : target == std::filesystem::file_type::directory ? "a symbolic link to a folder"
                              : target == std::filesystem::file_type::not_found ? "a symbolic link to nothing"
                                                                                : "neither a file nor a folder";
      failed_->push_back(ToDisplayUtf8(found.path) + ": " + why);
    }
  }

  std::vector<std::string>* failed_;
  std::vector<Source> waiting_, files_;
};

// kConflict where two files would have one name.
Result<std::vector<Source>> Walk(const std::vector<std::string>& paths, std::vector<std::string>* failed) {
  std::vector<Source> sources;
  for (const std::string& path : paths) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (std::filesystem::is_regular_file(status)) {
      sources.push_back({path, NameOf(path)});
    } else if (std::filesystem::is_directory(status)) {
      auto found = FolderWalk(failed).Run(path, paths.size() == 1 ? "" : NameOf(path));
      std::move(found.begin(), found.end(), std::back_inserter(sources));
    } else {
      failed->push_back(ToDisplayUtf8(path) + ": " + (error ? error.message() : "neither a file nor a folder"));
    }
  }
  std::unordered_map<std::string_view, std::string_view> named;
  std::vector<Source> once;
  std::error_code error;
  for (const Source& source : sources) {
    const auto [other, is_new] = named.emplace(source.name, source.path);
    if (is_new) once.push_back(source);
    // A folder may be given twice, however that is spelt.
    else if (!std::filesystem::equivalent(other->second, source.path, error)) {
      return Error(ErrorCode::kInvalidArgument, ToDisplayUtf8(other->second) + " and " + ToDisplayUtf8(source.path) +
                                                    " would both be called " + ToDisplayUtf8(source.name) +
                                                    ": put them one by one");
    }
  }
  return once;
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
  STAGEFS_ASSIGN_OR_RETURN(const std::vector<Source> sources, Walk(paths, &failed));
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
