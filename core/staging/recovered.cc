#include "stagefs/recovered.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "durable/durable_change.h"
#include "stagefs/posix_env.h"
#include "stagefs/workspace.h"

namespace stagefs {
namespace {

constexpr std::string_view kListHead = "stagefs recovered 1\n";
constexpr size_t kNameBytesMax = 255;
// So many records of files that are gone a list may keep, besides as many as there are files.
constexpr size_t kStaleRecordsMax = 64;
constexpr uint64_t kNumberMax = 1'000'000'000'000'000;  // A file of 0.1.0 may be called anything.

struct RecoveredList {
  bool ours = false;         // There is a list, and it is no file of 0.1.0.
  bool foreign = false;      // There is such a file, or folder.
  size_t whole_bytes = 0;    // Up to the end of the last whole record.
  std::map<std::string, std::string> paths;
};

std::string ListOf(const std::string& folder) { return folder + "/list"; }

Result<RecoveredList> ReadList(const std::string& folder) {
  RecoveredList list;
  struct stat found {};
  if (lstat(ListOf(folder).c_str(), &found) != 0) {
    return errno == ENOENT ? Result<RecoveredList>(list) : ErrnoError("look at " + ListOf(folder));
  }
  if (!S_ISREG(found.st_mode)) {
    list.foreign = true;
    return list;
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(ListOf(folder)));
  if (!text.starts_with(kListHead)) {
    list.foreign = true;
    return list;
  }
  list.ours = true;
  list.whole_bytes = kListHead.size();
  for (;;) {
    const size_t name_end = text.find('\0', list.whole_bytes);
    const size_t path_end = name_end == std::string::npos ? name_end : text.find('\0', name_end + 1);
    if (path_end == std::string::npos) return list;
    const std::string name = text.substr(list.whole_bytes, name_end - list.whole_bytes);
    if (!name.empty()) list.paths[name] = text.substr(name_end + 1, path_end - name_end - 1);
    list.whole_bytes = path_end + 1;
  }
}

std::string RecordOf(const std::string& name, const std::string& path) { return name + '\0' + path + '\0'; }

// Prepared elsewhere: any name in the folder may be a file of 0.1.0.
Status WriteList(const Repository& repository, const std::string& folder,
                 const std::map<std::string, std::string>& paths) {
  std::string text(kListHead);
  for (const auto& [name, path] : paths) text += RecordOf(name, path);
  const std::string fresh = repository.incoming() + "/recovered-list";
  {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(fresh, O_WRONLY | O_CREAT | O_TRUNC));
    STAGEFS_RETURN_IF_ERROR(WriteAll(fd.get(), text.data(), text.size()));
    STAGEFS_RETURN_IF_ERROR(SyncFd(fd.get(), fresh));
  }
  STAGEFS_RETURN_IF_ERROR(RenameFile(fresh, ListOf(folder)));
  return SyncFolder(folder);
}

// Over what a crash may have left of a record.
Status AddToList(const Repository& repository, const std::string& folder, const RecoveredList& list,
                 const std::string& name, const std::string& path) {
  if (!list.ours) return WriteList(repository, folder, {{name, path}});
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(ListOf(folder), O_WRONLY));
  if (ftruncate(fd.get(), static_cast<off_t>(list.whole_bytes)) != 0) return ErrnoError("shorten " + ListOf(folder));
  const std::string record = RecordOf(name, path);
  STAGEFS_RETURN_IF_ERROR(WriteAllAt(fd.get(), record.data(), record.size(), list.whole_bytes));
  if (SyncFd(fd.get(), ListOf(folder))) return {};
  // No later sync would reach what this one lost.
  auto paths = list.paths;
  paths[name] = path;
  return WriteList(repository, folder, paths);
}

// One at a time, of all processes, moves files in or removes them.
Result<UniqueFd> LockRecovered(const Repository& repository) {
  const std::string folder = repository.folder() + "/recovered";
  if (access(folder.c_str(), F_OK) != 0) {
    STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
    STAGEFS_RETURN_IF_ERROR(SyncFolder(repository.folder()));
  }
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenFd(folder, O_RDONLY | O_DIRECTORY));
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoError("lock " + folder);
  }
  return fd;
}

uint64_t NumberOf(const std::string& name) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  return parsed.ec == std::errc() && *parsed.ptr == '-' && number < kNumberMax ? number : 0;
}

// NUMBER-NAME, no longer than a name may be, and not cut within a character.
std::string FlatName(uint64_t number, const std::string& path) {
  const std::string head = std::to_string(number) + '-';
  const std::string name = path.substr(path.rfind('/') + 1);
  size_t size = std::min(name.size(), kNameBytesMax - head.size());
  const auto continues = [&](size_t at) { return (static_cast<unsigned char>(name[at]) & 0xC0) == 0x80; };
  if (size < name.size() && continues(size)) {
    size_t begin = size;
    while (begin > 0 && size - begin < 4 && continues(begin)) --begin;
    if (!continues(begin)) size = begin;
  }
  return head + name.substr(0, size);
}

Result<RecoveredFile> Find(Repository& repository, const WorkspaceInfo& workspace, const std::string& name_or_path) {
  STAGEFS_RETURN_IF_ERROR(RepoPath::Parse(name_or_path).WithoutValue());
  STAGEFS_ASSIGN_OR_RETURN(const auto files, ListRecovered(repository, workspace));
  const RecoveredFile* found = nullptr;
  for (const RecoveredFile& file : files) {
    if (file.name == name_or_path) return file;
    if (file.path == name_or_path && (!found || NumberOf(found->name) < NumberOf(file.name))) found = &file;
  }
  if (found) return *found;
  return Error(ErrorCode::kNotFound, "nothing at " + ToDisplayUtf8(name_or_path) + " was refused or recovered");
}

}  // namespace

std::string RecoveredFolder(const Repository& repository, const WorkspaceInfo& workspace) {
  return repository.folder() + "/recovered/" + workspace.uid;
}

Result<std::vector<RecoveredFile>> ListRecovered(Repository& repository, const WorkspaceInfo& workspace) {
  const std::string folder = RecoveredFolder(repository, workspace);
  std::vector<RecoveredFile> files;
  STAGEFS_ASSIGN_OR_RETURN(const RecoveredList list, ReadList(folder));
  std::vector<std::string> folders = {""};  // Below it, each with its slash.
  while (!folders.empty()) {
    const std::string below = std::move(folders.back());
    folders.pop_back();
    const auto names = ListNames(folder + '/' + below);
    if (!names && names.error().code() == ErrorCode::kNotFound) continue;
    if (!names) return names.error();
    for (const std::string& leaf : *names) {
      const std::string name = below + leaf;
      struct stat found {};
      if ((list.ours && name == "list") || lstat((folder + '/' + name).c_str(), &found) != 0) continue;
      if (S_ISDIR(found.st_mode)) folders.push_back(name + '/');
      if (!S_ISREG(found.st_mode)) continue;
      const size_t slash = std::min(name.find('/'), name.size());
      const auto record = list.paths.find(name.substr(0, slash));
      files.push_back({name, record == list.paths.end() ? name : record->second + name.substr(slash)});
    }
  }
  std::sort(files.begin(), files.end(), [](const RecoveredFile& a, const RecoveredFile& b) {
    return a.path != b.path ? a.path < b.path : NumberOf(a.name) < NumberOf(b.name);
  });
  return files;
}

Result<std::vector<RecoveredFolderOfNobody>> ListRecoveredOfNobody(Repository& repository) {
  const std::string above = repository.folder() + "/recovered";
  std::vector<RecoveredFolderOfNobody> found;
  const auto names = ListNames(above);
  if (!names && names.error().code() == ErrorCode::kNotFound) return found;
  if (!names) return names.error();
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  for (const std::string& name : *names) {
    STAGEFS_ASSIGN_OR_RETURN(const auto workspace, reader->FindWorkspace(name));
    if (workspace && workspace->uid == name) continue;
    const auto files = ListNames(above + '/' + name);
    if (!files && files.error().code() == ErrorCode::kNotDirectory) continue;
    if (!files) return files.error();
    const auto list = std::count(files->begin(), files->end(), "list");
    const size_t others = files->size() - static_cast<size_t>(list);
    if (others > 0) found.push_back({above + '/' + name, others});
  }
  return found;
}

Status AddRecovered(Repository& repository, const std::string& workspace, const std::string& path,
                    const std::string& file) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd lock, LockRecovered(repository));
  const std::string above = repository.folder() + "/recovered";
  const std::string folder = above + '/' + workspace;
  if (access(folder.c_str(), F_OK) != 0) {
    STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
    STAGEFS_RETURN_IF_ERROR(SyncFolder(above));
  }
  STAGEFS_ASSIGN_OR_RETURN(RecoveredList list, ReadList(folder));
  STAGEFS_ASSIGN_OR_RETURN(const auto names, ListNames(folder));
  uint64_t number = 0;
  for (const std::string& name : names) number = std::max(number, NumberOf(name));
  for (const auto& [name, recorded] : list.paths) number = std::max(number, NumberOf(name));
  if (list.foreign) {
    const std::string name = FlatName(++number, "list");
    STAGEFS_RETURN_IF_ERROR(RenameFile(ListOf(folder), folder + '/' + name));
    STAGEFS_RETURN_IF_ERROR(WriteList(repository, folder, {{name, "list"}}));
    STAGEFS_ASSIGN_OR_RETURN(list, ReadList(folder));
  }
  const std::string name = FlatName(++number, path);
  STAGEFS_RETURN_IF_ERROR(AddToList(repository, folder, list, name, path));
  STAGEFS_RETURN_IF_ERROR(RenameFile(file, folder + '/' + name));
  return SyncFolder(folder);
}

Status RetryRecovered(Repository& repository, const WorkspaceInfo& info, const std::string& name_or_path) {
  STAGEFS_ASSIGN_OR_RETURN(const RecoveredFile file, Find(repository, info, name_or_path));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath target, RepoPath::Parse(file.path));
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(RecoveredFolder(repository, info) + '/' + file.name, O_RDONLY));
  STAGEFS_ASSIGN_OR_RETURN(IncomingFile copy, repository.NewIncoming());
  STAGEFS_RETURN_IF_ERROR(copy.CopyFrom(fd.get()));
  STAGEFS_ASSIGN_OR_RETURN(const auto workspace, Workspace::Open(repository, info.uid));
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, repository.Adopt(std::move(copy)));
  STAGEFS_RETURN_IF_ERROR(workspace->StagePath(target, ToHex(version.content.sha256), {}).WithoutValue());
  return DismissRecovered(repository, info, file.name);
}

Status DismissRecovered(Repository& repository, const WorkspaceInfo& workspace, const std::string& name_or_path) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd lock, LockRecovered(repository));
  STAGEFS_ASSIGN_OR_RETURN(const RecoveredFile file, Find(repository, workspace, name_or_path));
  const std::string folder = RecoveredFolder(repository, workspace);
  std::string at = folder + '/' + file.name;
  STAGEFS_RETURN_IF_ERROR(RemoveFile(at));
  // Folders of 0.1.0 that held it alone go with it.
  for (at.resize(at.rfind('/')); at.size() > folder.size(); at.resize(at.rfind('/'))) {
    if (rmdir(at.c_str()) != 0) break;
  }
  // The file is gone whatever becomes of the list.
  auto list = ReadList(folder);
  const auto names = ListNames(folder);
  if (!list || !list->ours || !names) return {};
  if (names->size() == 1) {
    unlink(ListOf(folder).c_str());
    rmdir(folder.c_str());
  } else if (list->paths.size() > 2 * names->size() + kStaleRecordsMax) {
    std::erase_if(list->paths, [&](const auto& record) {
      return !std::binary_search(names->begin(), names->end(), record.first);
    });
    (void)WriteList(repository, folder, list->paths);
  }
  return {};
}

}  // namespace stagefs
