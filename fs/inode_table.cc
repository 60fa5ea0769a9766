#include "inode_table.h"

#include <algorithm>
#include <cassert>

namespace stagefs {
namespace {

// Folder F has the node id 2F - 1, so the root folder 1 is the root node 1. Others get even ids.
NodeId IdOfFolder(FolderId folder) { return 2 * static_cast<NodeId>(folder) - 1; }

}  // namespace

bool SameContent(const Entry& a, const Entry& b) {
  return a.kind == b.kind && a.version == b.version && a.child == b.child && a.target == b.target;
}

NodeKind KindOf(EntryKind kind) {
  switch (kind) {
    case EntryKind::kFolder: return NodeKind::kFolder;
    case EntryKind::kSymlink: return NodeKind::kSymlink;
    case EntryKind::kFile:
    case EntryKind::kRemoved: break;
  }
  return NodeKind::kFile;
}

InodeTable::InodeTable() : next_(2) {
  const auto root = AddFolder(kRootFolder);
  root->lookups = 1;  // The kernel never looks the root up and never forgets it.
  root->attached = true;
  root->entry.kind = EntryKind::kFolder;
  root->entry.child = kRootFolder;
}

std::shared_ptr<Node> InodeTable::Find(NodeId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

std::shared_ptr<Node> InodeTable::FindSlot(const Slot& slot) const {
  const auto found = by_slot_.find(SlotOrder::Place(slot.folder, slot.name));
  return found == by_slot_.end() ? nullptr : *found;
}

std::shared_ptr<Node> InodeTable::FindFolder(FolderId folder) const { return Find(IdOfFolder(folder)); }

std::shared_ptr<Node> InodeTable::Add(NodeKind kind) {
  auto node = std::make_shared<Node>();
  node->id = next_;
  next_ += 2;
  node->kind = kind;
  by_id_[node->id] = node;
  return node;
}

std::shared_ptr<Node> InodeTable::AddFolder(FolderId folder) {
  auto& node = by_id_[IdOfFolder(folder)];
  if (!node) {
    node = std::make_shared<Node>();
    node->id = IdOfFolder(folder);
    node->kind = NodeKind::kFolder;
    node->folder = folder;
  }
  return node;
}

std::shared_ptr<Node> InodeTable::FindControl(const ControlKey& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : found->second;
}

void InodeTable::Rekey(const std::shared_ptr<Node>& node, const ControlKey& key) {
  if (const auto old = keys_.find(node->id); old != keys_.end()) by_key_.erase(old->second);
  if (const auto replaced = FindControl(key)) keys_.erase(replaced->id);
  by_key_[key] = node;
  keys_[node->id] = key;
}

std::shared_ptr<Node> InodeTable::FindOrAddControl(const ControlKey& key, NodeKind kind) {
  auto& node = by_key_[key];
  if (!node) {
    node = Add(kind);
    keys_[node->id] = key;
  }
  return node;
}

void InodeTable::Attach(const std::shared_ptr<Node>& node, const Slot& slot) {
  Detach(node);
  if (const auto before = FindSlot(slot)) Detach(before);
  node->slot = slot;
  node->attached = true;
  by_slot_.insert(node);
  if (node->open) open_.insert(node);
}

void InodeTable::Detach(const std::shared_ptr<Node>& node) {
  if (const auto found = by_slot_.find(node); found != by_slot_.end() && *found == node) {
    by_slot_.erase(found);
    open_.erase(node);
  }
  if (const auto key = keys_.find(node->id); key != keys_.end()) {
    by_key_.erase(key->second);
    keys_.erase(key);
  }
  node->attached = false;
}

void InodeTable::SetOpen(const std::shared_ptr<Node>& node, std::shared_ptr<OpenFile> file) {
  node->open = std::move(file);
  if (!node->attached || FindSlot(node->slot) != node) return;
  if (node->open) open_.insert(node);
  else open_.erase(node);
}

std::vector<std::shared_ptr<Node>> InodeTable::In(const BySlot& nodes, FolderId folder) {
  std::vector<std::shared_ptr<Node>> children;
  auto it = nodes.lower_bound(SlotOrder::Place(folder, ""));
  for (; it != nodes.end() && (*it)->slot.folder == folder; ++it) children.push_back(*it);
  return children;
}

std::vector<std::shared_ptr<Node>> InodeTable::ChildrenOf(FolderId folder) const { return In(by_slot_, folder); }

std::vector<std::shared_ptr<Node>> InodeTable::OpenChildrenOf(FolderId folder) const { return In(open_, folder); }

void InodeTable::FindSorted(FolderId folder, const std::vector<std::string_view>& names,
                            const std::function<void(size_t, const Node&)>& found) const {
  if (names.empty()) return;
  auto it = by_slot_.lower_bound(SlotOrder::Place(folder, names.front()));
  for (size_t i = 0; i < names.size(); ++i) {
    while (it != by_slot_.end() && (*it)->slot.folder == folder && (*it)->slot.name < names[i]) ++it;
    if (it == by_slot_.end() || (*it)->slot.folder != folder) return;
    if ((*it)->slot.name == names[i]) found(i, **it);
  }
}

std::vector<std::shared_ptr<Node>> InodeTable::All() const {
  std::vector<std::shared_ptr<Node>> all;
  for (const auto& [id, node] : by_id_) all.push_back(node);
  return all;
}

void InodeTable::Forget(NodeId id, uint64_t count) {
  const auto node = Find(id);
  if (!node || id == kRootNode) return;
  assert(node->lookups >= count);
  node->lookups -= std::min(count, node->lookups);
  DropIfUnused(node);
}

void InodeTable::DropIfUnused(const std::shared_ptr<Node>& node) {
  if (node->lookups > 0 || node->open || node->id == kRootNode) return;
  Detach(node);
  by_id_.erase(node->id);
}

}  // namespace stagefs
