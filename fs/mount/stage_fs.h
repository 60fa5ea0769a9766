// The mount without FUSE: every operation in the project's own types. fuse_ops.cc translates.
//
// Locks, in the order they may be taken: an OpenFile's flushing(), its mutex(), the table's. The table's lock
// is never held while core is called.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "inode_table.h"
#include "stagefs/guarded.h"
#include "stagefs/version_store.h"

namespace stagefs {

struct MountOptions {
  std::string mountpoint;
  bool read_only = false;
  bool show_control = false;
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t umask = 022;
};

struct Attributes {
  NodeId id = 0;
  mode_t type = 0;  // S_IFREG, S_IFDIR, S_IFLNK
  mode_t permissions = 0;
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;
  uint32_t links = 1;
};

struct LookedUp {
  Attributes attributes;  // LookUp(): id 0 if there is no such name.
  bool cacheable = true;  // The kernel may remember the answer.
};

// A listing in progress, a file, or a text: what an open handle is.
struct Handle {
  std::shared_ptr<Node> node;
  std::shared_ptr<OpenFile> file;  // Files of the tree and the inbox.
  bool writes = false;
  std::shared_ptr<SharedFd> bytes;  // Versions, base and recovered files.
  std::string text;                 // Texts; commands: what was written.
  // Listings: a page of names and where it ends.
  struct Listed {
    std::string name;
    NodeKind kind = NodeKind::kFile;
    Entry entry;
    NodeId id = 0;  // 0: the kernel does not know it.
  };
  std::mutex listing_mutex;
  std::vector<Listed> page;
  size_t page_at = 0;
  off_t offset = 0;
  std::string last_name;
  bool end = false;
  // While each name so far is one that the kernel knows: what the index and the folder were at the listing's start.
  bool all_known = false;
  int64_t mark = -1;
  uint64_t detached = 0;
};

struct SetAttributes {
  std::optional<uint64_t> size_bytes;
  std::optional<mode_t> mode;
  std::optional<int64_t> mtime_ns;
};

// What a read answers: bytes in memory, or a piece of a file.
struct ReadAnswer {
  std::string bytes;
  std::shared_ptr<SharedFd> file;
};

class StageFs {
 public:
  static Result<std::unique_ptr<StageFs>> Create(Repository& repository, const std::string& workspace,
                                                 MountOptions options);
  ~StageFs();

  Result<LookedUp> LookUp(NodeId parent, const std::string& name);
  void Forget(NodeId id, uint64_t count);
  Result<Attributes> GetAttributes(NodeId id);
  Result<Attributes> SetAttributesOf(NodeId id, const SetAttributes& set, Handle* handle);

  Result<std::unique_ptr<Handle>> OpenFolder(NodeId id);
  // The next name at `offset`, or std::nullopt. With `plus` it counts as looked up.
  struct Name {
    std::string name;
    Attributes attributes;
    off_t next = 0;
    bool looked_up = false;
  };
  Status List(Handle& handle, off_t offset, bool plus, const std::function<bool(const Name&)>& add);

  Result<LookedUp> MakeFolder(NodeId parent, const std::string& name);
  Status RemoveFolder(NodeId parent, const std::string& name);
  Status Remove(NodeId parent, const std::string& name);
  Status Rename(NodeId parent, const std::string& name, NodeId new_parent, const std::string& new_name,
                RenameMode mode);
  Result<LookedUp> Link(NodeId id, NodeId parent, const std::string& name);
  Result<LookedUp> MakeSymlink(NodeId parent, const std::string& name, const std::string& target);
  Result<std::string> ReadLink(NodeId id);

  struct Created {
    LookedUp found;
    std::unique_ptr<Handle> handle;
  };
  Result<Created> CreateFile(NodeId parent, const std::string& name, mode_t mode);
  Result<std::unique_ptr<Handle>> Open(NodeId id, int flags);
  Result<ReadAnswer> Read(Handle& handle, size_t size_bytes, off_t offset);
  Result<size_t> Write(Handle& handle, const char* data, size_t size_bytes, off_t offset);
  Status Flush(Handle& handle);
  void Release(std::unique_ptr<Handle> handle);
  Status Sync(Handle& handle);
  Status Allocate(Handle& handle, int mode, off_t offset, off_t size_bytes);
  Result<off_t> Seek(Handle& handle, off_t offset, int whence);
  Result<uint64_t> CopyRange(Handle& in, off_t offset_in, Handle& out, off_t offset_out, size_t size_bytes);

  // user.stagefs.*; kNotFound for others, kUnsupported for ACLs.
  Result<std::string> GetXattr(NodeId id, const std::string& name);
  Result<DiskSpace> GetSpace() { return repository_.versions().GetSpace(); }

  const MountOptions& options() const { return options_; }
  Workspace& workspace() { return *workspace_; }

  // Tells other processes that the workspace is mounted here, before the kernel asks anything: from then on
  // they note what they change.
  Status NoteMounted();
  Status NoteUnmounted();

  // What the kernel must be told, found by comparing what it knows with what is. Called by one thread that
  // holds no lock; the callbacks may block on the kernel.
  // A folder the kernel knows in which others changed something, and names it knew that are gone or other
  // now.
  struct ChangedFolder {
    FolderId folder = 0;
    std::vector<std::string> gone, changed;
  };
  struct Notify {
    std::function<void(NodeId parent, const std::string& name)> entry;
    std::function<void(NodeId id)> attributes;
    std::function<void(std::vector<ChangedFolder>)> folders;
  };
  void Refresh(const Notify& notify);
  // Blocks until another process or door may have changed something, or Stop(). False: stopped.
  bool WaitForChange();
  void Stop();

  // The node of a folder the kernel knows.
  std::optional<NodeId> NodeOf(FolderId folder);
  // Entries of a folder that the kernel has not looked up, or only just now; at most `limit`.
  Result<std::vector<Named<Entry>>> Unseen(FolderId folder, size_t limit);

  // Before the process ends: what is not staged is kept for the next start.
  void KeepUnstaged();

 private:
  StageFs(Repository& repository, MountOptions options)
      : repository_(repository), options_(std::move(options)) {}

  // Tree.
  Result<std::shared_ptr<Node>> Get(NodeId id);
  Result<std::shared_ptr<Node>> GetFolder(NodeId id);
  std::shared_ptr<Node> Remember(const Slot& slot, const Entry& entry, bool count_lookup);
  LookedUp RememberAbsent(const std::shared_ptr<Node>& folder, const std::string& name, int64_t generation);
  Attributes AttributesOf(const Node& node) const;
  Attributes AttributesNow(const std::shared_ptr<Node>& node);
  void TouchFolder(FolderId folder);
  Result<std::optional<Entry>> LookUpAhead(const Slot& slot, int64_t generation);
  Status CheckCurrent(const std::shared_ptr<Node>& node, bool only_reads);
  Result<WorkingCopyPlace> PlaceOf(const Node& node);
  Status RemoveNode(const std::shared_ptr<Node>& node, const std::function<Status()>& remove);
  Status CheckNothingIsWrittenIn(FolderId folder);
  Status CheckNewName(const Node& parent, const std::string& name) const;
  Result<std::shared_ptr<OpenFile>> OpenNode(const std::shared_ptr<Node>& node, bool writes, bool empty);
  Status StageManifestOf(const Node& node);
  bool IsManifestNode(const Node& node);
  Placer PlacerOf(const std::shared_ptr<Node>& node);
  Status StageNode(const std::shared_ptr<Node>& node, OpenFile& file);
  std::shared_ptr<OpenFile> FileOf(const std::shared_ptr<Node>& node);
  Status StageIfWaiting(const std::shared_ptr<Node>& node, OpenFile& file);
  std::shared_ptr<Node> Recall(FolderId folder, const Handle::Listed& listed);
  // The ChangeMark() at which all names of `folder` were known, or -1.
  int64_t KnownAt(const Node& folder);
  void BeginListing(Handle& handle);
  void EndListing(Handle& handle);
  std::optional<std::pair<std::vector<Handle::Listed>, bool>> ListKnown(const Node& node, const std::string& after);
  Result<std::pair<std::vector<Handle::Listed>, bool>> ListPage(const Node& node, const std::string& after);
  void Arrive(const std::shared_ptr<Node>& node, const Slot& slot);
  void WakeWorker();
  // Returns the number of the change that it is told of.
  uint64_t WakeNotifier();
  // Blocks until the kernel knows that change, so that who made it through another door of this process sees it in the
  // mount; not for long, as the kernel may be waiting for who waits here.
  void AwaitShown(uint64_t change);
  void ShowStagedAgain(const std::shared_ptr<Node>& node);
  void StageQueuedManifests();

  // The control folder (stage_fs_control.cc).
  Result<LookedUp> LookUpControl(const Node& parent, const std::string& name);
  Result<std::vector<Handle::Listed>> ListControl(const Node& node, const std::string& after, bool* end);
  Result<std::shared_ptr<Node>> ControlChild(const Node& parent, const std::string& name);
  Result<std::string> TextOf(const Node& node);
  Status RunCommand(const std::string& line);
  Result<std::shared_ptr<SharedFd>> OpenBytes(const Node& node);
  Status RenameInInbox(const Node& from, const std::string& name, const Node& to,
                       const std::string& new_name);

  // Constant after Create().
  Repository& repository_;
  const MountOptions options_;
  WriterId writer_ = 0;
  int listener_ = 0;
  std::unique_ptr<Workspace> workspace_;  // Changes through it are known to the kernel.
  std::unique_ptr<Workspace> behind_;     // Changes through it are not: manifests.
  std::unique_ptr<WorkingCopies> copies_;
  // Synchronize themselves.
  Guarded<InodeTable> table_;
  Guarded<std::vector<Slot>> shown_again_;              // Names the kernel must look up anew.
  Guarded<std::vector<std::shared_ptr<Node>>> closed_;  // Passed over by Refresh() while they were open.
  Guarded<std::set<std::string>> made_inbox_folders_;   // By mkdir, until unmounted.
  // Entries of a folder from after one name up to another, as they were at `heard` and `generation`, for those who look
  // up one name after the other; and the name that was looked up last.
  struct Ahead {
    int64_t heard = -1, generation = -1;
    std::string last, after;
    std::optional<std::string> up_to;  // std::nullopt: to the end.
    std::map<std::string, Entry, std::less<>> entries;
  };
  Guarded<std::map<FolderId, Ahead>> ahead_;
  std::atomic<int64_t> generation_{0};  // Counts Refresh(): an answer from before one is not remembered.
  std::atomic<int64_t> seen_heard_{-1};  // The index's HeardMark() from before the nodes were last refreshed.
  std::atomic<int64_t> operations_{0}, bytes_read_{0}, bytes_written_{0}, staged_{0}, cloned_{0};
  // Guarded by wake_mutex_.
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  uint64_t changes_ = 0;        // So many,
  uint64_t taken_changes_ = 0;  // so many of these are taken up by the notifier,
  uint64_t shown_changes_ = 0;  // and the kernel knows so many.
  bool stopped_ = false;
  bool queued_ = true;  // At the start, what a crash left is looked for.
  // Used by the notifying thread alone.
  void SayThatItLives();
  static constexpr int64_t kMarkNeverSeen = -1;
  int64_t seen_seq_ = 0;
  int64_t seen_mark_ = kMarkNeverSeen;
  std::chrono::steady_clock::time_point said_it_lives_{};
  int64_t started_ns_ = 0;
  std::thread worker_;
};

}  // namespace stagefs
