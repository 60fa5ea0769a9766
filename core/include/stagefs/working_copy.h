// Working copies: the private files that hold what is being written until it is staged.
//
// They lie in incoming/INSTANCE/, one `wc-N` each. `places` beside them says where each belongs: one line for
// each creation, move or change of state, the last one of a file counts:
//
//   wc-3 TAB STATE TAB WORKSPACE TAB FOLDER TAB PATH-ESCAPED LF      STATE: w writing, r refused, - gone
//
// A line is one write(), so a killed process leaves whole lines. Other processes read it for `status`; a
// start after a crash reads it to know what it found.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "stagefs/posix_env.h"
#include "stagefs/repository.h"

namespace stagefs {

enum class WorkingCopyState { kWriting, kRefused, kGone };

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
  ~WorkingCopies();

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
  int places_fd_ = -1;
  std::atomic<int64_t> next_{1};
  std::atomic<int64_t> live_{0};
};

// What is being written or refused now, by any process; each copy once.
Result<std::vector<WorkingCopyPlace>> ListWorkingCopyPlaces(Repository& repository);

// Moves or stages what dead processes left in incoming/. Part of opening a repository.
Status RecoverWorkingCopies(Repository& repository, RecoveryReport* report);

// Files below recovered/WORKSPACE, as paths of the workspace.
Result<std::vector<std::string>> ListRecovered(Repository& repository, const WorkspaceInfo& workspace);
std::string RecoveredFolder(const Repository& repository, const WorkspaceInfo& workspace);

// Stages recovered/…/PATH at PATH again (`retry`), or removes it (`dismiss`). kNotFound.
Status RetryRecovered(Repository& repository, const WorkspaceInfo& workspace, const std::string& path);
Status DismissRecovered(Repository& repository, const WorkspaceInfo& workspace, const std::string& path);

}  // namespace stagefs
