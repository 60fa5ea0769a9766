// How Workspace reads and changes: shared by the files that implement it.
#pragma once

#include "tree/overlay.h"
#include "stagefs/workspace.h"

namespace stagefs {

// Where a manifest waits that was renamed into place: in the tree, or in the inbox for a directory. The key
// holds everything, in hexadecimal where it may be any bytes.
std::string QueueKey(WorkspaceId workspace, const Slot& slot);
std::string QueueKey(WorkspaceId workspace, const RepoPath& directory, const std::string& name);

// The moment a question is answered in. Short-lived.
struct Workspace::Snapshot {
  std::unique_ptr<IndexReader> reader;
  OverlayReader tree;
};

// Runs `change` in one transaction. An error of `change` rolls everything back.
template <class Change>
auto Workspace::Mutate(Durability durability, Change change, bool commits)
    -> decltype(change(std::declval<Overlay&>())) {
  // What was acknowledged earlier survives what survives this.
  if (durability == Durability::kPowerLoss) STAGEFS_RETURN_IF_ERROR(repository_.SyncVersions());
  STAGEFS_ASSIGN_OR_RETURN(auto transaction, repository_.index().Begin(
                                                 durability, commits ? Turn::Commit(id_) : Turn::Workspace(id_)));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> info, transaction->GetWorkspace(id_));
  if (!info) return Error(ErrorCode::kStale, "the workspace was deleted");
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, ViewOf(*transaction, info->base));
  Overlay overlay(*transaction, *info, std::move(view), writer_);
  auto result = change(overlay);
  if (!result) return result;
  STAGEFS_RETURN_IF_ERROR(overlay.Finish());
  STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  transaction.reset();
  if (durability == Durability::kProcessDeath) repository_.NoteUnsynced();
  repository_.NotifyListeners(id_, writer_);
  return result;
}

}  // namespace stagefs
