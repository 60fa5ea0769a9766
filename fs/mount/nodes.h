// The nodes of one mount, shared by everything that answers the kernel: InodeTable under its lock, and what follows
// from looking a name up.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "attributes.h"
#include "inode_table.h"
#include "mount_counters.h"
#include "stagefs/guarded.h"

namespace stagefs {

// Safe for concurrent use. Its lock is the innermost one: core is never called while it is held.
class Nodes {
 public:
  // Both must outlive it.
  Nodes(const MountOptions& options, MountCounters& counters) : options_(options), counters_(counters) {}

  using Access = Guarded<InodeTable>::Access;
  Access Lock() { return table_.Lock(); }

  // The node the kernel asks about: one operation. kStale.
  Result<std::shared_ptr<Node>> Get(NodeId id);
  // The node of a folder of the tree that the kernel knows.
  std::optional<NodeId> NodeOf(FolderId folder);
  // Its number; 0 if the kernel does not know it.
  uint64_t NumberOf(FolderId folder);

  // The node for what `slot` holds: the known one while the content is the same, a new one otherwise.
  std::shared_ptr<Node> Remember(const Slot& slot, const Entry& entry, bool count_lookup);
  // The same for a name of a listing, whose node is made only if it is still there: `is_current` is asked with the lock
  // held. A node that is there knows better than the listing. nullptr: the name may have gone. Looked up once more.
  std::shared_ptr<Node> RememberListed(const Slot& slot, const Entry& entry, const std::function<bool()>& is_current);
  // There is nothing at `name`, as an answer that was asked for at `generation` says.
  LookedUp RememberAbsent(Node& folder, const std::string& name, int64_t generation);
  void Forget(NodeId id, uint64_t count) { Lock()->Forget(id, count); }
  // Something in `folder` was changed through the mount.
  void TouchFolder(FolderId folder);

  // By what the node itself knows. Not for files that are open, whose OpenFile knows better (OpenFiles::AttributesOf).
  // REQUIRES: the lock is held, or nobody else has `node`.
  Attributes AttributesOf(const Node& node) const;
  // What is shown of a file. Of a folder: executable.
  mode_t PermissionsOf(const FileMode& mode) const {
    return mode.permissions.value_or((mode.executable ? 0777 : 0666) & ~options_.umask);
  }
  // What chmod() to `mode` comes to.
  FileMode ModeOf(mode_t mode, bool is_folder) const;
  // What a program that makes something with `mode` asks for. Where it asks for what every program does, only without
  // writing for others, the mount decides.
  FileMode ModeOfNew(mode_t mode, bool is_folder) const;

  // Counts how often others' changes were taken up: an answer from before the newest time is not remembered.
  int64_t generation() const { return generation_; }
  void BeginGeneration() { generation_.fetch_add(1); }

 private:
  static std::shared_ptr<Node> Add(InodeTable& table, const Slot& slot, const Entry& entry);
  Attributes AttributesOfFolder(const Node& node) const;

  // Constant after construction.
  const MountOptions& options_;
  MountCounters& counters_;
  // Synchronize themselves.
  Guarded<InodeTable> table_;
  std::atomic<int64_t> generation_{0};
};

}  // namespace stagefs
