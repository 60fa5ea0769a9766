#include "stagefs/process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

struct FileIdentity {
  uint32_t device_major = 0, device_minor = 0;
  uint64_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

// As the kernel has it at hand: a descriptor of another process may be of a file system that does not answer.
std::optional<FileIdentity> IdentityOf(const std::string& path) {
  struct statx info {};
  if (statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_INO, &info) != 0) return std::nullopt;
  return FileIdentity{info.stx_dev_major, info.stx_dev_minor, info.stx_ino};
}

bool HasOneOpen(const std::string& pid, const std::vector<FileIdentity>& files) {
  const std::string folder = "/proc/" + pid + "/fd";
  const auto descriptors = ListNames(folder);  // Those of another user's process are not told.
  if (!descriptors) return false;
  return std::any_of(descriptors->begin(), descriptors->end(), [&](const std::string& number) {
    const auto file = IdentityOf(folder + '/' + number);
    return file && std::find(files.begin(), files.end(), *file) != files.end();
  });
}

void RaiseLimit(__rlimit_resource_t resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(resource, &limit);
}

}  // namespace

int64_t ProcessStartTime(int64_t pid) {
  const auto stat = ReadWholeFile("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return 0;
  // The second field is the command in parentheses and may hold anything; fields count from its end.
  std::istringstream fields(stat->substr(stat->rfind(')') + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  return strtoll(field.c_str(), nullptr, 10);
}

int64_t OtherProcessWith(const std::vector<std::string>& paths) {
  std::vector<FileIdentity> files;
  for (const std::string& path : paths) {
    if (const auto file = IdentityOf(path)) files.push_back(*file);
  }
  const auto names = ListNames("/proc");
  if (files.empty() || !names) return 0;
  for (const std::string& name : *names) {
    const int64_t pid = strtoll(name.c_str(), nullptr, 10);
    if (pid > 0 && pid != getpid() && HasOneOpen(name, files)) return pid;
  }
  return 0;
}

void RaiseLimits() {
  RaiseLimit(RLIMIT_NOFILE);
  RaiseLimit(RLIMIT_FSIZE);
  (void)std::signal(SIGXFSZ, SIG_IGN);
}

std::string HostOfPids() {
  char space[64] = "";
  (void)!readlink("/proc/self/ns/pid", space, sizeof space - 1);
  return BootId() + ' ' + space;
}

}  // namespace stagefs
