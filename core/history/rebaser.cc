#include "rebaser.h"

#include <algorithm>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr size_t kConflictPathsShown = 20;
constexpr size_t kExpectTogether = 4'096;
// Where the other side changed much more than this one, its changes are not all read: each row is looked at instead.
constexpr size_t kTheirsForEachOfOurs = 8, kTheirsMin = 1'024;

bool SameFile(const std::optional<Entry>& a, const std::optional<Entry>& b) {
  const bool a_file = a && a->kind == EntryKind::kFile;
  const bool b_file = b && b->kind == EntryKind::kFile;
  if (!a_file || !b_file) return a.has_value() == b.has_value() && (!a || a->kind == b->kind);
  return a->version == b->version && a->executable == b->executable;
}

Result<std::optional<Entry>> FindIn(Tree& tree, const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath parsed, RepoPath::Parse(path));
  auto located = tree.Find(parsed);
  if (located) return std::optional<Entry>(std::move(located->entry));
  const ErrorCode code = located.error().code();
  if (code == ErrorCode::kNotFound || code == ErrorCode::kNotDirectory) return std::optional<Entry>();
  return located.error();
}

bool IsRenamedFolder(const StagedAt& at) {
  return at.staged.entry.kind == EntryKind::kFolder && at.staged.state == StagedState::kModified;
}

}  // namespace

Result<bool> Rebaser::AreApart() {
  std::vector<const Slot*> ours;
  std::vector<Slot> removed;
  for (const StagedAt& at : rows_) {
    ours.push_back(&at.slot);
    if (at.staged.state == StagedState::kRemoved) removed.push_back(at.slot);
  }
  for (size_t i = 0; i < removed.size(); ++i) {
    if (i % kExpectTogether == 0) {
      const auto begin = removed.begin() + static_cast<ptrdiff_t>(i);
      STAGEFS_RETURN_IF_ERROR(
          from_.Expect({begin, begin + static_cast<ptrdiff_t>(std::min(kExpectTogether, removed.size() - i))}));
    }
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, from_.LookUpBase(removed[i]));
    if (base && base->kind == EntryKind::kFolder) return false;  // What they put into it stays.
  }
  for (const Slot& place : places_) ours.push_back(&place);
  const auto before = [](const Slot* a, const Slot* b) { return *a < *b; };
  std::sort(ours.begin(), ours.end(), before);
  size_t left = kTheirsForEachOfOurs * ours.size() + kTheirsMin;
  return VisitSlotsBetween(from_.index(), from_.workspace().base, to_.workspace().base, [&](const Slot& slot) {
    return left-- > 0 && !std::binary_search(ours.begin(), ours.end(), &slot, before);
  });
}

Result<std::vector<std::string>> Rebaser::Conflicts() {
  STAGEFS_ASSIGN_OR_RETURN(StagedFolders folders, CollectStagedFolders(from_));
  places_.clear();
  for (const auto& [folder, children] : folders) {
    for (const auto& [name, child] : children) places_.push_back({folder, name});
  }
  rows_.clear();
  STAGEFS_RETURN_IF_ERROR(WalkStaged(from_, std::move(folders), [&](const StagedAt& at) -> Status {
    rows_.push_back(at);
    return {};
  }));
  conflicts_.clear();
  STAGEFS_ASSIGN_OR_RETURN(apart_, AreApart());
  if (apart_) return conflicts_;
  for (const StagedAt& at : rows_) STAGEFS_RETURN_IF_ERROR(Check(at));
  return conflicts_;
}

Status Rebaser::Run() {
  STAGEFS_RETURN_IF_ERROR(Conflicts().WithoutValue());
  if (!conflicts_.empty()) return Conflict();
  if (apart_) return {};
  STAGEFS_RETURN_IF_ERROR(to_.transaction().EraseAllStaged(to_.workspace().id));
  // A name may be wanted that is free only after something else went: renamed folders step aside first, then
  // everything removed goes, the deepest folders first, and only then does anything arrive.
  for (const StagedAt& at : rows_) {
    if (IsRenamedFolder(at)) STAGEFS_RETURN_IF_ERROR(StepAside(at));
  }
  std::vector<Slot> emptied;
  for (const StagedAt& at : rows_) STAGEFS_RETURN_IF_ERROR(Clear(at, &emptied));
  for (auto slot = emptied.rbegin(); slot != emptied.rend(); ++slot) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> folder, to_.LookUp(*slot));
    if (!folder || folder->kind != EntryKind::kFolder) continue;
    STAGEFS_ASSIGN_OR_RETURN(const bool empty, to_.IsEmpty(folder->child));
    if (empty) STAGEFS_RETURN_IF_ERROR(to_.RemoveFolder(*slot));
  }
  for (const StagedAt& at : rows_) STAGEFS_RETURN_IF_ERROR(Lay(at));
  return {};
}

Status Rebaser::StepAside(const StagedAt& at) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> home, to_.PlaceOf(at.staged.entry.child));
  if (!home) return Error(ErrorCode::kConflict, ToDisplayUtf8(at.path) + ": its folder is gone");
  return to_.Rename(*home, {kRootFolder, "aside-" + RandomHex()}, RenameMode::kReplace);
}

// Takes away what the base had where `at` removes it or lies over it. Folders are left to be looked at once all their
// files are gone.
Status Rebaser::Clear(const StagedAt& at, std::vector<Slot>* emptied) {
  if (at.staged.state != StagedState::kRemoved && !IsRenamedFolder(at)) return {};
  Slot slot = at.slot;
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, to_.PlaceOf(slot.folder));
  if (!place && slot.folder != kRootFolder) {
    // The other side made the folder anew.
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(at.path));
    const auto located = to_.Find(path);
    if (!located) return {};
    slot = located->slot;
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, to_.LookUp(slot));
  if (!entry) return {};
  if (entry->kind != EntryKind::kFolder) return to_.Remove(slot);
  emptied->push_back(slot);
  return {};
}

// Whether the other side made something of another kind where this row is, or a file of a folder above it.
Result<bool> Rebaser::IsInTheWay(const StagedAt& at) {
  const Entry& entry = at.staged.entry;
  if (entry.kind == EntryKind::kRemoved) return false;
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(at.path));
  for (RepoPath above = path.parent(); !above.is_root(); above = above.parent()) {
    STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_.base(), above.str()));
    if (!theirs) continue;
    if (theirs->kind == EntryKind::kFolder) break;
    // A file that was there before is out of the way by what is staged here.
    STAGEFS_ASSIGN_OR_RETURN(const auto before, FindIn(from_.base(), above.str()));
    return !SameFile(before, theirs);
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_.base(), at.path));
  if (!theirs) return false;
  STAGEFS_ASSIGN_OR_RETURN(const auto before, FindIn(from_.base(), at.path));
  if (entry.kind == EntryKind::kSymlink) return !SameFile(before, theirs);
  if (entry.kind != EntryKind::kFolder || theirs->kind == EntryKind::kFolder) return false;
  STAGEFS_ASSIGN_OR_RETURN(const bool empty, from_.IsEmpty(entry.child));
  return !empty && !SameFile(before, theirs);
}

Status Rebaser::Check(const StagedAt& at) {
  const Entry& entry = at.staged.entry;
  STAGEFS_ASSIGN_OR_RETURN(const bool in_the_way, IsInTheWay(at));
  if (in_the_way) {
    conflicts_.push_back(at.path);
    return {};
  }
  if (at.staged.state == StagedState::kKept) return {};
  if (IsRenamedFolder(at)) {
    // A renamed folder: where it was it must still be, and its new place must be free.
    STAGEFS_ASSIGN_OR_RETURN(const std::string home, from_.base().PathOf(entry.child));
    STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_.base(), home));
    STAGEFS_ASSIGN_OR_RETURN(const auto target, FindIn(to_.base(), at.path));
    STAGEFS_ASSIGN_OR_RETURN(const auto before, FindIn(from_.base(), at.path));
    const bool taken = target && (!before || (before->kind == EntryKind::kFile && !SameFile(before, target)));
    if (!theirs || theirs->child != entry.child || taken) conflicts_.push_back(at.path);
    return {};
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto base, FindIn(from_.base(), at.path));
  STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_.base(), at.path));
  if (base && base->kind == EntryKind::kFolder) return {};  // A folder removed or renamed away.
  std::optional<Entry> ours;
  if (at.staged.state != StagedState::kRemoved) ours = entry;
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
    case EntryKind::kRemoved: return {};
    case EntryKind::kFolder: {
      STAGEFS_ASSIGN_OR_RETURN(const Slot slot, SlotAt(at.path));
      if (!IsRenamedFolder(at)) {
        // An empty one makes way for what the other side has there.
        STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> theirs, to_.LookUp(slot));
        if (theirs && theirs->kind != EntryKind::kFolder) return {};
        return to_.EnsureFolder(slot).WithoutValue();
      }
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> aside, to_.PlaceOf(entry.child));
      if (!aside) return Error(ErrorCode::kCorrupt, ToDisplayUtf8(at.path) + ": its folder is gone");
      return to_.Rename(*aside, slot, RenameMode::kReplace);
    }
    case EntryKind::kFile:
    case EntryKind::kSymlink: break;
  }
  if (entry.kind == EntryKind::kFile && at.staged.state == StagedState::kKept && !entry.scratch) {
    // Only a time of its own: it goes with the content it belongs to.
    STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_.base(), at.path));
    if (!SameFile(theirs, entry)) return {};
  }
  STAGEFS_ASSIGN_OR_RETURN(const Slot slot, SlotAt(at.path));
  return to_.Place(slot, entry).WithoutValue();
}

}  // namespace stagefs
