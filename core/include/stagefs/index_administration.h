// What an index keeps for those who run it: mounts, working copies, and marks by name; and its clock.
#pragma once

#include "stagefs/index_rows.h"
#include "stagefs/result.h"

namespace stagefs {

// A missing thing is std::nullopt; an Error is trouble with the index itself.
class AdministrationQuestions {
 public:
  virtual ~AdministrationQuestions() = default;

  virtual Result<std::vector<MountRow>> ListMounts() = 0;
  // Whether a mount other than `except` shows the workspace.
  virtual Result<bool> IsMounted(WorkspaceId workspace, WriterId except) = 0;
  virtual Result<std::vector<WorkingCopyRow>> ListWorkingCopies() = 0;
  virtual Result<std::optional<std::string>> GetMeta(const std::string& key) = 0;
  // The keys that begin with `prefix`.
  virtual Result<std::vector<std::string>> ListMeta(const std::string& prefix) = 0;
  // Nanoseconds since 1970 by the one clock that all who use the index share.
  virtual Result<int64_t> ClockNs() = 0;
};

class AdministrationChanges {
 public:
  virtual ~AdministrationChanges() = default;

  virtual Status PutMount(const MountRow& row) = 0;
  virtual Status EraseMount(const std::string& host, const std::string& mountpoint) = 0;
  virtual Status PutWorkingCopy(const WorkingCopyRow& row) = 0;
  virtual Status EraseWorkingCopy(const std::string& file) = 0;
  virtual Status PutMeta(const std::string& key, const std::string& value) = 0;
  virtual Status EraseMeta(const std::string& key) = 0;
};

}  // namespace stagefs
