#include "commit_tree.h"

namespace stagefs {

Result<CommitTree> CommitTree::Of(IndexReader& index, CommitSeq commit) {
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, index.ViewOf(commit));
  return CommitTree(index, std::move(view));
}

// A manifest asks about thousands of names of a folder that no commit ever touched.
Result<bool> CommitTree::HasRows(FolderId folder) {
  if (const auto known = has_rows_.find(folder); known != has_rows_.end()) return known->second;
  STAGEFS_ASSIGN_OR_RETURN(const bool has, index_.HasBaseRows(folder));
  has_rows_.emplace(folder, has);
  return has;
}

Result<std::optional<Entry>> CommitTree::LookUp(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const bool has_rows, HasRows(slot.folder));
  if (!has_rows) return std::optional<Entry>();
  return index_.LookUpBase(view_, slot.folder, slot.name);
}

Result<std::vector<Named<Entry>>> CommitTree::List(FolderId folder, std::string_view after, size_t limit) {
  return index_.ListBase(view_, folder, after, limit);
}

Result<std::optional<Slot>> CommitTree::PlaceOf(FolderId folder) {
  if (folder == kRootFolder) return std::optional<Slot>();
  return index_.PlaceInBase(view_, folder);
}

}  // namespace stagefs
