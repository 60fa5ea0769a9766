#include "nodes.h"

#include <sys/stat.h>

#include <algorithm>

namespace stagefs {
namespace {

constexpr size_t kAbsentNamesMax = 256;
constexpr uint64_t kFolderBytes = 4096;

}  // namespace

Result<std::shared_ptr<Node>> Nodes::Get(NodeId id) {
  MountCounters::Add(counters_.operations);
  auto node = Lock()->Find(id);
  if (!node) return Error(ErrorCode::kStale, "unknown inode");
  return node;
}

std::optional<NodeId> Nodes::NodeOf(FolderId folder) {
  if (folder == kRootFolder) return kRootNode;
  const auto node = Lock()->FindFolder(folder);
  return node ? std::optional(node->id) : std::nullopt;
}

uint64_t Nodes::NumberOf(FolderId folder) {
  const auto node = Lock()->FindFolder(folder);
  return node ? node->number : 0;
}

std::shared_ptr<Node> Nodes::Remember(const Slot& slot, const Entry& entry, bool count_lookup) {
  auto table = Lock();
  if (const auto folder = table->FindFolder(slot.folder)) folder->MakeExtra().absent.erase(slot.name);
  std::shared_ptr<Node> node = table->FindSlot(slot);
  if (node && node->written) {
    // This is what the mount shows, whatever is staged meanwhile.
  } else if (node && SameContent(node->entry(), entry)) {
    node->SetEntry(entry);
  } else {
    node = Add(*table, slot, entry);
  }
  if (count_lookup) ++node->lookups;
  return node;
}

std::shared_ptr<Node> Nodes::Add(InodeTable& table, const Slot& slot, const Entry& entry) {
  const auto node = entry.kind == EntryKind::kFolder ? table.AddFolder(entry.child) : table.Add(KindOf(entry.kind));
  node->SetEntry(entry);
  node->found_ns = NowNs();
  table.Attach(node, slot);
  return node;
}

std::shared_ptr<Node> Nodes::RememberListed(const Slot& slot, const Entry& entry,
                                            const std::function<bool()>& is_current) {
  auto table = Lock();
  if (!is_current()) return nullptr;
  std::shared_ptr<Node> node = table->FindSlot(slot);
  if (!node) node = Add(*table, slot, entry);
  ++node->lookups;
  return node;
}

LookedUp Nodes::RememberAbsent(Node& folder, const std::string& name, int64_t generation) {
  auto table = Lock();
  LookedUp absent;
  absent.cacheable = folder.extra().absent.size() < kAbsentNamesMax && generation == generation_.load();
  if (absent.cacheable) folder.MakeExtra().absent.insert(name);
  return absent;
}

void Nodes::TouchFolder(FolderId folder) {
  auto table = Lock();
  if (const auto node = table->FindFolder(folder)) node->MakeExtra().touched_ns = NowNs();
}

FileMode Nodes::ModeOf(mode_t mode, bool is_folder) const {
  FileMode set{is_folder || (mode & 0111) != 0, std::nullopt};
  const auto bits = static_cast<uint16_t>(mode & 0777);
  if (bits != PermissionsOf(set)) set.permissions = bits;  // Else the mount shows them, whatever it is asked.
  return set;
}

FileMode Nodes::ModeOfNew(mode_t mode, bool is_folder) const {
  constexpr mode_t kOthersWrite = 022;
  const bool executable = is_folder || (mode & 0111) != 0;
  if (((mode & 0777) | kOthersWrite) == (executable ? 0777 : 0666)) return {executable, std::nullopt};
  return ModeOf(mode & ~options_.umask, is_folder);
}

Attributes Nodes::AttributesOf(const Node& node) const {
  if (IsFolder(node.kind)) return AttributesOfFolder(node);
  const Entry entry = node.entry();
  Attributes attributes;
  attributes.id = node.id;
  attributes.number = node.number;
  attributes.type = S_IFREG;
  attributes.size_bytes = entry.size_bytes;
  attributes.mtime_ns = entry.mtime_ns;
  if (IsLink(node.kind)) {
    attributes.type = S_IFLNK;
    attributes.permissions = 0777;
    attributes.size_bytes = entry.target.size();
  } else if (node.kind == NodeKind::kText) {
    attributes.permissions = 0444 & ~options_.umask;
    attributes.fleeting = true;
    attributes.mtime_ns = NowNs();
  } else if (node.kind == NodeKind::kCommand) {
    attributes.permissions = 0200 & ~options_.umask;
  } else {
    attributes.permissions = PermissionsOf(entry.mode());
  }
  return attributes;
}

Attributes Nodes::AttributesOfFolder(const Node& node) const {
  Attributes attributes;
  attributes.id = node.id;
  attributes.number = node.number;
  attributes.type = S_IFDIR;
  attributes.permissions = PermissionsOf({true, node.entry().permissions});
  attributes.links = 1;  // Says nothing of sub-folders, so that no tool counts on it.
  attributes.size_bytes = kFolderBytes;
  attributes.mtime_ns = node.entry().mtime_ns;
  if (node.kind == NodeKind::kFolder) {
    attributes.mtime_ns = std::max({node.extra().touched_ns, attributes.mtime_ns, int64_t{0}});
  }
  if (attributes.mtime_ns == 0) attributes.mtime_ns = options_.commit_ns.value_or(counters_.started_ns);
  return attributes;
}

}  // namespace stagefs
