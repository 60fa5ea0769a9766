#include "workspace_tree.h"

#include <algorithm>

namespace stagefs {
namespace {

constexpr size_t kListPage = 512;

}  // namespace

Result<std::optional<StagedEntry>> WorkspaceTree::LookUpStaged(const Slot& slot) {
  return index_.LookUpStaged(workspace_.id, slot.folder, slot.name);
}

bool WorkspaceTree::IsUnstagedLink(const StagedEntry& staged, const std::optional<Entry>& base) {
  const Entry& entry = staged.entry;
  if (entry.kind != EntryKind::kSymlink || entry.scratch) return false;
  if (staged.state == StagedState::kAdded || staged.state == StagedState::kModified) return false;
  return !base || !IsSameFile(*base, entry);  // Else it has only a time of its own.
}

Result<bool> WorkspaceTree::IsUnstagedLink(const Slot& slot, const Entry& entry) {
  if (entry.kind != EntryKind::kSymlink || workspace_.id == 0) return false;
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> staged, LookUpStaged(slot));
  if (!staged) return false;
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, LookUpBase(slot));
  return IsUnstagedLink(*staged, base);
}

Result<bool> WorkspaceTree::IsLeftOut(const Slot& slot, const Entry& entry) {
  STAGEFS_ASSIGN_OR_RETURN(const bool scratch, IsScratch(slot, entry));
  if (scratch) return true;
  return IsUnstagedLink(slot, entry);
}

Result<std::optional<Entry>> WorkspaceTree::LookUp(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(std::optional<StagedEntry> staged, LookUpStaged(slot));
  if (!staged) return base_.LookUp(slot);
  if (staged->entry.kind == EntryKind::kRemoved) return std::optional<Entry>();
  return std::optional<Entry>(std::move(staged->entry));
}

// Two sorted ranges are merged; where both have a name the staged row wins, and a removal shows nothing.
Result<std::vector<Named<Entry>>> WorkspaceTree::List(FolderId folder, std::string_view after, size_t limit) {
  std::vector<Named<Entry>> merged;
  std::string cursor(after);
  // Grows, as all of a page may be removed.
  for (size_t page = limit; merged.size() < limit; page = std::max(page, std::min(2 * page, kListPage))) {
    STAGEFS_ASSIGN_OR_RETURN(auto base, base_.List(folder, cursor, page));
    STAGEFS_ASSIGN_OR_RETURN(auto staged, index_.ListStaged(workspace_.id, folder, cursor, page));
    // A full page may be cut: only names up to the smaller of the two last ones are decided.
    std::optional<std::string> horizon;
    if (base.size() == page) horizon = base.back().name;
    if (staged.size() == page && (!horizon || staged.back().name < *horizon)) horizon = staged.back().name;
    size_t b = 0, s = 0;
    while ((b < base.size() || s < staged.size()) && merged.size() < limit) {
      const bool take_staged = s < staged.size() && (b == base.size() || staged[s].name <= base[b].name);
      const std::string& name = take_staged ? staged[s].name : base[b].name;
      if (horizon && name > *horizon) break;
      if (take_staged && b < base.size() && base[b].name == name) ++b;
      cursor = name;
      if (!take_staged) {
        merged.push_back(std::move(base[b++]));
      } else {
        if (staged[s].value.entry.kind != EntryKind::kRemoved) {
          merged.push_back({staged[s].name, std::move(staged[s].value.entry)});
        }
        ++s;
      }
    }
    if (!horizon) break;
  }
  return merged;
}

Result<std::optional<Slot>> WorkspaceTree::PlaceOf(FolderId folder) {
  if (folder == kRootFolder) return std::optional<Slot>();
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Slot> place, index_.PlaceInStaged(workspace_.id, folder));
  if (place) return place;
  return base_.PlaceOf(folder);
}

Result<std::string> WorkspaceTree::PathOf(FolderId folder) {
  std::vector<std::pair<FolderId, std::string>> names;  // From the folder up to one whose path is known.
  std::string path;
  for (FolderId at = folder; at != kRootFolder;) {
    if (const auto known = paths_.find(at); known != paths_.end()) {
      path = known->second;
      break;
    }
    STAGEFS_ASSIGN_OR_RETURN(std::optional<Slot> place, PlaceOf(at));
    if (!place) return Error(ErrorCode::kStale, "the folder is gone");
    names.emplace_back(at, std::move(place->name));
    at = place->folder;
  }
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    path = JoinPath(path, name->second);
    paths_[name->first] = path;
  }
  return path;
}

}  // namespace stagefs
