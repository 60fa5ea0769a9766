// One file of the mount while somebody has it open: its version, or the working copy that replaces it.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "shared_fd.h"
#include "stagefs/changes.h"
#include "stagefs/posix_env.h"
#include "stagefs/working_copy.h"

namespace stagefs {

// Where copy_file_range() takes bytes from.
struct CopySource {
  VersionId version = 0;  // 0: what is no version, or none any more.
  std::shared_ptr<SharedFd> file;
  uint64_t size_bytes = 0;
};

// Says where a file is now. Asked only when a working copy is made.
using Placer = std::function<Result<WorkingCopyPlace>()>;

// What an open file needs from its surroundings.
struct OpenFileEnv {
  Repository& repository;
  WorkingCopies& copies;
};

using FileLock = std::unique_lock<std::timed_mutex>;

// Why what was closed cannot be staged where it was: others changed its path, or the folder it was in, meanwhile.
constexpr bool IsTakenByOthers(ErrorCode code) {
  return code == ErrorCode::kExists || code == ErrorCode::kNotFound || code == ErrorCode::kNotDirectory ||
         code == ErrorCode::kStale;
}

// All of a file's handles share one OpenFile. Content is one of:
//   a version (nothing written, or everything staged);
//   a clone: pieces of one version from its start, copied by copy_file_range, no byte moved yet;
//   a working copy: a private file that can be written.
// INVARIANT: a file of the version store is never open for writing: staging closes the working copy first,
// and the next write makes a new one.
//
// Every member is called with mutex() held, except where it says otherwise. It may be held for long: while a version is
// fetched or copied. What only looks at the file takes shown().
class OpenFile {
 public:
  // How staged content gets its place. Called by Stage() with the finished file; the sink moves `file` away.
  using Sink = std::function<Result<Entry>(const std::string& file, const ContentId& content,
                                           uint64_t size_bytes, const StageHow& how)>;
  // The same for content that is stored already.
  using VersionSink = std::function<Result<Entry>(VersionId version, const StageHow& how)>;

  // `entry`: what the path holds; std::nullopt for a file that is being created.
  OpenFile(OpenFileEnv env, std::optional<Entry> entry);
  ~OpenFile();

  std::timed_mutex& mutex() { return mutex_; }

  // The bytes of versions never change, so reading them needs the lock only to find the descriptor.
  Result<std::shared_ptr<SharedFd>> ForReading();
  // For bytes that are fetched when they are read: the descriptor that they will have. Errors as TakeDescriptor().
  Status TakeDescriptorForReading();
  // What the mount shows of it. Without the mutex.
  struct Shown {
    uint64_t size_bytes = 0;
    int64_t mtime_ns = 0;
    FileMode mode;
    bool detached = false;
  };
  Shown shown() const { return {size_bytes_, mtime_ns_, *mode_.Lock(), detached_}; }

  // What a working copy with holes takes, in blocks of 512 bytes.
  std::optional<int64_t> blocks() const { return copy_fd_ ? SparseBlocks(copy_fd_->get()) : std::nullopt; }

  Status Write(const void* data, size_t size_bytes, uint64_t offset, const Placer& placer);
  // Empties it, as O_TRUNC does: staged at the last close if nobody writes.
  Status Empty();
  Status Truncate(uint64_t size_bytes, const Placer& placer);
  Status Allocate(int mode, uint64_t offset, uint64_t size_bytes, const Placer& placer);
  // Takes over `size_bytes` at `offset_in` of `source`. Returns how much.
  Result<uint64_t> CopyFrom(const CopySource& source, uint64_t offset_in, uint64_t offset_out, uint64_t size_bytes,
                            const Placer& placer);
  // Changes what is given.
  void SetTraits(std::optional<int64_t> mtime_ns, const std::optional<FileMode>& mode);

  // The bytes survive power loss; nothing is hashed.
  Status Sync(const Placer& placer);

  using Clock = std::chrono::steady_clock;

  // What close() promised is kept by the copy and its place: it waits until it is hashed, until it is due, and for the
  // turn that stages it. See WorkingCopyState::kClosed.
  bool closed() const { return closed_; }
  // Until when it waits if nobody asks for it.
  struct Until {
    bool last_writer = false;  // The close() of a descriptor that a child inherited; whoever opened it goes on.
    Clock::time_point due{};   // It is written on again and again.
  };
  // Makes that so, for a path that holds `over` now; hashed, unless that TakesLong(). An error changes nothing.
  Status CloseUnstaged(VersionId over, const Placer& placer, const Until& until);
  Status CloseUnstaged(VersionId over, const Placer& placer) { return CloseUnstaged(over, placer, Until{}); }
  // It is staged once its last writer is gone, or somebody waits for it; or it is written again. Without the mutex.
  bool waits_for_last() const { return until_last_; }
  // The same for one that is due at some time.
  Clock::time_point due() const { return due_; }
  // The version whose bytes it went on from; 0: none.
  VersionId grown_from() const { return grown_from_; }
  // And nothing of them changed.
  bool only_appended() const { return grown_from_ != 0 && only_appended_; }
  // What is staged of it is half of it at least, so that the rest may wait.
  bool mostly_staged() const { return size_bytes_ < 2 * entry_.size_bytes; }
  // Whether so many bytes are to be hashed that nobody waits for it.
  bool TakesLong() const;
  // What is closed and not hashed is hashed by whoever has time for it, without the mutex: bytes that nobody writes to
  // while changes() is the same. Then NoteHashed().
  bool unhashed() const { return closed_ && !hashed_; }
  uint64_t changes() const { return changes_; }
  Status NoteHashed(const HashedFile& hashed);
  Error RefuseUnhashed(const Error& error) { return Refuse(error); }
  // Whether what is closed can be written to from `offset` on, and no path loses what it was promised if a crash comes
  // before the next close(). Else it is staged first.
  bool MayBeRewritten(uint64_t offset) const;
  Status Rewrite();
  bool closed_unsynced() const { return copy_.was_closed() && !closed_synced_; }
  Clock::time_point closed_synced_at() const { return closed_synced_at_; }
  Clock::time_point unsynced_since() const { return unsynced_since_; }
  // It was closed, and is written again.
  bool writes_on() const { return copy_.state == WorkingCopyState::kRewritten; }
  // What was closed first is not staged yet, and others may ask for it; also of one that is refused since.
  bool part_waits() const { return part_waits_; }
  // What it promised survives power loss. On an error it is refused.
  Status SyncClosed();
  // Somebody staged something else at the path since: what was closed is recovered, and no path leads here any more.
  Status PutAside();

  // Something waits to be staged. A file that was only created or emptied waits for its last close.
  bool dirty() const { return dirty_; }
  bool fresh() const { return fresh_; }
  bool refused() const { return refused_.has_value(); }
  bool waits() const { return dirty_ || fresh_ || refused_; }
  // Something would be lost with this object.
  bool holds_bytes() const { return !detached_ && (copy_fd_ || clone_version_ != 0); }
  // Stages what waits. On an error the working copy stays, refused, and the error is repeated until
  // something is written again; except that kInterrupted, and kBusy after less than Turn::kWaitMax, change nothing, nor
  // for one that is closed() kBusy, kConflict (the repository moved: the next start stages it) and what
  // IsTakenByOthers().
  Status Stage(const Sink& sink, const VersionSink& version_sink, const Placer& placer,
               std::chrono::milliseconds wait_max = Turn::kWaitMax);
  // REQUIRES: part_waits(). Stages a copy of what was closed, at the cost of all of it; the file is written on. An
  // error changes nothing.
  Status StageClosedPart(const Sink& sink, std::chrono::milliseconds wait_max);
  void ForgetRefusal() {
    refused_.reset();
    write_failed_ = false;
  }

  // A close() or an fsync() promised what it holds, and it is not staged yet.
  bool promised() const { return copy_.was_closed() || kept_; }

  // No path leads here any more: nothing is staged from now on, and a crash leaves nothing of it.
  void Detach();

  // Where the file is, for the working copy's place.
  void Moved(const Placer& placer);
  // The entry as it is staged now, or as it would be.
  const Entry& entry() const { return entry_; }
  VersionId version() const { return entry_.version; }
  bool is_version() const { return !copy_fd_ && clone_version_ == 0 && !fresh_; }

  // Makes a dirty copy survive: the next start stages it if its path is unchanged.
  void KeepForNextStart(const Placer& placer);

  // Guarded by the nodes' lock.
  int handles = 0;
  int writers = 0;

  // Held by a FLUSH until everything that follows from it is done. A descriptor that a child inherited is
  // closed on its own and sends a FLUSH too: the writer's must not return while that one still stages a
  // manifest. Taken before mutex().
  std::mutex& flushing() { return flushing_; }
  // What came of the manifest that was flushed last. Guarded by flushing().
  Status manifest_outcome;

 private:
  Status MakeWritable(const Placer& placer);
  Status HashCopy();
  Result<Entry> StageCopy(const Sink& sink, const StageHow& how);
  Status OpenCopy(const Placer& placer);
  void RemoveCopyName();
  void NoteCopy(WorkingCopyState state);
  Status NoteClosed(const WorkingCopyPlace& place);
  Result<Entry> StageFirstBytes(const Sink& sink, std::chrono::milliseconds wait_max);
  Status SyncCopy();
  void Touched(uint64_t offset, uint64_t size_bytes);
  void DropCopy();
  Error Refuse(const Error& error);
  Error BytesAreMissing(const Error& error);
  Error Unwritten(const Error& error);

  std::mutex flushing_;
  std::timed_mutex mutex_;
  const OpenFileEnv env_;
  Entry entry_;
  std::shared_ptr<SharedFd> version_fd_;
  std::shared_ptr<SharedFd> taken_fd_;  // Of nothing yet: the next version_fd_.
  std::shared_ptr<SharedFd> copy_fd_;
  WorkingCopyPlace copy_;
  bool kept_ = false;  // The index remembers the copy.
  std::atomic<bool> closed_ = false, until_last_ = false;
  std::atomic<Clock::time_point> due_{};
  VersionId grown_from_ = 0;
  uint64_t grown_bytes_ = 0;  // The size it had.
  bool only_appended_ = false;
  bool part_waits_ = false;
  bool part_is_staged_ = false;  // And not durably.
  bool closed_synced_ = false;  // And the place that says so.
  Clock::time_point closed_synced_at_{}, unsynced_since_{};
  VersionId clone_version_ = 0;
  std::shared_ptr<SharedFd> clone_fd_;
  uint64_t clone_version_bytes_ = 0;

  // Read by shown().
  std::atomic<uint64_t> size_bytes_ = 0;
  std::atomic<int64_t> mtime_ns_ = 0;
  std::atomic<bool> detached_ = false;
  mutable Guarded<FileMode> mode_;

  bool dirty_ = false;
  bool fresh_ = false;
  uint64_t changes_ = 0;
  std::optional<Error> refused_;
  bool write_failed_ = false;  // Bytes are missing: only a fresh start, or `retry`, makes it worth staging.
  // The hash of what was written strictly forwards; std::nullopt once it was not.
  std::optional<ContentHasher> hasher_;
  uint64_t hashed_bytes_ = 0;
  std::optional<HashedFile> hashed_;  // All of the copy.
};

}  // namespace stagefs
