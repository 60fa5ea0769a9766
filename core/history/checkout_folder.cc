#include "checkout_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "stagefs/checkout.h"
#include "stagefs/repo_path.h"

namespace stagefs {
namespace {

constexpr size_t kKnownMax = 256;
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr size_t kTemporaryDigits = 16;

const std::string kTemporaryPrefix = std::string(kCheckoutStateFile) + '~';

bool IsTemporary(const std::string& name) {
  return name.size() == kTemporaryPrefix.size() + kTemporaryDigits && name.starts_with(kTemporaryPrefix) &&
         name.find_first_not_of("0123456789abcdef", kTemporaryPrefix.size()) == std::string::npos;
}

bool IsMountPoint(int fd) {
  struct statx info {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &info) != 0) return false;
  return (info.stx_attributes_mask & info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

std::pair<std::string, std::string> SplitPath(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

CheckoutFolder::CheckoutFolder(std::string path, UniqueFd fd, dev_t device)
    : path_(std::move(path)),
      top_(std::make_shared<const UniqueFd>(std::move(fd))),
      device_(device),
      temporaries_(kTemporaryPrefix + RandomHex().substr(0, kTemporaryDigits - 8)) {}

Result<std::unique_ptr<CheckoutFolder>> CheckoutFolder::Open(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenFd(path, O_RDONLY | O_DIRECTORY));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return ErrnoError(path);
  if (IsMountPoint(fd.get())) {
    return Error(ErrorCode::kInvalidArgument, path + " is a mount point: name a folder in it, or another one");
  }
  // Some network file systems lock no folders; there nobody is told of the other.
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return Error(ErrorCode::kBusy, "another checkout is at work in " + path + ": wait for its end");
  }
  return std::unique_ptr<CheckoutFolder>(new CheckoutFolder(path, std::move(fd), info.st_dev));
}

Error CheckoutFolder::ErrnoAt(const std::string& path) const {
  return ErrnoError(path.empty() ? path_ : path_ + '/' + path);
}

std::string CheckoutFolder::NewTemporary() {
  char number[16];
  std::snprintf(number, sizeof number, "%08x", temporary_.fetch_add(1));
  return temporaries_ + number;
}

Result<CheckoutFolder::Way> CheckoutFolder::Find(const std::string& path) {
  if (path.empty()) {
    RemoveTemporariesIn(path, fd());
    return Way{top_, ""};
  }
  {
    auto known = known_.Lock();
    if (const auto at = known->find(path); at != known->end()) return Way{at->second, ""};
  }
  const auto [above, name] = SplitPath(path);
  STAGEFS_ASSIGN_OR_RETURN(const Way way, Find(above));
  if (!way.fd) return way;
  UniqueFd fd(openat(way.fd->get(), name.c_str(), kFolderFlags));
  if (!fd.valid() && errno == ENOENT) return Way();
  if (!fd.valid() && (errno == ENOTDIR || errno == ELOOP)) return Way{nullptr, path};
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) return ErrnoAt(path);
  if (info.st_dev != device_) {
    return Error(ErrorCode::kInvalidArgument, path_ + '/' + ToDisplayUtf8(path) +
                                                  " is on another disk: unmount it, or name another folder");
  }
  RemoveTemporariesIn(path, fd.get());
  auto shared = std::make_shared<const UniqueFd>(std::move(fd));
  auto known = known_.Lock();
  if (known->size() >= kKnownMax) known->clear();
  (*known)[path] = shared;
  return Way{std::move(shared), ""};
}

Result<CheckoutFolder::SharedFd> CheckoutFolder::Make(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(Way way, Find(path));
  if (way.fd) return way.fd;
  if (way.blocked_by.empty()) {
    const auto [above, name] = SplitPath(path);
    STAGEFS_ASSIGN_OR_RETURN(const SharedFd folder, Make(above));
    if (mkdirat(folder->get(), name.c_str(), 0777) != 0 && errno != EEXIST) return ErrnoAt(path);
    STAGEFS_ASSIGN_OR_RETURN(way, Find(path));
    if (way.fd) return way.fd;
  }
  return Error(ErrorCode::kConflict, path_ + '/' + ToDisplayUtf8(path) + " was changed meanwhile: check out again");
}

void CheckoutFolder::RemoveTemporariesIn(const std::string& path, int fd) {
  if (!removes_temporaries_ || !clean_.Lock()->insert(path).second) return;
  const auto names = NamesIn(fd);
  if (!names) return;  // Whoever works in it will be told.
  for (const FolderName& found : *names) {
    if (!found.is_folder && IsTemporary(found.name)) (void)unlinkat(fd, found.name.c_str(), 0);
  }
}

std::string FolderOfPath(const std::string& path) { return SplitPath(path).first; }

Result<std::vector<FolderName>> NamesIn(int folder) {
  const int fd = openat(folder, ".", kFolderFlags);  // With a position of its own.
  DIR* dir = fd < 0 ? nullptr : fdopendir(fd);
  if (dir == nullptr) {
    const Error error = ErrnoError("list a folder");
    if (fd >= 0) close(fd);
    return error;
  }
  std::vector<FolderName> names;
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    bool is_folder = entry->d_type == DT_DIR;
    struct stat info {};
    if (entry->d_type == DT_UNKNOWN && fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      is_folder = S_ISDIR(info.st_mode);
    }
    names.push_back({name, is_folder});
    errno = 0;
  }
  const bool failed = errno != 0;
  const Error error = ErrnoError("list a folder");
  closedir(dir);
  if (failed) return error;
  return names;
}

Result<std::string> ReadLinkIn(int folder, const std::string& name) {
  std::string target(kLinkTargetBytesMax + 1, '\0');
  const ssize_t size = readlinkat(folder, name.c_str(), target.data(), target.size());
  if (size < 0) return ErrnoError("read the link " + ToDisplayUtf8(name));
  target.resize(static_cast<size_t>(size));
  return target;
}

Status RemoveFolderTree(int folder, const std::string& name, bool files_too) {
  const std::string what = "remove " + ToDisplayUtf8(name);
  if (unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  if (errno != ENOTEMPTY && errno != EEXIST) return ErrnoError(what);
  const UniqueFd fd(openat(folder, name.c_str(), kFolderFlags));
  struct stat above {}, info {};
  if (!fd.valid() || fstat(folder, &above) != 0 || fstat(fd.get(), &info) != 0) return ErrnoError(what);
  if (above.st_dev != info.st_dev) return Error(ErrorCode::kInvalidArgument, what + ": it is on another disk");
  STAGEFS_ASSIGN_OR_RETURN(const std::vector<FolderName> names, NamesIn(fd.get()));
  for (const FolderName& found : names) {
    if (found.is_folder) {
      STAGEFS_RETURN_IF_ERROR(RemoveFolderTree(fd.get(), found.name, files_too));
    } else if (!files_too) {
      return Error(ErrorCode::kNotEmpty, what + ": " + ToDisplayUtf8(found.name) + " came into it meanwhile");
    } else if (unlinkat(fd.get(), found.name.c_str(), 0) != 0) {
      return ErrnoError("remove " + ToDisplayUtf8(found.name));
    }
  }
  return unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0 ? Status() : ErrnoError(what);
}

}  // namespace stagefs
