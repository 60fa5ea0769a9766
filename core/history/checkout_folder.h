// The folder that a revision is checked out into, as the operating system shows it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "stagefs/guarded.h"
#include "stagefs/posix_env.h"

namespace stagefs {

// A folder and those below it, reached without following a symbolic link or leaving the disk that it is on. Paths are
// relative to it; "" is the folder itself. Safe for concurrent use.
class CheckoutFolder {
 public:
  using SharedFd = std::shared_ptr<const UniqueFd>;

  // Nobody else checks out there while it lives. Errors: kNotDirectory; kInvalidArgument for a mount point; kBusy.
  static Result<std::unique_ptr<CheckoutFolder>> Open(const std::string& path);

  const std::string& path() const { return path_; }
  int fd() const { return top_->get(); }
  dev_t device() const { return device_; }

  // A folder, or what is in its place, or nothing.
  struct Way {
    SharedFd fd;
    std::string blocked_by;  // The path of what is no folder, and should be this one or one above it.
  };
  // kInvalidArgument where another disk is mounted.
  Result<Way> Find(const std::string& path);
  // With those above it. kConflict where something else is in its place by now.
  Result<SharedFd> Make(const std::string& path);
  // After folders were removed.
  void Forget() { known_.Lock()->clear(); }

  // A name for what is being written; no other has it.
  std::string NewTemporary();
  // From now on a folder that is opened for the first time loses what a checkout left that was cut off.
  void RemoveTemporaries() { removes_temporaries_ = true; }

  // Errors with the path of what they are about.
  Error ErrnoAt(const std::string& path) const;

 private:
  CheckoutFolder(std::string path, UniqueFd fd, dev_t device);
  void RemoveTemporariesIn(const std::string& path, int fd);

  // Constant after Open(), but for the last, which is set before others use it.
  const std::string path_;
  const SharedFd top_;
  const dev_t device_;
  const std::string temporaries_;
  bool removes_temporaries_ = false;
  // Synchronize themselves.
  std::atomic<uint32_t> temporary_ = 0;
  Guarded<std::unordered_map<std::string, SharedFd>> known_;  // Some of those that were opened.
  Guarded<std::unordered_set<std::string>> clean_;
};

// "" of what is at the top.
std::string FolderOfPath(const std::string& path);

// The names in an open folder, each with whether it is one itself, in no order.
struct FolderName {
  std::string name;
  bool is_folder = false;
};
Result<std::vector<FolderName>> NamesIn(int folder);
// Where the symbolic link `name` in an open folder leads.
Result<std::string> ReadLinkIn(int folder, const std::string& name);

// Removes the folder `name` in `folder` with the folders in it, and, if `files_too`, everything else in them. ENOTEMPTY
// otherwise: kNotEmpty.
Status RemoveFolderTree(int folder, const std::string& name, bool files_too);

}  // namespace stagefs
