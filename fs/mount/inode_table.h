// What the kernel knows of the mount: one Node per inode it has looked up.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stagefs/staging_index.h"

namespace stagefs {

class OpenFile;
struct ShownTree;

using NodeId = uint64_t;

constexpr NodeId kRootNode = 1;
constexpr size_t kLinksMax = 1'000;

enum class NodeKind : uint8_t {
  kFolder,  // Of the workspace's tree.
  kFile,
  kSymlink,
  kControlFolder,  // .stagefs
  kVersionsFolder,
  kVersion,
  kInboxFolder,
  kInboxFile,
  kBaseFolder,
  kBaseFile,
  kCommitsFolder,
  kCommitLink,  // A name of a commit.
  kCommitFolder,
  kCommitFile,
  kTreeLink,  // A symbolic link of a tree that nobody changes.
  kTakenBackFolder,
  kTakenBackTree,
  kTakenBackFile,
  kRecoveredFolder,
  kRecoveredFile,
  kText,     // Made when it is opened: status, stats, …
  kCommand,  // .stagefs/control: takes lines.
};

// What an entry of the tree is as a node.
NodeKind KindOf(EntryKind kind);
bool IsFolder(NodeKind kind);
bool IsLink(NodeKind kind);
// Whether two entries show the same bytes, folder or link.
bool SameContent(const Entry& a, const Entry& b);

// Guarded by the table's lock, except where it says constant. The kernel may know a million of them, so what few of
// them have is kept apart.
struct Node {
  NodeId id = 0;                    // Constant.
  NodeKind kind = NodeKind::kFile;  // Constant.
  bool attached = false;            // The slot leads here.
  bool written = false;             // Here, so that what others stage at its name waits. Set by SetWritten().
  bool passed_over = false;         // Others may have changed it while it was written.
  bool shares_number = false;       // With its hard links. Set by the table.

 private:  // Here, where they fit in between.
  EntryKind entry_kind_ = EntryKind::kRemoved;
  bool executable_ : 1 = false, scratch_ : 1 = false, unfinished_ : 1 = false, has_permissions_ : 1 = false;
  uint16_t permissions_ = 0;

 public:
  Slot slot;                        // Tree nodes: where it is. Meaningless once detached.
  uint64_t number = 0;              // The inode that programs see. Set by the table.
  uint64_t lookups = 0;             // The kernel's references.
  int64_t found_ns = 0;             // When it was looked up first; 0: it was made through the mount.

  struct Extra {
    std::string path;                // Inbox: the directory; recovered: the path; text: its name.
    std::string target;              // Symbolic links.
    // While it has handles, or waits to be staged. Set by InodeTable::SetOpen(). Nodes only know that there is one:
    // what it is, OpenFiles knows.
    std::shared_ptr<OpenFile> open;
    std::shared_ptr<const ShownTree> tree;  // Folders of .stagefs/commits and taken-back: whose they are. Constant.
    int64_t touched_ns = 0;          // Folders: the newest change made through the mount.
    std::set<std::string> absent;    // Folders: names the kernel was told to remember as missing.
    // Folders: what the index's ChangeMark() was when a listing found each name here; -1: never, or one is gone since.
    int64_t all_known_at = -1;
    uint64_t detached = 0;           // Folders: how often a node was detached, counted since the first listing.
  };
  const Extra& extra() const;
  Extra& MakeExtra();
  const std::shared_ptr<OpenFile>& open() const { return extra().open; }
  // Frees an Extra in which nothing is.
  void TrimExtra();
  // Folders: a name is not known any more.
  void NoteDetached();

  // Trees: what the slot holds. Versions: their id, size and time.
  Entry entry() const;
  void SetEntry(const Entry& entry);
  // Folders of a tree. Constant.
  FolderId folder() const { return holds_; }

 private:
  int64_t holds_ = 0;  // The version of a file, the child of a folder.
  uint64_t size_bytes_ = 0;
  int64_t mtime_ns_ = 0;
  std::unique_ptr<Extra> extra_;
};

// A key for nodes that are not of the workspace's tree: "v:ID", "b:FOLDER/NAME", "i:DIR\0NAME", …
using ControlKey = std::string;

// Nodes by their ids, which are given one after the other: 16 bytes for each.
class NodesById {
 public:
  std::shared_ptr<Node> Find(NodeId id) const;
  void Add(const std::shared_ptr<Node>& node);
  void Erase(NodeId id);
  size_t size() const { return size_; }
  void ForEach(const std::function<void(const std::shared_ptr<Node>&)>& visit) const;

 private:
  static constexpr NodeId kChunkIds = 128;
  struct Chunk {
    size_t used = 0;
    std::array<std::shared_ptr<Node>, kChunkIds> nodes;
  };
  std::unordered_map<NodeId, std::unique_ptr<Chunk>> chunks_;
  size_t size_ = 0;
};

// A node has an id, by which the kernel knows it and which is never given twice, and a number, which is what programs
// see as its inode: 63 bits of a hash of its path, made of its folder's number and its name, so it is the same after a
// remount, in each commit and on each machine. It keeps the number when it is renamed, as long as the kernel knows it.
// A number that a renamed node has, or one that was removed while open, no other node gets: it takes the next hash.
// Two paths whose hashes are equal are not told apart; among a million files the odds of that are 1 in 18 million.
// Hard links share a number, as long as the kernel knows them and they are what they were when they were made.
//
// Not synchronized: Nodes keeps it in a Guarded<>.
class InodeTable {
 public:
  InodeTable();

  std::shared_ptr<Node> Find(NodeId id) const;
  std::shared_ptr<Node> FindSlot(const Slot& slot) const;
  std::shared_ptr<Node> FindFolder(FolderId folder) const;
  // The number of a name that is not known yet. REQUIRES: `folder` is attached, the root, or of the control folder.
  uint64_t NumberAt(const Node& folder, std::string_view name) const;

  // Where a node is, for people, as far as the table knows; of the control folder: the key.
  std::string PathShown(NodeId id) const;

  // A new node. A folder's id is the same each time, so that programs that remember it are not confused.
  std::shared_ptr<Node> Add(NodeKind kind);
  std::shared_ptr<Node> AddFolder(FolderId folder);
  std::shared_ptr<Node> FindControl(const ControlKey& key) const;
  // `number`: by NumberAt().
  std::shared_ptr<Node> FindOrAddControl(const ControlKey& key, NodeKind kind, uint64_t number);
  void Rekey(const std::shared_ptr<Node>& node, const ControlKey& key);

  // The slot leads to `node` from now on; whoever was there is detached.
  void Attach(const std::shared_ptr<Node>& node, const Slot& slot);
  // Neither its slot nor its key lead there any more.
  void Detach(const std::shared_ptr<Node>& node);
  // `link` was made of `node` and shows its number from now on, where not kLinksMax do already.
  void ShareNumber(const std::shared_ptr<Node>& node, const std::shared_ptr<Node>& link);
  // How many names lead to what shows the number of `node`. Who is not what it was gets a number of its own first.
  uint32_t CountLinks(const std::shared_ptr<Node>& node);
  // Nodes attached in `folder`, in order of their names.
  std::vector<std::shared_ptr<Node>> ChildrenOf(FolderId folder) const;
  std::vector<std::shared_ptr<Node>> All() const;
  // Calls `visit` for nodes attached in `folder` after the name `after`, in order, until it returns false.
  void VisitChildren(FolderId folder, const std::string& after, const std::function<bool(const Node&)>& visit) const;
  // Those of them that are being written: few, however many names the folder has.
  std::vector<std::shared_ptr<Node>> WrittenChildrenOf(FolderId folder) const;
  // Calls `found` for each of the sorted `names` that is attached in `folder`, with its place among them.
  void FindSorted(FolderId folder, const std::vector<std::string_view>& names,
                  const std::function<void(size_t, const Node&)>& found) const;
  // nullptr: no longer open, and not written.
  void SetOpen(const std::shared_ptr<Node>& node, std::shared_ptr<OpenFile> file);
  void SetWritten(const std::shared_ptr<Node>& node, bool written);

  // The kernel gave back `count` references. Unused nodes go.
  void Forget(NodeId id, uint64_t count);
  void DropIfUnused(const std::shared_ptr<Node>& node);
  size_t size() const { return files_.size() + folders_.size(); }

 private:
  NodesById files_;  // And whatever else has an even id.
  std::unordered_map<NodeId, std::shared_ptr<Node>> folders_;
  // Nodes by their slots, which are in the nodes: a million names are kept once.
  struct SlotOrder {
    using is_transparent = void;
    using Place = std::pair<FolderId, std::string_view>;
    static Place Of(const Place& place) { return place; }
    static Place Of(const Node* node) { return {node->slot.folder, node->slot.name}; }
    bool operator()(const auto& a, const auto& b) const { return Of(a) < Of(b); }
  };
  using BySlot = std::set<Node*, SlotOrder>;
  std::vector<std::shared_ptr<Node>> In(const BySlot& nodes, FolderId folder) const;
  void KeepNumber(const Node& node);
  void LetNumberGo(const Node& node);
  bool HasNumberOfItsPath(const Node& node) const;
  void LeaveLinks(const std::shared_ptr<Node>& node);

  BySlot by_slot_;
  BySlot written_;  // Those of by_slot_ that are being written.
  std::unordered_map<ControlKey, std::shared_ptr<Node>> by_key_;
  std::unordered_map<NodeId, ControlKey> keys_;
  std::unordered_map<uint64_t, NodeId> kept_numbers_;  // Of nodes that have no path, or one of another number.
  struct Links {
    Entry as_made;
    std::vector<NodeId> nodes;
  };
  std::unordered_map<uint64_t, Links> links_;  // By their number; two at least.
  NodeId next_;
};

}  // namespace stagefs
