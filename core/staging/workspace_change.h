// How a workspace is read and changed: for the rooms of core.
#pragma once

#include "durable/durable_change.h"
#include "durable/reserve.h"
#include "staging/closed_files.h"
#include "stagefs/workspace.h"
#include "tree/overlay.h"

namespace stagefs {

// The moment a question is answered in. Short-lived.
struct Workspace::Moment {
  std::unique_ptr<IndexReader> reader;
  WorkspaceTree tree;
};

template <class Change>
auto Workspace::Mutate(Durability durability, Turn turn, Change change) -> decltype(change(std::declval<Overlay&>())) {
  // What was acknowledged earlier is there, and survives what survives this.
  if (durability == Durability::kPowerLoss) STAGEFS_RETURN_IF_ERROR(AwaitClosedFiles(repository_, id_));
  const Earlier earlier = durability == Durability::kPowerLoss ? Earlier::kSynced : Earlier::kAsTheyAre;
  STAGEFS_ASSIGN_OR_RETURN(const auto durable, DurableChange::Begin(repository_, durability, turn, earlier));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> info, durable->index().GetWorkspace(id_));
  if (!info) return Error(ErrorCode::kStale, "the workspace was deleted");
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, ViewOf(durable->index(), info->base));
  Overlay overlay(*durable, *info, std::move(view), writer_);
  overlay.NoteTakenBack(actor_, door_);
  auto result = change(overlay);
  if (!result) return result;
  STAGEFS_RETURN_IF_ERROR(overlay.Finish());
  STAGEFS_RETURN_IF_ERROR(durable->Commit());
  repository_.NotifyListeners(id_, writer_);
  return result;
}

template <class Change>
auto Workspace::Mutate(Durability durability, Change change) -> decltype(change(std::declval<Overlay&>())) {
  return Mutate(durability, Turn::Workspace(id_), std::move(change));
}

}  // namespace stagefs
