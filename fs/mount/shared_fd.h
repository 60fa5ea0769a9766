// A descriptor that several readers share, and what a read answers with.
#pragma once

#include <memory>
#include <string>

#include "stagefs/repository.h"

namespace stagefs {

// An owned descriptor that readers share.
class SharedFd {
 public:
  explicit SharedFd(int fd) : fd_(fd) {}
  ~SharedFd();
  SharedFd(const SharedFd&) = delete;
  SharedFd& operator=(const SharedFd&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

// Whether enough descriptors are left for what the process needs besides open files.
bool DescriptorsAreLeft();

// A descriptor of nothing yet, for OpenSharedVersion() later. kBusy if too few would be left.
Result<std::shared_ptr<SharedFd>> TakeDescriptor();

// The bytes of a version, behind `taken` where that is given: it becomes theirs if this succeeds. kBusy if too few
// descriptors would be left; kStale if it is gone; kCorrupt if its bytes are.
Result<std::shared_ptr<SharedFd>> OpenSharedVersion(Repository& repository, VersionId version,
                                                    std::shared_ptr<SharedFd> taken = nullptr);

// What a read answers: bytes in memory, or a piece of a file, which may be longer than what is shown of it.
struct ReadAnswer {
  std::string bytes;
  std::shared_ptr<SharedFd> file;
  uint64_t size_bytes = UINT64_MAX;
};

}  // namespace stagefs
