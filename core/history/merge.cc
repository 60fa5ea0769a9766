// Merging branches.
//
// A merge is a commit of a workspace that nobody sees: its base is the common ancestor, its rows are what the
// other side changed since, and they are laid over the branch as any workspace's are.
#include "ancestry.h"
#include "committer.h"
#include "rebaser.h"
#include "stagefs/posix_env.h"
#include "stagefs/history.h"
#include "tree/walk.h"

namespace stagefs {
namespace {

struct Sides {
  BranchInfo base;
  CommitInfo base_head, head;
  CommitSeq ancestor = 0;
};

Result<Sides> FindSides(IndexReader& index, const std::string& base, const CommitInfo& head) {
  Sides sides;
  sides.head = head;
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> branch, index.FindBranch(base));
  if (!branch) return Error(ErrorCode::kNotFound, "Branch '" + base + "' not found");
  sides.base = *branch;
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> base_head, index.GetCommit(branch->head));
  if (!base_head) return Error(ErrorCode::kCorrupt, "the head of branch " + base + " is gone");
  sides.base_head = *base_head;
  STAGEFS_ASSIGN_OR_RETURN(sides.ancestor, CommonAncestor(index, base_head->seq, head.seq));
  return sides;
}

// Makes `slots` of the overlay show what `view` shows there.
Status StageAll(Overlay& overlay, const TreeView& view, const std::vector<Slot>& slots) {
  for (const Slot& slot : slots) {
    STAGEFS_ASSIGN_OR_RETURN(const auto before, overlay.LookUpBase(slot));
    STAGEFS_ASSIGN_OR_RETURN(const auto after, overlay.index().LookUpBase(view, slot.folder, slot.name));
    if (before == after) continue;
    if (after) STAGEFS_RETURN_IF_ERROR(overlay.Place(slot, *after).WithoutValue());
    else STAGEFS_RETURN_IF_ERROR(overlay.Vacate(slot));
  }
  return {};
}

// The hidden workspace whose tree is that of `sides.head` on top of the common ancestor.
Result<Overlay> StageHead(DurableChange& change, const Sides& sides) {
  IndexTransaction& transaction = change.index();
  STAGEFS_ASSIGN_OR_RETURN(Overlay overlay, AddHiddenWorkspace(change, sides.base.name, sides.ancestor));
  STAGEFS_ASSIGN_OR_RETURN(const TreeView head, transaction.ViewOf(sides.head.seq));
  // A slot that comes twice gets the same again.
  STAGEFS_RETURN_IF_ERROR(VisitSlotsBetween(transaction, sides.ancestor, sides.head.seq,
                                            [&](const std::vector<Slot>& slots) -> Result<bool> {
                                              STAGEFS_RETURN_IF_ERROR(StageAll(overlay, head, slots));
                                              return true;
                                            })
                              .WithoutValue());
  return overlay;
}

}  // namespace

std::string MergeMessage(const std::string& base, const std::string& head) {
  return "Merge branch '" + head + "' into '" + base + "'";
}

Result<MergePreview> History::PreviewMerge(const std::string& base, const std::string& head) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo from, Resolve(head));
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kProcessDeath, Turn::History()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const Sides sides, FindSides(transaction, base, from));
  MergePreview preview;
  STAGEFS_ASSIGN_OR_RETURN(preview.commits, CommitsOnlyIn(transaction, from.seq, sides.base_head.seq));
  if (sides.ancestor == sides.head.seq || sides.ancestor == sides.base_head.seq) return preview;
  STAGEFS_ASSIGN_OR_RETURN(Overlay theirs, StageHead(*change, sides));
  STAGEFS_ASSIGN_OR_RETURN(Overlay onto, OnTopOf(theirs, sides.base_head.seq));
  STAGEFS_ASSIGN_OR_RETURN(preview.conflicts, Rebaser(theirs, onto).Conflicts());
  return preview;  // The change is never committed.
}

Result<MergeResult> History::Merge(const std::string& base, const std::string& head,
                                      const std::string& message, const Author& author) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo from, Resolve(head));
  STAGEFS_ASSIGN_OR_RETURN(const auto change, DurableChange::Begin(repository_, Durability::kPowerLoss,
                                                                   Turn::History(), Earlier::kSynced));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const Sides sides, FindSides(transaction, base, from));
  MergeResult result{sides.base_head, sides.head, sides.base_head};
  if (sides.ancestor == sides.head.seq) return result;
  BranchInfo moved = sides.base;
  if (sides.ancestor == sides.base_head.seq) {
    result.merge = sides.head;
    // Who moved forward once will again: what comes on top of it goes on with the line it moved to.
    STAGEFS_ASSIGN_OR_RETURN(std::optional<BranchInfo> other, transaction.FindBranch(head));
    if (other) other->line = 0;
    if (other) STAGEFS_RETURN_IF_ERROR(transaction.PutBranch(*other));
  } else {
    STAGEFS_ASSIGN_OR_RETURN(Overlay theirs, StageHead(*change, sides));
    STAGEFS_ASSIGN_OR_RETURN(Overlay onto, OnTopOf(theirs, sides.base_head.seq));
    STAGEFS_RETURN_IF_ERROR(Rebaser(theirs, onto).Run());
    STAGEFS_ASSIGN_OR_RETURN(CommitInfo commit, NewCommit(sides.base_head.seq, message, author));
    commit.merged = sides.head.seq;
    STAGEFS_ASSIGN_OR_RETURN(result.merge, transaction.AddCommit(commit, base));
    moved.line = result.merge.lineage;
    LeftOut left_out;
    STAGEFS_RETURN_IF_ERROR(Committer(onto, result.merge).Run(&left_out).WithoutValue());
    STAGEFS_RETURN_IF_ERROR(transaction.EraseWorkspace(theirs.workspace().id));
  }
  moved.head = result.merge.seq;
  STAGEFS_RETURN_IF_ERROR(transaction.PutBranch(moved));
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  return result;
}

}  // namespace stagefs
