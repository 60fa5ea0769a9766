// One file of the mount while somebody has it open: its version, or the working copy that replaces it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "shared_fd.h"
#include "stagefs/changes.h"
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
// Every member is called with mutex() held, except where it says otherwise.
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

  std::mutex& mutex() { return mutex_; }

  // The bytes of versions never change, so reading them needs the lock only to find the descriptor.
  Result<std::shared_ptr<SharedFd>> ForReading();
  // What the mount shows of it.
  struct Shown {
    uint64_t size_bytes = 0;
    int64_t mtime_ns = 0;
    FileMode mode;
    bool detached = false;
  };
  Shown shown() const { return {size_bytes_, mtime_ns_, mode_, detached_}; }

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

  // What close() promised is kept by the copy and its place: it waits for the turn that stages it, and is staged before
  // anything is written to it. See WorkingCopyState::kClosed.
  bool closed() const { return closed_; }
  // Makes that so, for a path that holds `over` now. An error changes nothing.
  Status CloseUnstaged(VersionId over, const Placer& placer);
  bool closed_unsynced() const { return closed_ && !closed_synced_; }
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
  // something is written again; except that kBusy after less than Turn::kWaitMax changes nothing, nor for one that is
  // closed() kBusy, kConflict (the repository moved: the next start stages it) and what IsTakenByOthers().
  Status Stage(const Sink& sink, const VersionSink& version_sink, const Placer& placer,
               std::chrono::milliseconds wait_max = Turn::kWaitMax);
  void ForgetRefusal() {
    refused_.reset();
    write_failed_ = false;
  }

  // A close() or an fsync() promised what it holds, and it is not staged yet.
  bool promised() const { return closed_ || kept_; }

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
  Status SyncCopy();
  void Touched(uint64_t offset, uint64_t size_bytes);
  void DropCopy();
  Error Refuse(const Error& error);
  Error BytesAreMissing(const Error& error);

  std::mutex flushing_;
  std::mutex mutex_;
  const OpenFileEnv env_;
  Entry entry_;
  std::shared_ptr<SharedFd> version_fd_;
  std::shared_ptr<SharedFd> copy_fd_;
  WorkingCopyPlace copy_;
  bool kept_ = false;  // The index remembers the copy.
  bool closed_ = false, closed_synced_ = false;
  VersionId clone_version_ = 0;
  std::shared_ptr<SharedFd> clone_fd_;
  uint64_t clone_version_bytes_ = 0;

  uint64_t size_bytes_ = 0;
  int64_t mtime_ns_ = 0;
  FileMode mode_;
  bool dirty_ = false;
  bool fresh_ = false;
  bool detached_ = false;
  std::optional<Error> refused_;
  bool write_failed_ = false;  // Bytes are missing: only a fresh start, or `retry`, makes it worth staging.
  // The hash of what was written strictly forwards; std::nullopt once it was not.
  std::optional<ContentHasher> hasher_;
  uint64_t hashed_bytes_ = 0;
  std::optional<HashedFile> hashed_;  // All of the copy.
};

}  // namespace stagefs
