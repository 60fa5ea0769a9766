// The tree of a workspace: the base commit with the staged entries applied.
#pragma once

#include <map>
#include <string>

#include "commit_tree.h"

namespace stagefs {

// A moment of it. For one thread at a time; lives within its reader.
class WorkspaceTree : public Tree {
 public:
  WorkspaceTree(IndexReader& index, WorkspaceInfo workspace, TreeView base)
      : index_(index), workspace_(std::move(workspace)), base_(index, std::move(base)) {}

  const WorkspaceInfo& workspace() const { return workspace_; }
  IndexReader& index() { return index_; }
  // What lies under what is staged.
  CommitTree& base() { return base_; }
  Result<std::optional<Entry>> LookUpBase(const Slot& slot) { return base_.LookUp(slot); }

  using Tree::PathOf;
  Result<std::optional<Entry>> LookUp(const Slot& slot) override;
  Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit) override;
  // The slot that shows the folder in the workspace, else the one in the base.
  Result<std::optional<Slot>> PlaceOf(FolderId folder) override;
  // Remembered while this lives.
  Result<std::string> PathOf(FolderId folder) override;

  Result<std::optional<StagedEntry>> LookUpStaged(const Slot& slot);
  // Whether a row, over `base`, is a link that 0.1.0 kept: it is staged once it is touched.
  static bool IsUnstagedLink(const StagedEntry& staged, const std::optional<Entry>& base);
  // Whether what `slot` shows, `entry`, is one.
  Result<bool> IsUnstagedLink(const Slot& slot, const Entry& entry);
  // Whether the next commit leaves it out: that, and scratch.
  Result<bool> IsLeftOut(const Slot& slot, const Entry& entry);

 private:
  IndexReader& index_;
  const WorkspaceInfo workspace_;
  CommitTree base_;
  std::map<FolderId, std::string> paths_;
};

}  // namespace stagefs
