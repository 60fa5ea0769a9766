#include "mountpoint.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>
#include <fstream>
#include <sstream>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr int kBusyAttempts = 10;
constexpr int kLinksMax = 40;
constexpr auto kBusyPause = std::chrono::milliseconds(100);

// fusermount3 is setuid: it unmounts what its caller mounted.
Status RunFusermount(const std::string& mountpoint, bool lazy) {
  const pid_t pid = fork();
  if (pid == 0) {
    execlp("fusermount3", "fusermount3", lazy ? "-uz" : "-u", "--", mountpoint.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) < 0) return ErrnoError("run fusermount3");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error(ErrorCode::kBusy, "cannot unmount " + mountpoint);
}

Status Detach(const std::string& mountpoint, int flags) {
  if (geteuid() != 0) return RunFusermount(mountpoint, flags == MNT_DETACH);
  if (umount2(mountpoint.c_str(), flags) == 0) return {};
  const Error error = ErrnoError("unmount " + mountpoint);
  if (errno != EBUSY) return error;
  return Error(ErrorCode::kBusy,
               mountpoint + " is in use: close what is open there (lsof " + mountpoint + "), or use --lazy");
}

// Octal escapes of proc(5) mountinfo.
std::string Unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool IsInside(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder == "/" ? folder : folder + '/');
}

// The real path of `path`, whose last component need not answer: a stale mount point does not.
Result<std::string> RealPath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  std::filesystem::path parent = absolute.has_filename() ? absolute : absolute.parent_path();
  const std::filesystem::path name = parent.filename();
  parent = std::filesystem::canonical(parent.parent_path(), error);
  if (error) return Error(ErrorCode::kNotFound, path + ": " + error.message());
  return (parent / name).string();
}

}  // namespace

std::optional<dev_t> DeviceOfMount(const std::string& mountpoint) {
  std::optional<dev_t> device;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - fuse.stagefs ") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string id, parent, root, path;
    unsigned major_number = 0, minor_number = 0;
    char colon = 0;
    fields >> id >> parent >> major_number >> colon >> minor_number >> root >> path;
    if (Unescape(path) == mountpoint) device = makedev(major_number, minor_number);
  }
  return device;
}

Result<std::string> PrepareMountpoint(const std::string& mountpoint, const std::string& root,
                                      bool allow_nonempty) {
  STAGEFS_ASSIGN_OR_RETURN(std::string path, RealPath(mountpoint));
  // stat() may be answered from the kernel's cache after the daemon's death; statvfs() never is.
  struct statvfs space {};
  if (statvfs(path.c_str(), &space) != 0 && errno == ENOTCONN) {
    // Its daemon died. Nobody serves it any more, so nothing can be lost by detaching it.
    STAGEFS_RETURN_IF_ERROR(Detach(path, MNT_DETACH));
  }
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return Error(ErrorCode::kNotFound, path + " does not exist: mkdir it first");
    return ErrnoError(path);
  }
  if (!S_ISDIR(found.st_mode))
    return Error(ErrorCode::kNotDirectory, path + " is not a folder: name an empty folder");
  std::error_code error;
  path = std::filesystem::canonical(path, error).string();
  if (error) return Error(ErrorCode::kIo, mountpoint + ": " + error.message());
  if (DeviceOfMount(path)) {
    return Error(ErrorCode::kBusy, path + " is a stagefs mount already: stagefs unmount " + path);
  }
  const std::string real_root = std::filesystem::weakly_canonical(root, error).string();
  if (IsInside(path, real_root)) {
    return Error(ErrorCode::kInvalidArgument,
                 path + " lies inside the root " + real_root + ": mount somewhere else");
  }
  if (IsInside(real_root, path)) {
    return Error(ErrorCode::kInvalidArgument,
                 "the root " + real_root + " lies inside " + path + ": it would hide itself");
  }
  if (!allow_nonempty && !std::filesystem::is_empty(path, error)) {
    return Error(ErrorCode::kNotEmpty,
                 path + " is not empty: name an empty folder, or use -o nonempty to hide what is there");
  }
  return path;
}

Status Unmount(const std::string& mountpoint, bool lazy) {
  STAGEFS_ASSIGN_OR_RETURN(std::string path, RealPath(mountpoint));
  // By a link to it, too, without asking the mount, which need not answer.
  std::error_code error;
  for (int links = 0; links < kLinksMax && !DeviceOfMount(path) && std::filesystem::is_symlink(path, error); ++links) {
    const auto target = std::filesystem::read_symlink(path, error);
    STAGEFS_ASSIGN_OR_RETURN(path, RealPath(std::filesystem::path(path).parent_path() / target));
  }
  if (!DeviceOfMount(path)) {
    return Error(ErrorCode::kInvalidArgument, path + " is not a stagefs mount");
  }
  // The daemon itself is in the mount for moments, while it tells windows of changes.
  for (int attempt = 1;; ++attempt) {
    const Status detached = Detach(path, lazy ? MNT_DETACH : 0);
    if (detached || detached.error().code() != ErrorCode::kBusy || attempt == kBusyAttempts) return detached;
    std::this_thread::sleep_for(kBusyPause);
  }
}

}  // namespace stagefs
