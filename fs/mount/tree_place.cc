// Looked up, listed and opened. What changes the tree is in tree_place_changes.cc.
#include "tree_place.h"

#include "stagefs/posix_env.h"
#include "tree_pages.h"

namespace stagefs {
namespace {

// How long the answer to an open() may be older than what others staged, as that of a look-up.
constexpr int64_t kStaleNs = 1'000'000'000;
constexpr size_t kToldStaleMax = 1000;

}  // namespace

// Looked up once more. nullptr: nothing there is being written.
std::shared_ptr<Node> TreePlace::FindWritten(const Slot& slot) {
  auto table = nodes_.Lock();
  auto node = table->FindSlot(slot);
  if (!node || !node->written) return nullptr;
  ++node->lookups;
  return node;
}

Result<LookedUp> TreePlace::LookUp(const std::shared_ptr<Node>& folder, const std::string& name) {
  if (folder->kind != NodeKind::kFolder) return Error(ErrorCode::kNotDirectory, name);
  if (name.size() > kNameBytesMax) return Error(ErrorCode::kNameTooLong, "name too long");
  const Slot slot{folder->folder(), name};
  if (const auto written_here = FindWritten(slot)) return LookedUp{files_.AttributesOf(written_here)};
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
Status TreePlace::CheckCurrent(const std::shared_ptr<Node>& node, Use use) {
  const auto heard = use == Use::kRead ? notifier_.HeardMark() : std::nullopt;
  Slot slot;
  {
    auto table = nodes_.Lock();
    if (!node->attached) return UseReplaced(*table, node, use);
    if (node->written) return {};  // Here: this is what the path shows.
    if (heard && notifier_.Shows(*heard) && !node->passed_over) return {};
    slot = node->slot;
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, tree_.LookUp(slot));
  auto table = nodes_.Lock();
  if (!node->attached || node->slot != slot) return UseReplaced(*table, node, use);
  if (!node->written) {
    if (!entry || !SameContent(*entry, node->entry())) {
      table->Detach(node);
      return UseReplaced(*table, node, use);
    }
    node->SetEntry(*entry);
  }
  if (use == Use::kWrite) table->SetWritten(node, true);
  return {};
}

// The kernel looks a path up again once: where it is replaced faster than that, what was found then is right, as it was
// there after the program asked. What is written to it stands at its name, as if it had been opened just before.
Status TreePlace::UseReplaced(InodeTable& table, const std::shared_ptr<Node>& node, Use use) {
  const Error stale(ErrorCode::kStale, "replaced");
  const int64_t now = NowNs();
  auto told = told_stale_.Lock();
  if (told->size() > kToldStaleMax) told->clear();
  ToldStale& before = (*told)[node->slot];
  if (before.first == 0 || now - before.at_ns > kStaleNs) before = {node->id, now};
  if (node->id <= before.first || use == Use::kLink) return stale;
  if (use == Use::kRead) return {};
  const auto there = table.FindSlot(node->slot);
  if (there && there->written) return stale;
  table.Attach(node, node->slot);
  table.SetWritten(node, true);
  return {};
}

Result<std::unique_ptr<FileHandle>> TreePlace::Open(const std::shared_ptr<Node>& node, int flags) {
  if (node->kind != NodeKind::kFile) return Error(ErrorCode::kIsDirectory, "not a file");
  STAGEFS_RETURN_IF_ERROR(CheckCurrent(node, WantsToWrite(flags) ? Use::kWrite : Use::kRead));
  return OpenHandle(files_, node, flags);
}

}  // namespace stagefs
