// Merging branches, and the history that merges make.
//
// A merge is a commit of a workspace that nobody sees: its base is the common ancestor, its rows are what the
// other side changed since, and they are laid over the branch as any workspace's are.
#include <map>
#include <set>

#include "committer.h"
#include "rebaser.h"
#include "stagefs/posix_env.h"
#include "stagefs/repository.h"
#include "tree/walk.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

// Which of two commits descend from a third one.
enum Side : int { kLeft = 1, kRight = 2, kBoth = 3 };

// Calls `visit` for everything that `left` or `right` descends from, newest first, until it returns false. A
// parent's number is smaller than its child's, so all children of a commit were visited before it.
Status WalkBoth(IndexReader& index, CommitSeq left, CommitSeq right,
                const std::function<bool(const CommitInfo&, int sides)>& visit) {
  std::map<CommitSeq, int, std::greater<>> waiting;
  waiting[left] |= kLeft;
  waiting[right] |= kRight;
  while (!waiting.empty()) {
    const auto [seq, sides] = *waiting.begin();
    waiting.erase(waiting.begin());
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, index.GetCommit(seq));
    if (!commit) return Error(ErrorCode::kCorrupt, "a commit's parent is gone");
    if (!visit(*commit, sides)) return {};
    for (const CommitSeq parent : {commit->parent, commit->merged}) {
      if (parent != 0) waiting[parent] |= sides;
    }
  }
  return {};
}

// The newest commit that both descend from: there is one, the first of the repository.
Result<CommitSeq> CommonAncestor(IndexReader& index, CommitSeq left, CommitSeq right) {
  CommitSeq found = 0;
  STAGEFS_RETURN_IF_ERROR(WalkBoth(index, left, right, [&](const CommitInfo& commit, int sides) {
    if (sides == kBoth) found = commit.seq;
    return found == 0;
  }));
  return found;
}

Result<std::vector<CommitInfo>> OnlyIn(IndexReader& index, CommitSeq head, CommitSeq base) {
  std::vector<CommitInfo> commits;
  STAGEFS_RETURN_IF_ERROR(WalkBoth(index, base, head, [&](const CommitInfo& commit, int sides) {
    if (sides == kRight) commits.push_back(commit);
    return true;
  }));
  return commits;
}

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

// The hidden workspace whose tree is that of `sides.head` on top of the common ancestor.
Result<Overlay> StageHead(IndexTransaction& transaction, const Sides& sides) {
  STAGEFS_ASSIGN_OR_RETURN(Overlay overlay, AddHiddenWorkspace(transaction, sides.base.name, sides.ancestor));
  STAGEFS_ASSIGN_OR_RETURN(const TreeView head, transaction.ViewOf(sides.head.seq));
  std::set<Slot> slots;
  STAGEFS_RETURN_IF_ERROR(VisitSlotsBetween(transaction, sides.ancestor, sides.head.seq, [&](const Slot& slot) {
                            slots.insert(slot);
                            return true;
                          }).WithoutValue());
  for (const Slot& slot : slots) {
    STAGEFS_ASSIGN_OR_RETURN(const auto before, overlay.LookUpBase(slot));
    STAGEFS_ASSIGN_OR_RETURN(const auto after, transaction.LookUpBase(head, slot.folder, slot.name));
    if (before == after) continue;
    if (after) STAGEFS_RETURN_IF_ERROR(overlay.Place(slot, *after).WithoutValue());
    else STAGEFS_RETURN_IF_ERROR(overlay.Vacate(slot));
  }
  return overlay;
}

// Whether `commit` changed anything at or below `path`.
Result<bool> Changed(IndexReader& index, const CommitInfo& commit, const RepoPath& path) {
  STAGEFS_ASSIGN_OR_RETURN(TreeView now, index.ViewOf(commit.seq));
  OverlayReader after(index, WorkspaceInfo(), std::move(now));
  STAGEFS_ASSIGN_OR_RETURN(TreeView then,
                           commit.parent != 0 ? index.ViewOf(commit.parent) : Result<TreeView>(TreeView()));
  OverlayReader before(index, WorkspaceInfo(), std::move(then));
  std::optional<Slot> last;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, index.ListCommitted(commit.seq, last, kPage));
    if (page.empty()) return false;
    for (const Slot& slot : page) {
      for (OverlayReader* tree : {&after, &before}) {
        const auto at = tree->PathOf(slot);  // A folder that is gone has no path any more.
        if (at && IsAtOrBelow(*at, path.str())) return true;
        // A folder on the way was made, renamed or removed: did the path change with it?
        if (!at || !IsAtOrBelow(path.str(), *at)) continue;
        const auto now_there = after.Find(path, Workspace::Tree::kBase);
        const auto then_there = before.Find(path, Workspace::Tree::kBase);
        if (now_there.has_value() != then_there.has_value()) return true;
      }
    }
    last = page.back();
  }
}

}  // namespace

std::string MergeMessage(const std::string& base, const std::string& head) {
  return "Merge branch '" + head + "' into '" + base + "'";
}

Result<CommitPage> Repository::Log(const std::string& revision, int64_t skip, size_t limit) {
  return History(revision, RepoPath(), skip, limit);
}

Result<CommitPage> Repository::History(const std::string& revision, const RepoPath& path, int64_t skip,
                                       size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo head, ResolveRevision(revision));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_->Read());
  CommitPage page;
  Status trouble;
  STAGEFS_RETURN_IF_ERROR(WalkBoth(*reader, head.seq, head.seq, [&](const CommitInfo& commit, int) {
    const auto changed = path.is_root() ? Result<bool>(true) : Changed(*reader, commit, path);
    if (!changed) trouble = changed.error();
    if (!changed || !*changed) return trouble.has_value();
    if (page.total >= skip && page.commits.size() < limit) page.commits.push_back(commit);
    ++page.total;
    return true;
  }));
  if (!trouble) return trouble.error();
  return page;
}

Result<std::vector<CommitInfo>> Repository::CommitsSince(const std::string& revision, CommitSeq base) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo head, ResolveRevision(revision));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_->Read());
  return OnlyIn(*reader, head.seq, base);
}

Result<std::vector<std::string>> Repository::ParentsOf(const CommitInfo& commit) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_->Read());
  std::vector<std::string> ids;
  for (const CommitSeq seq : {commit.parent, commit.merged}) {
    if (seq == 0) continue;
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> parent, reader->GetCommit(seq));
    if (parent) ids.push_back(parent->id);
  }
  return ids;
}

Result<MergePreview> Repository::PreviewMerge(const std::string& base, const std::string& head) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo from, ResolveRevision(head));
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index_->Begin(Durability::kProcessDeath, Turn::History()));
  STAGEFS_ASSIGN_OR_RETURN(const Sides sides, FindSides(*transaction, base, from));
  MergePreview preview;
  STAGEFS_ASSIGN_OR_RETURN(preview.commits, OnlyIn(*transaction, from.seq, sides.base_head.seq));
  if (sides.ancestor == sides.head.seq || sides.ancestor == sides.base_head.seq) return preview;
  STAGEFS_ASSIGN_OR_RETURN(Overlay theirs, StageHead(*transaction, sides));
  STAGEFS_ASSIGN_OR_RETURN(Overlay onto, OnTopOf(theirs, sides.base_head.seq));
  STAGEFS_ASSIGN_OR_RETURN(preview.conflicts, Rebaser(theirs, onto).Conflicts());
  return preview;  // The transaction is never committed.
}

Result<MergeResult> Repository::Merge(const std::string& base, const std::string& head,
                                      const std::string& message, const Author& author) {
  STAGEFS_RETURN_IF_ERROR(SyncVersions());
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo from, ResolveRevision(head));
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index_->Begin(Durability::kPowerLoss, Turn::History()));
  STAGEFS_ASSIGN_OR_RETURN(const Sides sides, FindSides(*transaction, base, from));
  MergeResult result{sides.base_head, sides.head, sides.base_head};
  if (sides.ancestor == sides.head.seq) return result;
  if (sides.ancestor == sides.base_head.seq) {
    result.merge = sides.head;
  } else {
    STAGEFS_ASSIGN_OR_RETURN(Overlay theirs, StageHead(*transaction, sides));
    STAGEFS_ASSIGN_OR_RETURN(Overlay onto, OnTopOf(theirs, sides.base_head.seq));
    STAGEFS_RETURN_IF_ERROR(Rebaser(theirs, onto).Run());
    CommitInfo commit = NewCommit(sides.base_head.seq, message, author);
    commit.merged = sides.head.seq;
    STAGEFS_ASSIGN_OR_RETURN(result.merge, transaction->AddCommit(commit));
    std::vector<std::string> left_out;
    STAGEFS_RETURN_IF_ERROR(Committer(onto, result.merge).Run(&left_out).WithoutValue());
    STAGEFS_RETURN_IF_ERROR(transaction->EraseWorkspace(theirs.workspace().id));
  }
  STAGEFS_RETURN_IF_ERROR(transaction->PutBranch({base, result.merge.seq}));
  STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  return result;
}

}  // namespace stagefs
