// Looked up, listed and opened. What changes the tree is in tree_place_changes.cc.
#include "tree_place.h"

#include "tree_pages.h"

namespace stagefs {

// Looked up once more. nullptr: nothing there is open.
std::shared_ptr<Node> TreePlace::FindOpen(const Slot& slot) {
  auto table = nodes_.Lock();
  auto node = table->FindSlot(slot);
  if (!node || !node->open()) return nullptr;
  ++node->lookups;
  return node;
}

Result<LookedUp> TreePlace::LookUp(const std::shared_ptr<Node>& folder, const std::string& name) {
  if (folder->kind != NodeKind::kFolder) return Error(ErrorCode::kNotDirectory, name);
  if (name.size() > kNameBytesMax) return Error(ErrorCode::kNameTooLong, "name too long");
  const Slot slot{folder->folder(), name};
  if (const auto open_here = FindOpen(slot)) return LookedUp{files_.AttributesOf(open_here)};
  const int64_t generation = nodes_.generation();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry,
                           look_ahead_.LookUp(slot, notifier_.HeardMark(), generation));
  if (!entry) return nodes_.RememberAbsent(*folder, name, generation);
  const auto node = nodes_.Remember(slot, *entry, true);
  return LookedUp{files_.AttributesOf(node), generation == nodes_.generation()};
}

Result<std::unique_ptr<FolderPages>> TreePlace::OpenFolder(const std::shared_ptr<Node>& folder) {
  if (folder->kind != NodeKind::kFolder) return Error(ErrorCode::kNotDirectory, "not a folder");
  const bool with_control = options_.show_control && folder->id == kRootNode;
  return std::make_unique<TreePages>(files_.repository(), tree_, nodes_, files_, folder, with_control);
}

// A manifest or another process may have replaced what the kernel still takes for the content of a path.
// ESTALE makes it look the path up again and find the new inode; without this a write would go to a file that
// no path leads to. Whoever only reads need not ask an index that tells of changes and told of none.
Status TreePlace::CheckCurrent(const std::shared_ptr<Node>& node, bool only_reads) {
  const auto heard = only_reads ? notifier_.HeardMark() : std::nullopt;
  Slot slot;
  {
    auto table = nodes_.Lock();
    if (node->open() && node->attached) return {};  // Written here: this is what the path shows.
    if (!node->attached) return Error(ErrorCode::kStale, "replaced");
    if (heard && notifier_.Shows(*heard) && !node->passed_over) return {};
    slot = node->slot;
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, tree_.LookUp(slot));
  auto table = nodes_.Lock();
  if (!node->attached || node->slot != slot) return Error(ErrorCode::kStale, "replaced");
  if (node->open()) return {};
  if (entry && SameContent(*entry, node->entry())) {
    node->SetEntry(*entry);
    return {};
  }
  table->Detach(node);
  return Error(ErrorCode::kStale, "replaced");
}

Result<std::unique_ptr<FileHandle>> TreePlace::Open(const std::shared_ptr<Node>& node, int flags) {
  if (node->kind != NodeKind::kFile) return Error(ErrorCode::kIsDirectory, "not a file");
  STAGEFS_RETURN_IF_ERROR(CheckCurrent(node, !WantsToWrite(flags)));
  return OpenHandle(files_, node, flags);
}

}  // namespace stagefs
