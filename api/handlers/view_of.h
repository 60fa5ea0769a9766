// What core knows, with everything an answer prints of it.
#pragma once

#include <vector>

#include "stagefs/repository.h"
#include "stagefs/revision.h"
#include "stagefs/workspace.h"
#include "wire/views.h"

namespace stagefs {

Result<CommitView> ViewOf(Repository& repository, const CommitInfo& commit);
Result<std::vector<CommitView>> ViewsOf(Repository& repository, const std::vector<CommitInfo>& commits);
Result<BranchView> ViewOf(Repository& repository, const BranchInfo& branch);
Result<WorkspaceView> ViewOf(Repository& repository, const WorkspaceInfo& workspace);
Result<RevisionView> ViewOf(Repository& repository, const Revision& revision);

// One page of what is staged at or below `path`.
Result<ChangesView> ViewChanges(Workspace& workspace, const RepoPath& path, const PageView& page);

}  // namespace stagefs
