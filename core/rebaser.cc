#include "rebaser.h"

namespace stagefs {
namespace {

constexpr size_t kConflictPathsShown = 20;

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

}  // namespace

Result<std::vector<std::string>> Rebaser::Conflicts() {
  rows_.clear();
  conflicts_.clear();
  STAGEFS_RETURN_IF_ERROR(WalkStaged(from_, [&](const StagedAt& at) -> Status {
    rows_.push_back(at);
    return Check(at);
  }));
  return conflicts_;
}

Status Rebaser::Run() {
  STAGEFS_RETURN_IF_ERROR(Conflicts().WithoutValue());
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

Status Rebaser::Check(const StagedAt& at) {
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

Error Rebaser::Conflict() const {
  std::string message = "changed here and on the branch:";
  for (size_t i = 0; i < conflicts_.size() && i < kConflictPathsShown; ++i) {
    message += (i == 0 ? " " : ", ") + ToDisplayUtf8(conflicts_[i]);
  }
  if (conflicts_.size() > kConflictPathsShown) {
    message += " and " + std::to_string(conflicts_.size() - kConflictPathsShown) + " more";
  }
  return Error(ErrorCode::kConflict, message + ": unstage them or stage what you want on top of the head");
}

Result<Slot> Rebaser::SlotAt(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath parsed, RepoPath::Parse(path));
  STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, to_.EnsureFolders(parsed.parent()));
  return Slot{folder, std::string(parsed.name())};
}

Status Rebaser::Lay(const StagedAt& at) {
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

}  // namespace stagefs
