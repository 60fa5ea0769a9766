// Working copies: the private files that hold what is being written until it is staged.
//
// They lie in incoming/INSTANCE/, one `wc-N` each. Where each belongs is in a file of its own beside it,
// `wc-N.place`, which is there before the copy is and goes after it; a change replaces it by a rename, so a killed
// process leaves whole ones:
//
//   STATE TAB WORKSPACE TAB FOLDER TAB PATH-BYTES LF PATH        STATE: w writing, r refused; any bytes in PATH
//
// Other processes read them for `status`; a start after a crash reads them to know what it found. After a power loss
// one may be cut short: then its first line counts, or nothing. What fsync() kept has a row in the index, which is
// enough.
//
// An INSTANCE of 0.1.0 has one file `places` for all its copies: a line for each creation, move or change of state,
// of which the last one of a file counts:
//
//   wc-3 TAB STATE TAB WORKSPACE TAB FOLDER TAB PATH-ESCAPED LF      STATE: also - gone
//
// (A row of the index for each file that is being written would cost each a transaction, names or extended attributes
// of the file itself do not hold a path of 4,096 bytes.)
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "stagefs/posix_env.h"
#include "stagefs/repository.h"

namespace stagefs {

enum class WorkingCopyState { kWriting, kRefused };

struct WorkingCopyPlace {
  std::string file;  // Full path.
  WorkingCopyState state = WorkingCopyState::kWriting;
  WorkspaceId workspace = 0;
  Slot slot;
  std::string path;  // In the workspace's tree, when it was noted.
};

// This process's working copies. Safe for concurrent use. Outlived by the repository.
class WorkingCopies {
 public:
  static Result<std::unique_ptr<WorkingCopies>> Open(Repository& repository);

  // A new, empty file for `place` (whose `file` is filled in), open for reading and writing.
  Result<UniqueFd> Create(WorkingCopyPlace* place);
  // Notes a move or a change of state.
  Status Note(const WorkingCopyPlace& place);
  // After an fsync(): from now on a crash stages it, if its path still holds `base_version` then.
  Status Keep(const WorkingCopyPlace& place, std::optional<VersionId> base_version);
  // The copy was staged, or thrown away; `kept`: Keep() was called for it.
  Status Forget(const WorkingCopyPlace& place, bool kept);

 private:
  explicit WorkingCopies(Repository& repository) : repository_(repository) {}

  Repository& repository_;
  std::atomic<int64_t> next_{1};
  std::atomic<bool> folder_synced_{false};  // The instance's own name is durable.
};

// What is being written or refused now, by any process; each copy once.
Result<std::vector<WorkingCopyPlace>> ListWorkingCopyPlaces(Repository& repository);

// The folders incoming/INSTANCE.
Result<std::vector<std::string>> ListInstances(const Repository& repository);
// Of one copy; std::nullopt where there is none, or nothing of it is whole.
Result<std::optional<WorkingCopyPlace>> ReadPlace(const std::string& file);
// Of all copies of an instance of 0.1.0, by their files; empty where it is of a later one.
Result<std::map<std::string, WorkingCopyPlace>> ReadPlacesOf010(const std::string& instance);
// wc-N: a working copy, and nothing that lies beside one.
bool IsWorkingCopyName(std::string_view name);
// INSTANCE/wc-N, by which the index knows a copy.
std::string WorkingCopyKey(const std::string& file);

}  // namespace stagefs
