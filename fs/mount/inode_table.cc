#include "inode_table.h"

#include <algorithm>
#include <cassert>

#include "stagefs/content_hash.h"
#include "stagefs/repo_path.h"

namespace stagefs {
namespace {

// Folder F has the node id 2F - 1, so the root folder 1 is the root node 1. Others get even ids.
NodeId IdOfFolder(FolderId folder) { return 2 * static_cast<NodeId>(folder) - 1; }

// The first numbers have meanings: of the root, of none, of unknown ones in 32 bits.
constexpr uint64_t kNumberMin = uint64_t{1} << 32;

bool IsAsItWas(const Entry& now, const Entry& before) {
  return SameContent(now, before) && now.mtime_ns == before.mtime_ns && now.mode() == before.mode();
}

uint64_t NumberOf(uint64_t folder, std::string_view name) { return HashOfName(name, folder) >> 1 | kNumberMin; }

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

bool IsLink(NodeKind kind) {
  return kind == NodeKind::kSymlink || kind == NodeKind::kCommitLink || kind == NodeKind::kTreeLink;
}

bool IsFolder(NodeKind kind) {
  switch (kind) {
    case NodeKind::kFolder:
    case NodeKind::kControlFolder:
    case NodeKind::kVersionsFolder:
    case NodeKind::kInboxFolder:
    case NodeKind::kBaseFolder:
    case NodeKind::kCommitsFolder:
    case NodeKind::kCommitFolder:
    case NodeKind::kTakenBackFolder:
    case NodeKind::kTakenBackTree:
    case NodeKind::kRecoveredFolder: return true;
    case NodeKind::kFile:
    case NodeKind::kSymlink:
    case NodeKind::kVersion:
    case NodeKind::kInboxFile:
    case NodeKind::kBaseFile:
    case NodeKind::kCommitLink:
    case NodeKind::kCommitFile:
    case NodeKind::kTreeLink:
    case NodeKind::kTakenBackFile:
    case NodeKind::kRecoveredFile:
    case NodeKind::kText:
    case NodeKind::kCommand: break;
  }
  return false;
}

const Node::Extra& Node::extra() const {
  static const Extra kNone;
  return extra_ ? *extra_ : kNone;
}

Node::Extra& Node::MakeExtra() {
  if (!extra_) extra_ = std::make_unique<Extra>();
  return *extra_;
}

void Node::NoteDetached() {
  if (!extra_) return;
  extra_->all_known_at = -1;
  ++extra_->detached;
}

void Node::TrimExtra() {
  if (!extra_) return;
  const Extra& e = *extra_;
  if (e.path.empty() && e.target.empty() && !e.open && !e.tree && e.touched_ns == 0 && e.absent.empty()) extra_.reset();
}

Entry Node::entry() const {
  Entry entry;
  entry.kind = entry_kind_;
  (entry_kind_ == EntryKind::kFolder ? entry.child : entry.version) = holds_;
  entry.size_bytes = size_bytes_;
  entry.executable = executable_;
  if (has_permissions_) entry.permissions = permissions_;
  entry.mtime_ns = mtime_ns_;
  entry.target = extra().target;
  entry.scratch = scratch_;
  entry.unfinished = unfinished_;
  return entry;
}

void Node::SetEntry(const Entry& entry) {
  entry_kind_ = entry.kind;
  const int64_t holds = entry.kind == EntryKind::kFolder ? entry.child : entry.version;
  if (holds_ != holds) holds_ = holds;  // A folder's is read without the lock.
  size_bytes_ = entry.size_bytes;
  executable_ = entry.executable;
  has_permissions_ = entry.permissions.has_value();
  permissions_ = entry.permissions.value_or(0);
  mtime_ns_ = entry.mtime_ns;
  if (entry.target != extra().target) MakeExtra().target = entry.target;
  scratch_ = entry.scratch;
  unfinished_ = entry.unfinished;
}

std::shared_ptr<Node> NodesById::Find(NodeId id) const {
  const auto chunk = chunks_.find(id / 2 / kChunkIds);
  return chunk == chunks_.end() ? nullptr : chunk->second->nodes[id / 2 % kChunkIds];
}

void NodesById::Add(const std::shared_ptr<Node>& node) {
  auto& chunk = chunks_[node->id / 2 / kChunkIds];
  if (!chunk) chunk = std::make_unique<Chunk>();
  chunk->nodes[node->id / 2 % kChunkIds] = node;
  ++chunk->used;
  ++size_;
}

void NodesById::Erase(NodeId id) {
  const auto chunk = chunks_.find(id / 2 / kChunkIds);
  if (chunk == chunks_.end() || !chunk->second->nodes[id / 2 % kChunkIds]) return;
  chunk->second->nodes[id / 2 % kChunkIds].reset();
  --size_;
  if (--chunk->second->used == 0) chunks_.erase(chunk);
}

void NodesById::ForEach(const std::function<void(const std::shared_ptr<Node>&)>& visit) const {
  for (const auto& [number, chunk] : chunks_) {
    for (const auto& node : chunk->nodes) {
      if (node) visit(node);
    }
  }
}

InodeTable::InodeTable() : next_(2) {
  const auto root = AddFolder(kRootFolder);
  root->lookups = 1;  // The kernel never looks the root up and never forgets it.
  root->attached = true;
  root->number = kRootNode;
}

std::shared_ptr<Node> InodeTable::Find(NodeId id) const {
  if (id % 2 == 0) return files_.Find(id);
  const auto found = folders_.find(id);
  return found == folders_.end() ? nullptr : found->second;
}

std::shared_ptr<Node> InodeTable::FindSlot(const Slot& slot) const {
  const auto found = by_slot_.find(SlotOrder::Place(slot.folder, slot.name));
  return found == by_slot_.end() ? nullptr : Find((*found)->id);
}

std::shared_ptr<Node> InodeTable::FindFolder(FolderId folder) const { return Find(IdOfFolder(folder)); }

uint64_t InodeTable::NumberAt(const Node& folder, std::string_view name) const {
  uint64_t number = NumberOf(folder.number, name);
  while (kept_numbers_.contains(number)) number = NumberOf(number, name);
  return number;
}

void InodeTable::KeepNumber(const Node& node) { kept_numbers_[node.number] = node.id; }

void InodeTable::LetNumberGo(const Node& node) {
  const auto kept = kept_numbers_.find(node.number);
  if (kept != kept_numbers_.end() && kept->second == node.id) kept_numbers_.erase(kept);
}

bool InodeTable::HasNumberOfItsPath(const Node& node) const {
  const auto folder = FindFolder(node.slot.folder);
  return node.attached && folder && node.number == NumberOf(folder->number, node.slot.name);
}

void InodeTable::ShareNumber(const std::shared_ptr<Node>& node, const std::shared_ptr<Node>& link) {
  Links& links = links_[node->number];
  if (links.nodes.empty()) links = {node->entry(), {node->id}};
  if (links.nodes.size() >= kLinksMax) return;
  LetNumberGo(*link);
  links.nodes.push_back(link->id);
  link->number = node->number;
  KeepNumber(*link);
  node->shares_number = link->shares_number = true;
}

uint32_t InodeTable::CountLinks(const std::shared_ptr<Node>& node) {
  if (!node->shares_number) return node->attached ? 1 : 0;
  const Links links = links_.at(node->number);
  uint32_t names = 0;
  for (const NodeId id : links.nodes) {
    const auto one = Find(id);
    const bool stays = !one->written && IsAsItWas(one->entry(), links.as_made);
    if (!stays && one->shares_number) LeaveLinks(one);
    names += stays && one->attached;
  }
  return node->shares_number ? names : node->attached ? 1 : 0;
}

void InodeTable::LeaveLinks(const std::shared_ptr<Node>& node) {
  const auto links = links_.find(node->number);
  std::erase(links->second.nodes, node->id);
  const auto first = Find(links->second.nodes.front());
  KeepNumber(*first);  // Not taken by what leaves, whose path may have it.
  const auto folder = FindFolder(node->slot.folder);
  node->shares_number = false;
  const std::string& name = node->slot.name;
  node->number = node->attached && folder ? NumberAt(*folder, name) : NumberOf(node->number, name);
  if (!HasNumberOfItsPath(*node)) KeepNumber(*node);
  if (HasNumberOfItsPath(*first)) LetNumberGo(*first);
  if (links->second.nodes.size() > 1) return;
  first->shares_number = false;
  links_.erase(links);
}

std::shared_ptr<Node> InodeTable::Add(NodeKind kind) {
  auto node = std::make_shared<Node>();
  node->id = next_;
  next_ += 2;
  node->kind = kind;
  files_.Add(node);
  return node;
}

std::string InodeTable::PathShown(NodeId id) const {
  if (id == kRootNode) return "/";
  if (const auto key = keys_.find(id); key != keys_.end()) return std::string(kControlFolder) + ' ' + key->second;
  std::shared_ptr<Node> node = Find(id);
  if (!node || node->slot.name.empty()) return "a removed file";
  std::string path = node->slot.name;
  while (node && node->attached && node->slot.folder != kRootFolder) {
    node = FindFolder(node->slot.folder);
    if (node) path = node->slot.name + '/' + path;
  }
  return node && node->attached ? path : path + " (removed)";
}

std::shared_ptr<Node> InodeTable::AddFolder(FolderId folder) {
  auto& node = folders_[IdOfFolder(folder)];
  if (!node) {
    node = std::make_shared<Node>();
    node->id = IdOfFolder(folder);
    node->kind = NodeKind::kFolder;
    node->SetEntry(Entry::OfFolder(folder));
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

std::shared_ptr<Node> InodeTable::FindOrAddControl(const ControlKey& key, NodeKind kind, uint64_t number) {
  auto& node = by_key_[key];
  if (!node) {
    node = Add(kind);
    node->number = number;
    keys_[node->id] = key;
  }
  return node;
}

void InodeTable::Attach(const std::shared_ptr<Node>& node, const Slot& slot) {
  Detach(node);
  if (const auto before = FindSlot(slot)) Detach(before);
  node->slot = slot;
  node->attached = true;
  by_slot_.insert(node.get());
  if (const auto folder = FindFolder(slot.folder)) {
    LetNumberGo(*node);
    if (node->number == 0) node->number = NumberAt(*folder, slot.name);
    if (!HasNumberOfItsPath(*node)) KeepNumber(*node);
  }
  if (node->written) written_.insert(node.get());
}

void InodeTable::Detach(const std::shared_ptr<Node>& node) {
  if (const auto found = by_slot_.find(node.get()); found != by_slot_.end() && *found == node.get()) {
    by_slot_.erase(found);
    written_.erase(node.get());
    if (const auto folder = FindFolder(node->slot.folder)) folder->NoteDetached();
  }
  if (const auto key = keys_.find(node->id); key != keys_.end()) {
    by_key_.erase(key->second);
    keys_.erase(key);
  }
  if (node->attached && (node->open() || node->shares_number)) KeepNumber(*node);
  node->attached = false;
}

void InodeTable::SetOpen(const std::shared_ptr<Node>& node, std::shared_ptr<OpenFile> file) {
  if (!file) SetWritten(node, false);
  if (!file && !node->attached && !node->shares_number) LetNumberGo(*node);
  node->MakeExtra().open = std::move(file);
  node->TrimExtra();
}

void InodeTable::SetWritten(const std::shared_ptr<Node>& node, bool written) {
  node->written = written;
  if (!node->attached || FindSlot(node->slot) != node) return;
  if (written) written_.insert(node.get());
  else written_.erase(node.get());
}

std::vector<std::shared_ptr<Node>> InodeTable::In(const BySlot& nodes, FolderId folder) const {
  std::vector<std::shared_ptr<Node>> children;
  auto it = nodes.lower_bound(SlotOrder::Place(folder, ""));
  for (; it != nodes.end() && (*it)->slot.folder == folder; ++it) children.push_back(Find((*it)->id));
  return children;
}

std::vector<std::shared_ptr<Node>> InodeTable::ChildrenOf(FolderId folder) const { return In(by_slot_, folder); }

std::vector<std::shared_ptr<Node>> InodeTable::WrittenChildrenOf(FolderId folder) const { return In(written_, folder); }

void InodeTable::VisitChildren(FolderId folder, const std::string& after,
                               const std::function<bool(const Node&)>& visit) const {
  auto it = by_slot_.upper_bound(SlotOrder::Place(folder, after));
  while (it != by_slot_.end() && (*it)->slot.folder == folder && visit(**it)) ++it;
}

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
  all.reserve(size());
  for (const auto& [id, node] : folders_) all.push_back(node);
  files_.ForEach([&](const std::shared_ptr<Node>& node) { all.push_back(node); });
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
  if (node->lookups > 0 || node->open() || node->id == kRootNode) return;
  Detach(node);
  if (node->shares_number) LeaveLinks(node);
  LetNumberGo(*node);
  if (node->id % 2 == 0) files_.Erase(node->id);
  else folders_.erase(node->id);
}

}  // namespace stagefs
