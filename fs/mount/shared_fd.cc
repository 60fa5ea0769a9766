#include "shared_fd.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "stagefs/posix_env.h"
#include "stagefs/version_source.h"

namespace stagefs {

SharedFd::~SharedFd() {
  if (fd_ >= 0) close(fd_);
}

namespace {

constexpr rlim_t kDescriptorsKept = 32;

bool LeavesDescriptors(int fd) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return true;
  return static_cast<rlim_t>(fd) + std::min(kDescriptorsKept, limit.rlim_cur / 4) < limit.rlim_cur;
}

Result<std::shared_ptr<SharedFd>> UnlessTooFew(int fd) {
  auto shared = std::make_shared<SharedFd>(fd);
  if (!LeavesDescriptors(fd)) return Error(ErrorCode::kBusy, "open version: too few descriptors are left");
  return shared;
}

}  // namespace

bool DescriptorsAreLeft() {
  const UniqueFd fd(open("/", O_PATH | O_CLOEXEC));
  // Opening a version takes a few for a moment, and others may do so now.
  return fd.valid() ? LeavesDescriptors(fd.get() + 8) : errno != EMFILE && errno != ENFILE;
}

Result<std::shared_ptr<SharedFd>> TakeDescriptor() {
  const int fd = open("/", O_PATH | O_CLOEXEC);
  if (fd < 0) return ErrnoError("take a descriptor");
  return UnlessTooFew(fd);
}

Result<std::shared_ptr<SharedFd>> OpenSharedVersion(Repository& repository, VersionId version,
                                                    std::shared_ptr<SharedFd> taken) {
  STAGEFS_ASSIGN_OR_RETURN(const auto bytes, repository.OpenVersion(version));
  if (taken) {
    if (bytes->fd() < 0 || dup3(bytes->fd(), taken->get(), O_CLOEXEC) < 0) return ErrnoError("open version");
    return taken;
  }
  const int fd = bytes->fd() < 0 ? -1 : fcntl(bytes->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return ErrnoError("open version");
  return UnlessTooFew(fd);
}

}  // namespace stagefs
