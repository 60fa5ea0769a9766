#include "shared_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include "stagefs/posix_env.h"
#include "stagefs/version_source.h"

namespace stagefs {

SharedFd::~SharedFd() {
  if (fd_ >= 0) close(fd_);
}

Result<std::shared_ptr<SharedFd>> OpenSharedVersion(Repository& repository, VersionId version) {
  STAGEFS_ASSIGN_OR_RETURN(const auto bytes, repository.OpenVersion(version));
  const int fd = bytes->fd() < 0 ? -1 : fcntl(bytes->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return ErrnoError("open version");
  return std::make_shared<SharedFd>(fd);
}

}  // namespace stagefs
