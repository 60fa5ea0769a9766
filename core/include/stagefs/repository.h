// A repository that is open: its index and its versions, in one folder below a root.
//
// What is done with it has headers of its own: history.h, workspaces.h, workspace.h, upkeep.h; repositories.h opens it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stagefs/guarded.h"
#include "stagefs/incoming_file.h"
#include "stagefs/posix_env.h"
#include "stagefs/staging_index.h"

namespace stagefs {

class VersionReader;
class VersionStore;

// NAMESPACE/NAME. INVARIANT: each part matches [a-zA-Z0-9][a-zA-Z0-9_.-]* and is at most 100 bytes.
struct RepositoryName {
  std::string space, name;

  static Result<RepositoryName> Parse(std::string_view text);
  std::string ToString() const { return space + '/' + name; }
};

// In the repository's folder, once a disk failed.
constexpr char kDiskErrorFile[] = "/disk-error";

// Files of one Adopt() where there are many: each group is synced at once.
constexpr size_t kGroupFilesMax = 1024;

// What opening a repository found after a crash.
struct RecoveryReport {
  int64_t restaged = 0;       // Working copies that fsync() had kept, staged again.
  int64_t recovered = 0;      // Others, now in recovered/.
  int64_t lost_versions = 0;  // Contents closed within the last second before the power went.
  // Versions and working copies that could not be looked at now: they stay as they are, and the next start tries again.
  int64_t left_for_later = 0;
};

class Flusher;

// Safe for concurrent use from any number of threads; several processes may open the same repository.
class Repository {
 public:
  // Of an index and a store; `folder` holds incoming/ and recovered/. `versions_mark`: what the index says of where the
  // versions are, if it says so. Nothing is recovered yet, and nothing synced in the background.
  static Result<std::unique_ptr<Repository>> Assemble(const std::string& folder, RepositoryName name,
                                                      std::unique_ptr<StagingIndex> index,
                                                      std::unique_ptr<VersionStore> versions,
                                                      std::string versions_mark);
  // The same where nothing can be written, as `why` says: no file is made, nothing is synced or recovered, and every
  // change fails with `why`. REQUIRES: so does the index.
  static std::unique_ptr<Repository> AssembleToRead(const std::string& folder, RepositoryName name,
                                                    std::unique_ptr<StagingIndex> index,
                                                    std::unique_ptr<VersionStore> versions, std::string versions_mark,
                                                    const Error& why);
  // Once what a crash left was recovered. `recover_dead` does so again, for what processes left that died since;
  // `sync_closed` is SyncClosed().
  void Start(const RecoveryReport& recovery, std::function<void()> recover_dead = {},
             std::function<Status()> sync_closed = {});
  ~Repository();

  const RepositoryName& name() const { return name_; }
  StagingIndex& index() { return *index_; }
  VersionStore& versions() { return *versions_; }
  const std::string& folder() const { return folder_; }
  const RecoveryReport& recovery() const { return recovery_; }

  // This process's own folder for files being written; none where nothing can be.
  const std::string& incoming() const { return incoming_; }
  Result<IncomingFile> NewIncoming() const;
  // What a repository that can only be read says to changes: kReadOnly, kPermission.
  Status CheckWritable() const { return why_only_read_ ? Status(*why_only_read_) : Status(); }

  // Stores each file, or finds that its content is there already and renews it. In one transaction; when it
  // returns OK all of them survive power loss. The files are gone afterwards.
  Result<std::vector<VersionInfo>> Adopt(std::vector<IncomingFile> files);
  Result<VersionInfo> Adopt(IncomingFile file);
  Result<VersionInfo> PutBytes(std::string_view bytes);

  // Errors: kInvalidArgument for a malformed hash, kNotFound ("no such version") naming it.
  Result<VersionInfo> FindVersion(std::string_view hash);
  // The same for whoever would store the content again: kNotFound also where its bytes are known to be gone or wrong.
  Result<VersionInfo> FindStored(std::string_view hash);
  // kStale if it is gone.
  Result<VersionInfo> GetVersion(VersionId id);
  // Errors: kCorrupt if the bytes are gone or wrong, which nothing but damage can do to a version that a row names.
  Result<std::unique_ptr<VersionReader>> OpenVersion(const VersionInfo& version) const;
  // Brings the bytes to this machine where they are elsewhere, so that opening them waits for nobody.
  Status PrefetchVersion(const VersionInfo& version) const;
  // OpenVersion() by number; kStale if it is gone. An index that is far away is not asked for each.
  Result<std::unique_ptr<VersionReader>> OpenVersion(VersionId id);

  // A turn in which bytes that no row names may leave the store. kStale once the index moved: what is stored since then
  // has its rows elsewhere.
  Result<std::unique_ptr<IndexTransaction>> BeginRemoval();
  // A disk could not be read or written: all that is on it is looked at again soon.
  void NoteDiskError() const;
  // For times that are compared with those of others who use the index: its clock where machines share it.
  int64_t ClockNs() const;

  // Syncs everything acknowledged so far, bytes first.
  Status SyncAll();
  // The bytes alone of what was acknowledged before the call: what is staged, and what was closed, not staged yet.
  Status SyncVersions();
  Status SyncClosed() { return sync_closed_ ? sync_closed_() : Status(); }
  // A process that was killed may have been told that a sync failed, and nobody else is: so what was not synced when it
  // died is written anew by whoever syncs it next. Once for each process; called before syncs that are believed.
  Status DoubtSyncsOfDead();
  // The same for those whose folders these are.
  Status DoubtSyncsOf(const std::set<std::string>& dead);
  // What processes that died left is staged or recovered now, not when the next one starts. The caller has no turn.
  void RecoverDead() {
    if (recover_dead_) recover_dead_();
  }
  // Of a version that another boot may have lost, and whose bytes cannot be read now. It stays unsynced until they can
  // be, or are stored again; SyncVersions() looks again and passes it over.
  void NoteDoubtful(const VersionInfo& version);
  // Whether SyncVersions() left marks to a later one since this was asked: others had a long turn.
  bool MarksWait() { return marks_wait_.exchange(false); }
  // Wakes the flusher; called after a transaction that added an unsynced version.
  void NoteUnsynced();
  // Renews what was found by its hash and nobody had wanted before: RemoveOutgrown() leaves it alone. The flusher does.
  Status RenewFound();

  // Called after each transaction of this process that changed a workspace, on the thread that did it, by several
  // threads at once. It may wait for a moment, for what the change must have reached before it is acknowledged, and
  // must not call the repository. Returns a handle for RemoveListener(), which waits for calls that are being made.
  using Listener = std::function<void(WorkspaceId, WriterId)>;
  int AddListener(Listener listener);
  void RemoveListener(int handle);
  void NotifyListeners(WorkspaceId workspace, WriterId writer);

 private:
  friend class DurableChange;

  Repository(std::string folder, RepositoryName name);
  Status ClaimIncoming();
  Status SyncBytes(const std::vector<VersionInfo>& versions);
  // What is asked of a version's row to open its bytes.
  struct Known {
    Sha256 hash;
    uint64_t size_bytes = 0;
    int64_t stored_ns = 0;
    static Known Of(const VersionInfo& version) {
      return {version.content.sha256, version.size_bytes, version.stored_ns};
    }
  };
  Result<Known> KnownOf(VersionId id);
  void NoteHashes(const std::vector<VersionInfo>& versions);
  // Those that are doubtful still.
  std::set<Sha256> LookAgain();
  // Syncs them, and marks those where that worked. The first error of the others.
  // kBusy where the turn to mark them did not come in time.
  Status SyncThese(const std::vector<VersionInfo>& versions, std::chrono::milliseconds wait_max);
  // kConflict where they were moved since this was opened.
  Status CheckVersionsAreHere(IndexReader& index) const;
  // Of bytes that a row names and the store has not.
  Error WhyMissing(const Error& not_found) const;

  struct Listeners;

  // Constant after Start().
  const std::string folder_;
  const RepositoryName name_;
  std::string incoming_;
  int lock_fd_ = -1;
  std::unique_ptr<StagingIndex> index_;
  std::unique_ptr<VersionStore> versions_;
  std::string versions_mark_;  // What an index that says where they are says of these.
  std::optional<Error> why_only_read_;
  RecoveryReport recovery_;
  std::function<void()> recover_dead_;
  std::function<Status()> sync_closed_;
  int64_t clock_ahead_ns_ = 0;  // Of a shared index's clock before the time since this boot.
  // Synchronize themselves.
  std::atomic<bool> marks_wait_ = false;
  FileSystemSync file_system_;
  std::timed_mutex syncing_;  // One sync at a time: whoever waited finds its work done.
  std::unique_ptr<Listeners> listeners_;
  Guarded<std::unordered_map<VersionId, Known>> hashes_;  // Some of an index that is far away.
  Guarded<std::map<Sha256, VersionInfo>> doubtful_;
  Guarded<std::set<VersionId>> found_;
  Guarded<std::set<std::string>> dead_;  // Folders of processes for which DoubtSyncsOfDead() is done.
  std::unique_ptr<Flusher> flusher_;
};

}  // namespace stagefs
