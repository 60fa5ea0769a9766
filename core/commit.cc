// commit and rebase.
//
// A commit on top of the workspace's own base moves the staged rows into the tree as they are. When the
// branch has moved on, the rows are first laid over its head, path by path; then the same happens.
#include <algorithm>
#include <set>

#include "stagefs/posix_env.h"
#include "walk.h"
#include "workspace_impl.h"

namespace stagefs {
namespace {

constexpr size_t kConflictPathsShown = 20;
constexpr size_t kPage = 1024;

bool SameFile(const std::optional<Entry>& a, const std::optional<Entry>& b) {
  const bool a_file = a && a->kind == EntryKind::kFile;
  const bool b_file = b && b->kind == EntryKind::kFile;
  if (!a_file || !b_file) return a.has_value() == b.has_value() && (!a || a->kind == b->kind);
  return a->version == b->version && a->executable == b->executable;
}

Result<std::optional<Entry>> FindIn(OverlayReader& tree, const std::string& path, Workspace::Tree which) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath parsed, RepoPath::Parse(path));
  auto located = tree.Find(parsed, which);
  if (located) return std::optional<Entry>(std::move(located->entry));
  const ErrorCode code = located.error().code();
  if (code == ErrorCode::kNotFound || code == ErrorCode::kNotDirectory) return std::optional<Entry>();
  return located.error();
}

// Moves a workspace's rows from its base to another one.
class Rebaser {
 public:
  Rebaser(Overlay& from, Overlay& to) : from_(from), to_(to) {}

  Status Run() {
    STAGEFS_RETURN_IF_ERROR(WalkStaged(from_, [&](const StagedAt& at) -> Status {
      rows_.push_back(at);
      return Check(at);
    }));
    if (!conflicts_.empty()) return Conflict();
    STAGEFS_RETURN_IF_ERROR(to_.transaction().EraseAllStaged(to_.workspace().id));
    for (const StagedAt& at : rows_) STAGEFS_RETURN_IF_ERROR(Lay(at));
    // Folders go once their files are gone, the deepest first.
    for (auto path = removed_folders_.rbegin(); path != removed_folders_.rend(); ++path) {
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath parsed, RepoPath::Parse(*path));
      const auto located = to_.Find(parsed, Workspace::Tree::kWorkspace);
      if (!located || located->entry.kind != EntryKind::kFolder) continue;
      STAGEFS_ASSIGN_OR_RETURN(const bool empty, to_.IsEmpty(located->entry.child));
      if (empty) STAGEFS_RETURN_IF_ERROR(to_.RemoveFolder(located->slot));
    }
    return {};
  }

 private:
  Status Check(const StagedAt& at) {
    const Entry& entry = at.staged.entry;
    if (at.staged.state == StagedState::kKept) return {};
    if (entry.kind == EntryKind::kFolder) {
      // A renamed folder: where it was it must still be, and its new place must be free.
      STAGEFS_ASSIGN_OR_RETURN(const std::string home, BasePathOf(from_, entry.child));
      STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_, home, Workspace::Tree::kBase));
      STAGEFS_ASSIGN_OR_RETURN(const auto target, FindIn(to_, at.path, Workspace::Tree::kBase));
      STAGEFS_ASSIGN_OR_RETURN(const auto before, FindIn(from_, at.path, Workspace::Tree::kBase));
      if (!theirs || theirs->child != entry.child || (target && !before)) conflicts_.push_back(at.path);
      return {};
    }
    STAGEFS_ASSIGN_OR_RETURN(const auto base, FindIn(from_, at.path, Workspace::Tree::kBase));
    STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_, at.path, Workspace::Tree::kBase));
    if (base && base->kind == EntryKind::kFolder) return {};  // A folder removed or renamed away.
    std::optional<Entry> ours;
    if (entry.kind != EntryKind::kRemoved) ours = entry;
    if (!SameFile(base, theirs) && !SameFile(theirs, ours)) conflicts_.push_back(at.path);
    return {};
  }

  Error Conflict() const {
    std::string message = "changed here and on the branch:";
    for (size_t i = 0; i < conflicts_.size() && i < kConflictPathsShown; ++i) {
      message += (i == 0 ? " " : ", ") + ToDisplayUtf8(conflicts_[i]);
    }
    if (conflicts_.size() > kConflictPathsShown) {
      message += " and " + std::to_string(conflicts_.size() - kConflictPathsShown) + " more";
    }
    return Error(ErrorCode::kConflict, message + ": unstage them or stage what you want on top of the head");
  }

  Result<Slot> SlotAt(const std::string& path) {
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath parsed, RepoPath::Parse(path));
    STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, to_.EnsureFolders(parsed.parent()));
    return Slot{folder, std::string(parsed.name())};
  }

  Status Lay(const StagedAt& at) {
    Entry entry = at.staged.entry;
    switch (entry.kind) {
      case EntryKind::kRemoved: {
        STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_, at.path, Workspace::Tree::kWorkspace));
        if (theirs && theirs->kind == EntryKind::kFolder) removed_folders_.push_back(at.path);
        if (!theirs || theirs->kind == EntryKind::kFolder) return {};
        STAGEFS_ASSIGN_OR_RETURN(const Slot slot, SlotAt(at.path));
        return to_.Remove(slot);
      }
      case EntryKind::kFolder: {
        STAGEFS_ASSIGN_OR_RETURN(const Slot slot, SlotAt(at.path));
        if (at.staged.state == StagedState::kKept) return to_.EnsureFolder(slot).WithoutValue();
        STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> home, to_.PlaceOf(entry.child));
        if (!home) return Error(ErrorCode::kConflict, ToDisplayUtf8(at.path) + ": its folder is gone");
        return to_.Rename(*home, slot, RenameMode::kReplace);
      }
      case EntryKind::kFile:
      case EntryKind::kSymlink: break;
    }
    if (entry.kind == EntryKind::kFile && at.staged.state == StagedState::kKept && !entry.scratch) {
      // Only a time of its own: it goes with the content it belongs to.
      STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_, at.path, Workspace::Tree::kBase));
      if (!SameFile(theirs, entry)) return {};
    }
    STAGEFS_ASSIGN_OR_RETURN(const Slot slot, SlotAt(at.path));
    return to_.Place(slot, entry).WithoutValue();
  }

  Overlay& from_;
  Overlay& to_;
  std::vector<StagedAt> rows_;
  std::vector<std::string> conflicts_;
  std::vector<std::string> removed_folders_;
};

// Moves the staged rows of `tree`, whose base is the commit's parent, into `commit`.
class Committer {
 public:
  Committer(Overlay& tree, const CommitInfo& commit) : tree_(tree), commit_(commit) {}

  Result<int64_t> Run(std::vector<std::string>* left_out) {
    STAGEFS_RETURN_IF_ERROR(Survey(left_out));
    STAGEFS_ASSIGN_OR_RETURN(const int64_t count,
                             tree_.transaction().MoveStagedTo(commit_, tree_.workspace().id));
    if (count == 0) return Error(ErrorCode::kInvalidArgument, "No changes to commit");
    for (const FolderId folder : filled_) STAGEFS_RETURN_IF_ERROR(Settle(folder));
    STAGEFS_ASSIGN_OR_RETURN(view_, tree_.index().ViewOf(commit_.seq));
    for (const FolderId folder : thinned_) STAGEFS_RETURN_IF_ERROR(DropIfEmpty(folder));
    return count;
  }

 private:
  Status Survey(std::vector<std::string>* left_out) {
    return WalkStaged(tree_, [&](const StagedAt& at) -> Status {
      const Entry& entry = at.staged.entry;
      if (entry.scratch || entry.kind == EntryKind::kSymlink) left_out->push_back(at.path);
      if (at.staged.state == StagedState::kKept) return {};
      (entry.kind == EntryKind::kRemoved ? thinned_ : filled_).insert(at.slot.folder);
      return {};
    });
  }

  // A folder with something in it exists in the commit, and so do those above it.
  Status Settle(FolderId folder) {
    while (folder != kRootFolder && settled_.insert(folder).second) {
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place,
                               tree_.index().PlaceInStaged(tree_.workspace().id, folder));
      if (!place) {
        STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> home,
                                 tree_.index().PlaceInBase(tree_.base(), folder));
        if (!home) return {};  // Moved by this commit, and settled through its new place.
        folder = home->folder;
        continue;
      }
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> row, tree_.LookUpStaged(*place));
      STAGEFS_RETURN_IF_ERROR(tree_.transaction().PutTreeEntry(commit_, *place, row->entry));
      STAGEFS_RETURN_IF_ERROR(tree_.transaction().EraseStaged(tree_.workspace().id, *place));
      folder = place->folder;
    }
    return {};
  }

  // Commits have no empty folders; the workspace keeps the ones it shows.
  Status DropIfEmpty(FolderId folder) {
    while (folder != kRootFolder) {
      STAGEFS_ASSIGN_OR_RETURN(const auto first, tree_.index().ListBase(view_, folder, "", 1));
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, tree_.index().PlaceInBase(view_, folder));
      if (!first.empty() || !place) return {};
      STAGEFS_RETURN_IF_ERROR(tree_.transaction().PutTreeEntry(commit_, *place, Entry()));
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> row, tree_.LookUpStaged(*place));
      if (!row) {
        Entry kept;
        kept.kind = EntryKind::kFolder;
        kept.child = folder;
        kept.mtime_ns = commit_.time_ns;
        STAGEFS_RETURN_IF_ERROR(
            tree_.transaction().PutStaged(tree_.workspace().id, *place, {kept, StagedState::kKept}));
      }
      folder = place->folder;
    }
    return {};
  }

  Overlay& tree_;
  const CommitInfo& commit_;
  std::set<FolderId> filled_, thinned_, settled_;
  TreeView view_;
};

// Everything in the tree may have moved: FolderId 0 stands for all of it.
constexpr FolderId kEverything = 0;

Result<int64_t> CountCommits(IndexReader& index, CommitSeq head, CommitSeq base) {
  int64_t count = 0;
  for (CommitSeq seq = head; seq != base && seq != 0; ++count) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, index.GetCommit(seq));
    if (!commit) break;
    seq = commit->parent;
  }
  return count;
}

Result<Overlay> OnTopOf(Overlay& overlay, CommitSeq base) {
  WorkspaceInfo info = overlay.workspace();
  info.base = base;
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, overlay.index().ViewOf(base));
  return Overlay(overlay.transaction(), std::move(info), std::move(view), overlay.writer());
}

}  // namespace

Result<int64_t> Workspace::Rebase() {
  return Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<int64_t> {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> branch,
                             overlay.index().FindBranch(overlay.workspace().branch));
    if (!branch) return Error(ErrorCode::kNotFound, "Branch '" + overlay.workspace().branch + "' not found");
    const CommitSeq base = overlay.workspace().base;
    if (branch->head == base) return int64_t{0};
    STAGEFS_ASSIGN_OR_RETURN(Overlay onto, OnTopOf(overlay, branch->head));
    STAGEFS_RETURN_IF_ERROR(Rebaser(overlay, onto).Run());
    STAGEFS_RETURN_IF_ERROR(overlay.transaction().PutWorkspace(onto.workspace()));
    overlay.NoteChange(kEverything);
    return CountCommits(overlay.index(), branch->head, base);
  });
}

Result<CommitResult> Workspace::Commit(const std::string& message, const Author& author,
                                       const std::optional<std::string>& branch_name) {
  if (message.empty()) return Error(ErrorCode::kInvalidArgument, "a commit needs a message");
  STAGEFS_ASSIGN_OR_RETURN(const auto mounts, repository_.LiveMounts());
  const bool mounted = std::any_of(mounts.begin(), mounts.end(),
                                   [&](const MountRow& mount) { return mount.workspace == id_; });
  return Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<CommitResult> {
    IndexTransaction& transaction = overlay.transaction();
    const WorkspaceInfo& workspace = overlay.workspace();
    const std::string name = branch_name.value_or(workspace.branch);
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> branch, transaction.FindBranch(name));
    if (!branch) return Error(ErrorCode::kNotFound, "Branch '" + name + "' not found");
    STAGEFS_ASSIGN_OR_RETURN(Overlay onto, OnTopOf(overlay, branch->head));
    CommitResult result;
    if (branch->head != workspace.base) {
      STAGEFS_RETURN_IF_ERROR(Rebaser(overlay, onto).Run());
      STAGEFS_ASSIGN_OR_RETURN(result.others, CountCommits(transaction, branch->head, workspace.base));
      overlay.NoteChange(kEverything);
    }
    CommitInfo commit;
    commit.id = RandomHex();
    commit.parent = branch->head;
    commit.message = message;
    commit.author = author.name;
    commit.email = author.email;
    commit.time_ns = NowNs();
    STAGEFS_ASSIGN_OR_RETURN(result.commit, transaction.AddCommit(commit));
    STAGEFS_ASSIGN_OR_RETURN(result.entries, Committer(onto, result.commit).Run(&result.left_out));
    STAGEFS_RETURN_IF_ERROR(transaction.PutBranch({name, result.commit.seq}));
    result.workspace_deleted = !workspace.name && !mounted;
    if (result.workspace_deleted) {
      STAGEFS_RETURN_IF_ERROR(transaction.EraseWorkspace(workspace.id));
    } else {
      WorkspaceInfo moved = workspace;
      moved.base = result.commit.seq;
      STAGEFS_RETURN_IF_ERROR(transaction.PutWorkspace(moved));
    }
    return result;
  });
}

}  // namespace stagefs
