// What core knows, with everything an answer prints of it.
#pragma once

#include <vector>

#include "stagefs/repository.h"
#include "stagefs/revision.h"
#include "stagefs/workspace.h"
#include "wire/views.h"

namespace stagefs {

Result<CommitView> ViewOf(IndexReader& index, const CommitInfo& commit);
Result<std::vector<CommitView>> ViewsOf(IndexReader& index, const std::vector<CommitInfo>& commits);
Result<BranchView> ViewOf(IndexReader& index, const BranchInfo& branch);
Result<TagView> ViewOf(IndexReader& index, const TagInfo& tag);
Result<WorkspaceView> ViewOf(IndexReader& index, const WorkspaceInfo& workspace);
Result<RevisionView> ViewOf(IndexReader& index, const Revision& revision);

// One page of what is staged at or below `path`.
Result<ChangesView> ViewChanges(Workspace& workspace, const RepoPath& path, const PageView& page);

}  // namespace stagefs
