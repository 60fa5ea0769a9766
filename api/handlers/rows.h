// Rows of a repository's index that answers are made of. Nothing else here asks the index.
// kNotFound where one that is looked for is not there, kCorrupt where one that must be there is not.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "stagefs/repository.h"
#include "wire/views.h"

namespace stagefs {

Result<BranchInfo> FindBranch(Repository& repository, const std::string& name);

Result<TagInfo> FindTag(IndexReader& index, const std::string& name);
Result<CommitInfo> FindCommit(IndexReader& index, const std::string& id);
// What `whose` names: "the head of branch main".
Result<CommitInfo> CommitAt(IndexReader& index, CommitSeq seq, const std::string& whose);

// How many entries each workspace has staged; one that cannot be counted is left out.
Result<std::vector<std::pair<WorkspaceInfo, int64_t>>> CountStaged(Repository& repository);

// Fills in the hash of each change that has a version.
Status FindHashes(Repository& repository, ChangesView* changes);

}  // namespace stagefs
