#include "rebaser.h"

#include <algorithm>

#include "differ.h"
#include "stagefs/posix_env.h"
#include "stagefs/work_progress.h"

namespace stagefs {
namespace {

constexpr size_t kConflictPathsShown = 20;
// Where the other side changed much more than this one, its changes are not all read: each row is looked at instead.
constexpr size_t kTheirsForEachOfOurs = 8, kTheirsMin = 1'024;

bool SameFile(const std::optional<Entry>& a, const std::optional<Entry>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return IsFileOrLink(*a) ? IsSameFile(*a, *b) : a->kind == b->kind;
}

Result<std::optional<Entry>> FindIn(Tree& tree, const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath parsed, RepoPath::Parse(path));
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Located> located, FindIfThere(tree, parsed));
  return located ? std::optional<Entry>(std::move(located->entry)) : std::nullopt;
}

bool IsRenamedFolder(const StagedAt& at) {
  return at.staged.entry.kind == EntryKind::kFolder && at.staged.state == StagedState::kModified;
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

Result<std::optional<Entry>> Rebaser::Finder::Find(const std::string& path) {
  std::string parent = ParentOf(path);
  if (parent_ != parent) {
    parent_.reset();
    folder_ = kRootFolder;
    if (!parent.empty()) {
      STAGEFS_ASSIGN_OR_RETURN(const auto there, FindIn(tree_, parent));
      folder_.reset();
      if (there && there->kind == EntryKind::kFolder) folder_ = there->child;
    }
    parent_ = std::move(parent);
  }
  if (!folder_) return std::optional<Entry>();
  return tree_.LookUp({*folder_, NameOf(path)});
}

// What they put into a folder that is removed here stays, so its row means something else there.
Status Rebaser::LookAt(const std::vector<StagedRow>& page) {
  rows_ += page.size();
  std::vector<Slot> removed;
  for (const StagedRow& row : page) {
    if (row.staged.state == StagedState::kRemoved) removed.push_back(row.slot);
  }
  if (removed.empty()) return {};
  removes_ = true;
  if (removes_folders_) return {};
  STAGEFS_RETURN_IF_ERROR(from_.Expect(removed));
  for (const Slot& slot : removed) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, from_.LookUpBase(slot));
    removes_folders_ = removes_folders_ || (base && base->kind == EntryKind::kFolder);
  }
  return {};
}

Result<bool> Rebaser::AreApart() {
  rows_ = 0;
  STAGEFS_ASSIGN_OR_RETURN(const int64_t staged, from_.index().CountStaged(from_.workspace().id));
  ExpectSteps(staged);
  STAGEFS_ASSIGN_OR_RETURN(
      folders_, CollectStagedFolders(from_, [this](const std::vector<StagedRow>& page) { return LookAt(page); }));
  if (rows_ == 0) return true;
  if (removes_folders_) return false;
  std::vector<Slot> places;  // Of the folders that hold rows, and of those above them.
  for (const auto& [folder, children] : folders_) {
    for (const auto& [name, child] : children) places.push_back({folder, name});
  }
  std::sort(places.begin(), places.end());
  size_t left = kTheirsForEachOfOurs * (rows_ + places.size()) + kTheirsMin;
  return VisitSlotsBetween(from_.index(), from_.workspace().base, to_.workspace().base,
                           [&](const std::vector<Slot>& page) -> Result<bool> {
                             if (left < page.size()) return false;
                             left -= page.size();
                             STAGEFS_RETURN_IF_ERROR(from_.Expect(page));
                             for (const Slot& slot : page) {
                               if (std::binary_search(places.begin(), places.end(), slot)) return false;
                               STAGEFS_ASSIGN_OR_RETURN(const auto ours, from_.LookUpStaged(slot));
                               if (ours) return false;
                             }
                             return true;
                           });
}

Status Rebaser::Check(size_t listed, bool count_all) {
  // An Error only to end the walk.
  const auto enough = [&] { return !count_all && conflicts_.size() == listed; };
  ExpectSteps(static_cast<int64_t>(rows_));
  const Status walked = WalkStaged(from_, folders_, [&](const StagedAt& at) -> Status {
    if (IsRenamedFolder(at)) renamed_.push_back(at);
    STAGEFS_ASSIGN_OR_RETURN(const bool conflict, IsConflict(at));
    if (!conflict) return {};
    ++conflicts_total_;
    if (conflicts_.size() < listed) conflicts_.push_back(at.path);
    if (conflict_lines_.size() < kConflictPathsShown && count_all) {
      STAGEFS_ASSIGN_OR_RETURN(std::string line, ThreeHashes(at));
      conflict_lines_.push_back(std::move(line));
    }
    return enough() ? Status(Error(ErrorCode::kConflict, "")) : Status();
  });
  if (!walked && !enough()) return walked;
  return {};
}

Result<std::vector<std::string>> Rebaser::Conflicts() {
  STAGEFS_ASSIGN_OR_RETURN(const bool apart, AreApart());
  if (!apart) STAGEFS_RETURN_IF_ERROR(Check(kConflictsListed, /*count_all=*/false));
  return std::move(conflicts_);
}

Status Rebaser::Run() {
  STAGEFS_ASSIGN_OR_RETURN(const bool apart, AreApart());
  if (apart) return {};
  STAGEFS_RETURN_IF_ERROR(Check(kConflictPathsShown, /*count_all=*/true));
  if (conflicts_total_ > 0) return Conflict();
  return LayAll();
}

// What is staged is read from beside the workspace, while it is laid into it anew.
Status Rebaser::LayAll() {
  WorkspaceInfo beside = from_.workspace();
  beside.id = -beside.id;
  STAGEFS_RETURN_IF_ERROR(to_.transaction().MoveStaged(to_.workspace().id, beside.id));
  STAGEFS_RETURN_IF_ERROR(to_.transaction().EraseAllStaged(to_.workspace().id));
  WorkspaceTree staged(from_.index(), beside, from_.base().view());
  // A name may be wanted that is free only after something else went: renamed folders step aside first, then
  // everything removed goes, the deepest folders first, and only then does anything arrive.
  for (const StagedAt& at : renamed_) STAGEFS_RETURN_IF_ERROR(StepAside(at));
  std::vector<Slot> emptied;
  ExpectSteps(static_cast<int64_t>(rows_));
  if (removes_ || !renamed_.empty()) {
    ExpectSteps(static_cast<int64_t>(rows_));
    STAGEFS_RETURN_IF_ERROR(WalkStaged(staged, folders_, [&](const StagedAt& at) { return Clear(at, &emptied); }));
  }
  for (auto slot = emptied.rbegin(); slot != emptied.rend(); ++slot) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> folder, to_.LookUp(*slot));
    if (!folder || folder->kind != EntryKind::kFolder) continue;
    STAGEFS_ASSIGN_OR_RETURN(const bool empty, to_.IsEmpty(folder->child));
    if (empty) STAGEFS_RETURN_IF_ERROR(to_.RemoveFolder(*slot));
  }
  STAGEFS_RETURN_IF_ERROR(WalkStaged(staged, folders_, [&](const StagedAt& at) { return Lay(at); }));
  return to_.transaction().EraseAllStaged(beside.id);
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

// Whether the other side made a file of a folder above; one that was there before is out of the way by what is staged.
Result<bool> Rebaser::IsAboveInTheWay(const RepoPath& parent) {
  if (above_ == parent.str()) return above_in_the_way_;
  bool in_the_way = false;
  for (RepoPath above = parent; !above.is_root(); above = above.parent()) {
    STAGEFS_ASSIGN_OR_RETURN(const auto theirs, FindIn(to_.base(), above.str()));
    if (!theirs) continue;
    if (theirs->kind == EntryKind::kFolder) break;
    STAGEFS_ASSIGN_OR_RETURN(const auto before, FindIn(from_.base(), above.str()));
    in_the_way = !SameFile(before, theirs);
    break;
  }
  above_ = parent.str();
  above_in_the_way_ = in_the_way;
  return in_the_way;
}

// Whether the other side made something of another kind where this row is, or a file of a folder above it.
Result<bool> Rebaser::IsInTheWay(const StagedAt& at, const std::optional<Entry>& before,
                                 const std::optional<Entry>& theirs) {
  const Entry& entry = at.staged.entry;
  if (entry.kind == EntryKind::kRemoved) return false;
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(at.path));
  STAGEFS_ASSIGN_OR_RETURN(const bool above, IsAboveInTheWay(path.parent()));
  if (above) return true;
  if (!theirs) return false;
  if (WorkspaceTree::IsUnstagedLink(at.staged, before)) return !SameFile(before, theirs);
  if (entry.kind != EntryKind::kFolder || theirs->kind == EntryKind::kFolder) return false;
  STAGEFS_ASSIGN_OR_RETURN(const bool empty, from_.IsEmpty(entry.child));
  return !empty && !SameFile(before, theirs);
}

Result<bool> Rebaser::IsConflict(const StagedAt& at) {
  const Entry& entry = at.staged.entry;
  STAGEFS_ASSIGN_OR_RETURN(const auto before, before_.Find(at.path));
  STAGEFS_ASSIGN_OR_RETURN(const auto theirs, theirs_.Find(at.path));
  STAGEFS_ASSIGN_OR_RETURN(const bool in_the_way, IsInTheWay(at, before, theirs));
  if (in_the_way) return true;
  if (at.staged.state == StagedState::kKept) {
    STAGEFS_ASSIGN_OR_RETURN(const bool scratch, from_.IsScratch(at.slot, entry));
    if (scratch || !entry.scratch) return false;
  }
  if (IsRenamedFolder(at)) {
    // A renamed folder: where it was it must still be, and its new place must be free.
    STAGEFS_ASSIGN_OR_RETURN(const std::string home, from_.base().PathOf(entry.child));
    STAGEFS_ASSIGN_OR_RETURN(const auto at_home, FindIn(to_.base(), home));
    const bool taken = theirs && (!before || (IsFileOrLink(*before) && !SameFile(before, theirs)));
    return !at_home || at_home->child != entry.child || taken;
  }
  if (before && before->kind == EntryKind::kFolder) return false;  // A folder removed or renamed away.
  std::optional<Entry> ours;
  if (at.staged.state != StagedState::kRemoved) ours = entry;
  return !SameFile(before, theirs) && !SameFile(theirs, ours);
}

Result<std::string> Rebaser::HashOf(const std::optional<Entry>& entry) {
  if (!entry || entry->kind == EntryKind::kRemoved) return std::string("nothing");
  if (entry->kind == EntryKind::kFolder) return std::string("a folder");
  if (entry->kind == EntryKind::kSymlink) return "a symbolic link to " + ToDisplayUtf8(entry->target);
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, from_.index().GetVersion(entry->version));
  return version ? ToHex(version->content.sha256) : std::string("a version that is gone");
}

Result<std::string> Rebaser::ThreeHashes(const StagedAt& at) {
  STAGEFS_ASSIGN_OR_RETURN(const auto before, before_.Find(at.path));
  STAGEFS_ASSIGN_OR_RETURN(const auto theirs, theirs_.Find(at.path));
  STAGEFS_ASSIGN_OR_RETURN(const std::string was, HashOf(before));
  STAGEFS_ASSIGN_OR_RETURN(const std::string here, HashOf(at.staged.entry));
  STAGEFS_ASSIGN_OR_RETURN(const std::string there, HashOf(theirs));
  return ToDisplayUtf8(at.path) + "\n    base   " + was + "\n    here   " + here + "\n    branch " + there;
}

Error Rebaser::Conflict() const {
  std::string message = "changed here and on the branch:";
  for (size_t i = 0; i < conflicts_.size(); ++i) message += (i == 0 ? " " : ", ") + ToDisplayUtf8(conflicts_[i]);
  if (conflicts_total_ > conflicts_.size()) {
    message += " and " + std::to_string(conflicts_total_ - conflicts_.size()) + " more";
  }
  message += ": unstage them or stage what you want on top of the head";
  for (const std::string& line : conflict_lines_) message += "\n  " + line;
  return Error(ErrorCode::kConflict, message);
}

// What is laid into a folder does not change which folder it is.
Result<Slot> Rebaser::SlotAt(const std::string& path) {
  std::string parent = ParentOf(path);
  if (laid_in_ != parent) {
    laid_in_.reset();
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath parsed, RepoPath::Parse(path));
    STAGEFS_ASSIGN_OR_RETURN(laid_folder_, to_.EnsureFolders(parsed.parent()));
    laid_in_ = std::move(parent);
  }
  return Slot{laid_folder_, NameOf(path)};
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
  if (entry.kind == EntryKind::kSymlink) {
    STAGEFS_ASSIGN_OR_RETURN(const auto before, before_.Find(at.path));
    if (WorkspaceTree::IsUnstagedLink(at.staged, before)) {
      STAGEFS_ASSIGN_OR_RETURN(const Slot slot, SlotAt(at.path));
      return to_.KeepUnstaged(slot, entry);
    }
  }
  if (at.staged.state == StagedState::kKept && !entry.scratch) {
    // Only a time of its own: it goes with the content it belongs to.
    STAGEFS_ASSIGN_OR_RETURN(const auto theirs, theirs_.Find(at.path));
    if (!SameFile(theirs, entry)) return {};
  }
  STAGEFS_ASSIGN_OR_RETURN(const Slot slot, SlotAt(at.path));
  return to_.Place(slot, entry).WithoutValue();
}

}  // namespace stagefs
