// Old states staged again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/revision.h"
#include "stagefs/workspace.h"

namespace stagefs {

// How many files were staged, and how many removed.
struct Restored {
  int64_t staged = 0, removed = 0;
};

// Makes files and folders of a workspace as they are in `from`: with their content, times and executable bits; what is
// in such a folder and not in `from` goes. No byte moves. One transaction, which survives power loss.
// Errors: kNotFound where neither has the path; kBusy where a file at or below it is being written, or refused. Of
// kNotFound, `outcomes` is as with Workspace::RemovePaths().
Result<Restored> Restore(Workspace& workspace, const Revision& from, const std::vector<RepoPath>& paths,
                         std::vector<Status>* outcomes = nullptr);

// Puts a file or folder of `from` at `to`. kExists where something is there; kNotFound.
Result<Restored> RestoreTo(Workspace& workspace, const Revision& from, const RepoPath& path, const RepoPath& to);

// Puts back what the change of this number (stagefs/taken_back.h) took back: of these paths, or all of it. What is
// there is replaced. kNotFound; kBusy as above.
Result<Restored> RestoreTakenBack(Workspace& workspace, int64_t number, const std::vector<RepoPath>& paths);

// Stages the inverse of what one commit changed; of a merge, what it brought into its first parent. kConflict, listing
// the paths, where the workspace shows something else than the commit left there, and nothing is changed;
// kInvalidArgument for the repository's first commit.
Result<Restored> Revert(Workspace& workspace, const CommitInfo& commit);

}  // namespace stagefs
