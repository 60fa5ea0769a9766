#include "stagefs/tree.h"

namespace stagefs {

Tree::~Tree() = default;

Result<std::string> Tree::PathOf(FolderId folder) {
  std::string path;
  while (folder != kRootFolder) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, PlaceOf(folder));
    if (!place) return Error(ErrorCode::kStale, "the folder is gone");
    path = path.empty() ? place->name : place->name + '/' + path;
    folder = place->folder;
  }
  return path;
}

Result<std::string> Tree::PathOf(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string path, PathOf(slot.folder));
  return JoinPath(path, slot.name);
}

Result<Located> Tree::Find(const RepoPath& path) {
  Located at;
  at.entry = Entry::OfFolder(kRootFolder);
  for (const std::string_view name : path.components()) {
    if (at.entry.kind != EntryKind::kFolder) {
      return Error(ErrorCode::kNotDirectory, "'" + ToDisplayUtf8(at.slot.name) + "' is not a folder");
    }
    at.slot = Slot{at.entry.child, std::string(name)};
    STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry, LookUp(at.slot));
    if (!entry) return Error(ErrorCode::kNotFound, "no such path: " + ToDisplayUtf8(path.str()));
    at.entry = std::move(*entry);
  }
  return at;
}

Result<bool> Tree::IsEmpty(FolderId folder) {
  STAGEFS_ASSIGN_OR_RETURN(const auto first, List(folder, "", 1));
  return first.empty();
}

}  // namespace stagefs
