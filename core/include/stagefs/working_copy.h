// Working copies: the private files that hold what is being written until it is staged.
//
// They lie in incoming/INSTANCE/, one `wc-N` each; an N is used once. Where one belongs is in a small file beside it,
// one for each copy there is now, `place-K`. It is written before the copy is made; once the copy is gone it is
// written over for another one, which costs a tenth of making a file. A change goes to another place, and counts by
// its larger SEQ:
//
//   wc-N TAB SEQ TAB STATE TAB WORKSPACE TAB FOLDER TAB PATH-BYTES LF PATH, then anything
//   STATE: w writing, r refused, c,X,MTIME,OVER,BYTES,BOOT,SHA-256 closed, x,… rewritten since it was closed,
//   s,… staged, which could not be synced yet
//
// Closed: its close() returned before it was hashed, or before the turn came that stages it. That is done, with X (0 or
// 1: executable; or three octal digits, permissions that a program set) and MTIME, then, or by the next start, if its
// path still holds the version OVER (0: nothing); else it is recovered. Its BYTES have that hash; `-`: nobody knows it
// yet, and they are what was closed if the power did not go since, or they were synced (BOOT is `-` then, else the
// start of the boot's id). Rewritten: the next start stages what is there, as after a power loss on other file systems,
// if the first BYTES are what was closed. A place that survives power loss stays until one that came later does: the
// next start goes by the newest whose BYTES the copy has.
//
// The first byte is written last where the copy is there already, so a killed process leaves whole ones. Some are made
// beforehand, so that what a full disk refuses can still be named. Other processes read them for `status`; a start
// after a crash reads them to know what it found. After a power loss one may be old, and name a copy that is gone.
// What fsync() kept has a row in the index, which is enough.
//
// An INSTANCE of 0.1.0 has one file `places` for all its copies: a line for each creation, move or change of state, of
// which the last one of a file counts:
//
//   wc-3 TAB STATE TAB WORKSPACE TAB FOLDER TAB PATH-ESCAPED LF      STATE: also - gone
//
// (A row of the index for each file that is being written would cost each a transaction; names or extended attributes
// of the file itself do not hold a path of 4,096 bytes.)
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/guarded.h"
#include "stagefs/posix_env.h"
#include "stagefs/repository.h"

namespace stagefs {

enum class WorkingCopyState { kWriting, kRefused, kClosed, kRewritten };

// What close() promised.
struct ClosedCopy {
  FileMode mode;
  int64_t mtime_ns = 0;
  VersionId over = 0;
  uint64_t size_bytes = 0;
  bool synced = false;  // Noted of one that is not hashed.
  std::optional<Sha256> content{};  // Not hashed yet.
  bool staged = false;  // And not durably: nobody waits for it. Of kRewritten.
};

struct WorkingCopyPlace {
  std::string file;  // Full path.
  WorkingCopyState state = WorkingCopyState::kWriting;
  WorkspaceId workspace = 0;
  Slot slot;
  std::string path;  // In the workspace's tree, when it was noted.
  std::string noted_in{};  // The file that says so, of one that was read.
  ClosedCopy closed;  // kClosed, kRewritten.
  bool is_written() const { return state == WorkingCopyState::kWriting || state == WorkingCopyState::kRewritten; }
  // A close() promised what it holds, or held.
  bool was_closed() const { return state == WorkingCopyState::kClosed || state == WorkingCopyState::kRewritten; }
  // And that is to be staged yet.
  bool waits() const {
    const bool closed_part = state == WorkingCopyState::kRewritten && closed.content && !closed.staged;
    return state == WorkingCopyState::kClosed || closed_part;
  }
};

// This process's working copies. Safe for concurrent use. Outlived by the repository.
class WorkingCopies {
 public:
  static Result<std::unique_ptr<WorkingCopies>> Open(Repository& repository);
  ~WorkingCopies();

  // A new, empty file for `place` (whose `file` is filled in), open for reading and writing.
  Result<UniqueFd> Create(WorkingCopyPlace* place);
  // Notes a move or a change of state. What was noted before and survives power loss stays until SyncPlace().
  Status Note(const WorkingCopyPlace& place);
  // What was noted survives power loss.
  Status SyncPlace(const WorkingCopyPlace& place);
  // And that copies are gone.
  Status SyncNames();
  // After an fsync(): from now on a crash stages it, if its path still holds `base_version` then.
  Status Keep(const WorkingCopyPlace& place, std::optional<VersionId> base_version);
  // The copy was thrown away; `kept`: Keep() was called for it.
  Status Forget(const WorkingCopyPlace& place, bool kept);
  // A link of the copy was staged: it goes, once that is as durable as the copy is. Where it cannot be synced now, it
  // stays until it can be.
  void RemoveStaged(const WorkingCopyPlace& place, bool kept);
  // Whether the copy and what was noted of it may be what a power loss leaves: it was synced, by some process.
  bool MayBeDurable(const WorkingCopyPlace& place);

 private:
  explicit WorkingCopies(Repository& repository) : repository_(repository) {}

  // The places that are in use, by their copies, and those that are not.
  struct Places {
    struct Use {
      int64_t place = 0, changes = 0;
      uint64_t syncs = 0;  // CountSyncs() when it was noted.
      bool durable = false;
      std::vector<int64_t> held;  // Older ones that are durable, or may be, until this one is.
    };
    std::map<std::string, Use> uses;
    std::vector<int64_t> free;
    int64_t next = 1;
  };
  struct Left {
    WorkingCopyPlace place;
    bool kept = false;
  };
  void RemoveLeft();
  Status RemoveNow(const WorkingCopyPlace& place, bool kept);
  std::string PathOf(int64_t place) const;
  int64_t AnyPlace();
  void Free(int64_t place);
  // How often a process, maybe another one, synced what was closed here.
  uint64_t CountSyncs() const;
  // kMarkedLast: until all of it is there it counts for nothing.
  enum class How { kWritten, kMarkedLast };
  Status Write(int64_t place, const std::string& text, How how);

  Repository& repository_;
  std::atomic<int64_t> next_{1};
  Guarded<Places> places_;
  Guarded<std::vector<Left>> left_;
  std::atomic<bool> folder_synced_{false};  // The instance's own name is durable.
};

// Whether the bytes of a closed copy, `now`, are what was closed, as far as that can be told.
Result<bool> IsAsClosed(const WorkingCopyPlace& place, const HashedFile& now);

// What is being written or refused now, by any process; each copy once.
Result<std::vector<WorkingCopyPlace>> ListWorkingCopyPlaces(Repository& repository);

// What was closed and is not staged yet survives power loss, and so do its places; not what nobody has hashed yet,
// which its own process sees to. Called by any process.
Status SyncClosedCopies(Repository& repository);

// A file in incoming/INSTANCE that whoever waits for what its process closed makes; whoever stages that removes it.
std::string StageNowMark(const std::string& instance);
// The folders incoming/INSTANCE.
Result<std::vector<std::string>> ListInstances(const Repository& repository);
// Where the copies of an instance belong, by their files.
struct KnownPlaces {
  std::map<std::string, WorkingCopyPlace> of;
  std::map<std::string, std::vector<WorkingCopyPlace>> earlier;  // What is still there of older ones: newest first.
  Status trouble;  // Some could not be read.
};
Result<KnownPlaces> ReadPlaces(const std::string& instance);
// wc-N: a working copy, and nothing that lies beside one.
bool IsWorkingCopyName(std::string_view name);
// INSTANCE/wc-N, by which the index knows a copy.
std::string WorkingCopyKey(const std::string& file);

}  // namespace stagefs
