// Visits what is staged, in path order and in time proportional to what is staged; and what commits changed.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "workspace_tree.h"

namespace stagefs {

struct StagedAt {
  std::string path;
  Slot slot;
  StagedEntry staged;
};

// The folders that hold staged rows and everything above them, as a tree: folder to its names and their folders.
// A folder that was removed is at its path in the base.
// Another folder may be there by now.
using StagedFolders = std::map<FolderId, std::multimap<std::string, FolderId>>;
// Calls `visit` for each page of the rows that it reads, which are in order of (folder, name).
Result<StagedFolders> CollectStagedFolders(
    WorkspaceTree& tree, const std::function<Status(const std::vector<StagedRow>&)>& visit = nullptr);

// Rows below a folder that was removed are visited at their path in the base.
Status WalkStaged(WorkspaceTree& tree, const std::function<Status(const StagedAt&)>& visit);
// The same where the folders were collected already.
Status WalkStaged(WorkspaceTree& tree, const StagedFolders& folders,
                  const std::function<Status(const StagedAt&)>& visit);

// The slots in which the trees of two commits may differ, by pages, some of them twice: what either line of first
// parents changed since they met. False as soon as `visit` returned false.
Result<bool> VisitSlotsBetween(IndexReader& index, CommitSeq a, CommitSeq b,
                               const std::function<Result<bool>(const std::vector<Slot>&)>& visit);

}  // namespace stagefs
