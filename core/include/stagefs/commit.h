// What becomes of a workspace: committed, or moved onto a newer base.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/history.h"
#include "stagefs/workspace.h"

namespace stagefs {

// Scratch files, and symbolic links that 0.1.0 kept and nobody touched since. So many are listed, the first ones.
constexpr size_t kLeftOutListed = 1'000;
struct LeftOut {
  std::vector<std::string> paths;
  int64_t total = 0;
};

struct CommitResult {
  CommitInfo commit;
  int64_t entries = 0;
  int64_t others = 0;              // Commits of others that were there first.
  LeftOut left_out;
  bool workspace_deleted = false;  // Unnamed and not mounted: its work is done.
};

// Commits what is staged to `branch` (default: the workspace's). Waits a moment for files being closed.
// Errors: kInvalidArgument if nothing is staged (IsNothingToCommit()); kConflict listing the paths both sides changed.
Result<CommitResult> CommitStaged(Workspace& workspace, const std::string& message, const Author& author,
                                  const std::optional<std::string>& branch);
constexpr char kNothingToCommit[] = "No changes to commit";
inline bool IsNothingToCommit(const Error& error) { return error.message() == kNothingToCommit; }
// The paths that a commit to `branch` would refuse: changed here and there; the first 10,000 of them.
Result<std::vector<std::string>> FindConflicts(Workspace& workspace, const std::string& branch);
// Moves the base to the branch's head. Returns how many commits that was.
Result<int64_t> Rebase(Workspace& workspace);

}  // namespace stagefs
