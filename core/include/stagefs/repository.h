// A repository: its versions, branches, commits and workspaces, in one folder below a root.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stagefs/guarded.h"
#include "stagefs/repo_path.h"
#include "stagefs/staging_index.h"
#include "stagefs/version_store.h"

namespace stagefs {

// NAMESPACE/NAME. INVARIANT: each part matches [a-zA-Z0-9][a-zA-Z0-9_.-]* and is at most 100 bytes.
struct RepositoryName {
  std::string space, name;

  static Result<RepositoryName> Parse(std::string_view text);
  std::string ToString() const { return space + '/' + name; }
};

// Where a repository keeps what it knows, as URLs. An empty one is in the repository's folder below the root: SQLite,
// and a folder of versions, which no other machine sees.
struct RepositoryPlaces {
  std::string index;     // postgresql://HOST/DATABASE…
  std::string versions;  // s3://BUCKET/PREFIX?endpoint=…

  // As the folder's places.json says; all empty where there is none.
  static Result<RepositoryPlaces> Read(const std::string& folder);
  Status Write(const std::string& folder) const;
};

constexpr std::string_view kDefaultBranch = "main";
constexpr int64_t kGcKeepDaysDefault = 14;
// Files of one Adopt() where there are many: each group is synced at once.
constexpr size_t kGroupFilesMax = 1024;
// A mount that other machines can see says this often that it lives, and is taken for dead after so much silence.
constexpr int64_t kMountBeatSeconds = 10;
constexpr int64_t kMountSilenceSeconds = 60;
// Of a machine's copies of versions that are elsewhere, unless $STAGEFS_CACHE_BYTES says otherwise.
constexpr uint64_t kCacheBytesDefault = 20ULL << 30;
// The name of a branch or a workspace.
constexpr size_t kRevisionNameBytesMax = 200;

// Who commits.
struct Author {
  std::string name, email;
};

// A file on its way into the version store: written once, hashed while it is written. It disappears with
// its owner unless the repository adopts it. For one thread at a time.
class IncomingFile {
 public:
  static Result<IncomingFile> Create(const std::string& folder);
  IncomingFile(IncomingFile&&) noexcept;
  IncomingFile& operator=(IncomingFile&&) noexcept;
  ~IncomingFile();

  Status Write(const void* data, size_t size_bytes);
  Status Write(std::string_view bytes) { return Write(bytes.data(), bytes.size()); }
  // The whole of an open file, by reflink where the disk can. Nothing was written before.
  Status CopyFrom(int fd);
  // Everything that `source` still has.
  Status WriteFrom(ByteSource& source);
  // Gives the descriptor back where many files wait to be adopted together. Nothing more is written.
  void Close();
  ContentId Finish() const { return hasher_.Finish(); }
  uint64_t size_bytes() const { return size_bytes_; }
  int fd() const { return fd_; }
  const std::string& path() const { return path_; }
  // Forgets the file without removing it: somebody else has it now.
  void Release() { path_.clear(); }

 private:
  IncomingFile() = default;
  void Drop();

  int fd_ = -1;
  std::string path_;
  ContentHasher hasher_;
  uint64_t size_bytes_ = 0;
};

// What fsck found. `Clean()` is what its exit status says.
struct FsckReport {
  int64_t checked = 0;
  std::vector<Sha256> missing;   // Rows without bytes.
  std::vector<Sha256> damaged;   // Bytes that do not hash to their name.
  std::vector<Sha256> orphaned;  // Bytes without a row: harmless, gc removes them.
  int64_t entries_without_version = 0;
  bool Clean() const { return missing.empty() && damaged.empty() && entries_without_version == 0; }
};

struct GcReport {
  int64_t versions = 0, orphans = 0;
  uint64_t bytes = 0;
};

struct CommitPage {
  std::vector<CommitInfo> commits;
  int64_t total = 0;
};

struct MergePreview {
  std::vector<CommitInfo> commits;     // Of the head, not of the base; newest first.
  std::vector<std::string> conflicts;  // Paths that both sides changed.
};

struct MergeResult {
  CommitInfo base, head;  // As they were.
  CommitInfo merge;       // The head of the base branch now.
};

// What a merge says of itself unless somebody knows better.
std::string MergeMessage(const std::string& base, const std::string& head);

// What opening a repository found after a crash.
struct RecoveryReport {
  int64_t restaged = 0;       // Working copies that fsync() had kept, staged again.
  int64_t recovered = 0;      // Others, now in recovered/.
  int64_t lost_versions = 0;  // Contents closed within the last second before the power went.
};

// Safe for concurrent use from any number of threads; several processes may open the same repository.
class Repository {
 public:
  // Makes it in `places`. One that another machine made there is the same repository from then on.
  // kExists if this root knows it already.
  static Status Create(const std::string& root, const RepositoryName& name, const RepositoryPlaces& places = {});
  static Result<std::vector<RepositoryName>> List(const std::string& root);
  // With all that is in it, wherever that is. kBusy while it is mounted.
  static Status Delete(const std::string& root, const RepositoryName& name);

  // Opens it and recovers what a crash left. One that this root does not know is looked for in `places`.
  // Errors: kNotFound; kUnsupported if a newer stagefs made it; kReadOnly; kCorrupt; kIo.
  static Result<std::unique_ptr<Repository>> Open(const std::string& root, const RepositoryName& name,
                                                  const RepositoryPlaces& places = {});

  // Of any index and store, as tests want it; `folder` holds incoming/ and recovered/. `versions_mark`: what the index
  // says of where the versions are, if it says so.
  static Result<std::unique_ptr<Repository>> Assemble(const std::string& folder, RepositoryName name,
                                                      std::unique_ptr<StagingIndex> index,
                                                      std::unique_ptr<VersionStore> versions,
                                                      std::string versions_mark = {});
  ~Repository();

  const RepositoryName& name() const { return name_; }
  StagingIndex& index() { return *index_; }
  VersionStore& versions() { return *versions_; }
  const std::string& folder() const { return folder_; }
  const RecoveryReport& recovery() const { return recovery_; }

  // This process's own folder for files being written.
  const std::string& incoming() const { return incoming_; }
  Result<IncomingFile> NewIncoming() const { return IncomingFile::Create(incoming_); }

  // Stores each file, or finds that its content is there already and renews it. In one transaction; when it
  // returns OK all of them survive power loss. The files are gone afterwards.
  Result<std::vector<VersionInfo>> Adopt(std::vector<IncomingFile> files);
  Result<VersionInfo> Adopt(IncomingFile file);
  Result<VersionInfo> PutBytes(std::string_view bytes);

  // Inside `transaction`: takes the file at `path` into the store unless its content is there already (then
  // removes the file). Without a sync: the flusher does that within a second.
  Result<VersionInfo> TakeInto(IndexTransaction& transaction, const std::string& path,
                               const ContentId& content, uint64_t size_bytes, bool synced);

  // After a transaction that took the file at `path` failed: gets the file back, unless somebody else has
  // named its content meanwhile (then it is kept by that name).
  Status TakeBack(const std::string& path, const Sha256& hash);

  // Errors: kInvalidArgument for a malformed hash, kNotFound ("no such version") naming it.
  Result<VersionInfo> FindVersion(std::string_view hash);
  // Errors: kCorrupt if the bytes are gone, which nothing but damage can do to a version that a row names.
  Result<std::unique_ptr<VersionReader>> OpenVersion(const VersionInfo& version) const;
  // The same by number; kStale if it is gone. An index that is far away is not asked for each.
  Result<std::unique_ptr<VersionReader>> OpenVersion(VersionId id);

  // Syncs everything acknowledged so far, bytes first.
  Status SyncAll();
  // The bytes alone: what a transaction that is about to be synced itself must do first.
  Status SyncVersions();
  // Wakes the flusher; called after a transaction that added an unsynced version.
  void NoteUnsynced();

  Status CreateBranch(const std::string& name, const std::string& from);
  Status DeleteBranch(const std::string& name);
  // Returns the commit that is its head now.
  Result<CommitInfo> MoveBranch(const std::string& name, const std::string& to);
  // A branch name or a commit id. kNotFound.
  Result<CommitInfo> ResolveRevision(const std::string& revision);
  // What `revision` descends from, itself included, newest first: the page after `skip` commits.
  Result<CommitPage> Log(const std::string& revision, int64_t skip, size_t limit);
  // Only those that changed something at or below `path`.
  Result<CommitPage> History(const std::string& revision, const RepoPath& path, int64_t skip, size_t limit);
  // What `revision` descends from and `base` does not, newest first.
  Result<std::vector<CommitInfo>> CommitsSince(const std::string& revision, CommitSeq base);
  // The ids of a commit's parents: none for the first, two for a merge.
  Result<std::vector<std::string>> ParentsOf(const CommitInfo& commit);

  // What Merge() would do. kNotFound.
  Result<MergePreview> PreviewMerge(const std::string& base, const std::string& head);
  // Brings what `head` (a branch or commit) changed into the branch `base`; where that branch has nothing of
  // its own it moves forward without a new commit. kConflict, listing the paths, and nothing is changed.
  Result<MergeResult> Merge(const std::string& base, const std::string& head, const std::string& message,
                            const Author& author);
  // Changes paths of a branch in one commit, without a workspace that anybody sees. No commit if the branch
  // has all of it already. Errors: kNotFound for the branch or a path that is not there; kExists where
  // something is moved to; what staging refuses. Nothing is changed then.
  struct PathChange {
    RepoPath path;
    std::optional<VersionId> version;  // Put this there;
    std::optional<RepoPath> moved_to;  // or move the path;
  };                                   // or, with neither, remove it.
  Result<std::optional<CommitInfo>> CommitPaths(const std::string& branch,
                                                const std::vector<PathChange>& changes,
                                                const std::string& message, const Author& author);
  // Puts `files` into the repository's first commit, which must be the only one (else kConflict).
  Result<CommitInfo> Seed(const std::vector<std::pair<RepoPath, VersionId>>& files);

  // The entries of a folder as `revision` has it, after the name `after`. kNotFound, kNotDirectory.
  Result<std::vector<Named<Entry>>> ListTree(const std::string& revision, const RepoPath& folder,
                                             std::string_view after, size_t limit);

  Result<WorkspaceInfo> CreateWorkspace(const std::string& branch, const std::optional<std::string>& name,
                                        const std::optional<std::string>& uid);
  // Working copies not staged go to recovered/. kBusy if it is mounted, unless `force`.
  Status DeleteWorkspace(const std::string& id_or_name, bool force);

  // Mounts whose process is alive, those of other machines as long as they said so in the last
  // kMountSilenceSeconds; rows of others are dropped.
  Result<std::vector<MountRow>> LiveMounts();

  // Called after each transaction of this process that changed a workspace, on the thread that did it, by several
  // threads at once. It may wait for a moment, for what the change must have reached before it is acknowledged, and
  // must not call the repository. Returns a handle for RemoveListener(), which waits for calls that are being made.
  using Listener = std::function<void(WorkspaceId, WriterId)>;
  int AddListener(Listener listener);
  void RemoveListener(int handle);
  void NotifyListeners(WorkspaceId workspace, WriterId writer);

  // Moves damaged bytes out of the store, to damaged/: storing the same content again heals it.
  Status SetAside(const std::vector<Sha256>& damaged);
  Result<FsckReport> Fsck(const std::function<void(int64_t done)>& progress);
  // Removes versions that nothing names and nobody put, found or unstaged in the last `keep_days`.
  Result<GcReport> Gc(int64_t keep_days);

 private:
  Repository(std::string folder, RepositoryName name);
  static Status Join(const std::string& root, const RepositoryName& name, RepositoryPlaces places,
                     WhereMissing missing);
  Status Start(std::unique_ptr<StagingIndex> index, std::unique_ptr<VersionStore> versions);
  Result<Sha256> HashOf(VersionId id);
  void NoteHashes(const std::vector<VersionInfo>& versions);
  // kConflict where they were moved since this was opened.
  Status CheckVersionsAreHere(IndexReader& index) const;
  // Of bytes that a row names and the store has not.
  Error WhyMissing(const Error& not_found) const;

  struct Flusher;
  struct Listeners;

  // Constant after Start().
  const std::string folder_;
  const RepositoryName name_;
  std::string incoming_;
  int lock_fd_ = -1;
  std::unique_ptr<StagingIndex> index_;
  std::unique_ptr<VersionStore> versions_;
  std::string versions_mark_;  // What an index that says where they are says of these.
  RecoveryReport recovery_;
  // Synchronize themselves.
  std::mutex syncing_;  // One sync at a time: whoever waited finds its work done.
  std::unique_ptr<Listeners> listeners_;
  Guarded<std::unordered_map<VersionId, Sha256>> hashes_;  // Some of an index that is far away.
  std::unique_ptr<Flusher> flusher_;
};

// One thing that Examine() looked at, in a sentence that says what to do where it is not good.
struct Finding {
  bool good = false;
  std::string text;
};
// Looks at this machine, and at the places where the repository keeps what it knows.
Result<std::vector<Finding>> Examine(const std::string& root, const RepositoryName& name,
                                     const RepositoryPlaces& places);

// Repositories of one root, each opened once and kept open while the Root lives. Safe for concurrent use.
class Root {
 public:
  // Repositories that `folder` does not know are looked for, and made, in `places`.
  explicit Root(std::string folder, RepositoryPlaces places = {});
  ~Root();
  const std::string& folder() const { return folder_; }
  // The handle must not outlive the Root. A repository that was deleted, also by another process, is let go
  // of.
  Result<std::shared_ptr<Repository>> Open(const RepositoryName& name);
  // Those that are open now.
  std::vector<std::shared_ptr<Repository>> Opened();
  // kExists.
  Result<std::shared_ptr<Repository>> Create(const RepositoryName& name);
  // Waits a moment for requests that use it. kNotFound; kBusy while it is mounted or in use.
  Status Delete(const RepositoryName& name);

 private:
  struct State;
  const std::string folder_;
  const RepositoryPlaces places_;
  const std::unique_ptr<State> state_;
};

}  // namespace stagefs
