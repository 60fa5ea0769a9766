// A workspace: a place where changes are staged on top of a base commit. Every door ends here.
//
// Its tree is the base commit with the staged entries applied. A place in it is a Slot: a name in a folder.
// Folders are identities, so a renamed folder keeps its FolderId.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stagefs/guarded.h"
#include "stagefs/manifest.h"
#include "stagefs/repo_path.h"
#include "stagefs/repository.h"
#include "stagefs/stage_report.h"

namespace stagefs {

class Overlay;

// Names that editors, browsers and copy tools give to files that are not finished, and that desktops leave
// behind. Written through a mount they are scratch: kept, readable, renamable, never staged.
bool IsScratchFile(std::string_view name, uint64_t size_bytes);
// The rules of IsScratchFile() for people, one a line.
std::string_view ScratchNamesHelp();
// `*.stage.json` and so on: a manifest dropped into the tree, staged into its own folder.
bool IsStageManifestName(std::string_view name);
// Whether a file of this name in the inbox is staged: not a report, and not an unfinished file.
bool IsInboxManifestName(std::string_view name);
// The report's name beside a manifest.
std::string ResultNameOf(std::string_view manifest_name);

enum class Origin {
  kNamed,    // A manifest, link, HTTP or command named this path: taken literally.
  kWritten,  // Something was written or renamed under this name: it may be scratch.
};

// How to stage one file.
struct StageHow {
  Origin origin = Origin::kNamed;
  bool update_timestamp = false;
  std::optional<int64_t> mtime_ns;  // Default: when the version was stored.
  std::optional<bool> executable;   // Default: as the path has it.
  bool exclusive = false;           // kExists if there is something at the path already.
  bool keep_mtime = false;          // Content unchanged: keep `mtime_ns` in the workspace all the same.
};

enum class StageOutcome { kAdded, kModified, kUnchanged, kScratch };

struct StagedFile {
  StageOutcome outcome = StageOutcome::kUnchanged;
  Entry entry;
};

struct Located {
  Slot slot;
  Entry entry;
};

enum class RenameMode { kReplace, kNoReplace, kExchange };

struct StatusLine {
  enum class Kind { kAdded, kModified, kRemoved, kRenamed, kScratch, kSymlink, kEmptyFolder };
  Kind kind = Kind::kAdded;
  std::string path;
  std::string renamed_from;    // kRenamed: the folder's path in the base.
  int64_t renamed_files = 0;   // kRenamed.
  VersionId version = 0;       // kAdded, kModified, kScratch.
  VersionId base_version = 0;  // kModified, kRemoved.
  uint64_t size_bytes = 0;
  bool executable = false;
  int64_t mtime_ns = 0;
  std::string target;  // kSymlink.
};

// "added", "modified", … as status and JSON print it.
std::string_view ToString(StatusLine::Kind kind);

struct CommitResult {
  CommitInfo commit;
  int64_t entries = 0;
  int64_t others = 0;                 // Commits of others that were there first.
  std::vector<std::string> left_out;  // Scratch files and symbolic links, which are never staged.
  bool workspace_deleted = false;     // Unnamed and not mounted: its work is done.
};

// Safe for concurrent use from any number of threads. Outlived by its Repository.
class Workspace {
 public:
  // `writer`: the mount this is for, or kNoMount. kNotFound.
  static Result<std::unique_ptr<Workspace>> Open(Repository& repository, const std::string& id_or_name,
                                                 WriterId writer = kNoMount);

  Repository& repository() { return repository_; }
  WorkspaceId id() const { return id_; }
  Result<WorkspaceInfo> Info();

  // The tree, or with `in_base` that of the base commit.
  enum class Tree { kWorkspace, kBase };
  Result<std::optional<Entry>> LookUp(FolderId folder, std::string_view name, Tree tree = Tree::kWorkspace);
  Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit,
                                         Tree tree = Tree::kWorkspace);
  // kNotFound, kNotDirectory. The root is a folder without a slot name.
  Result<Located> Find(const RepoPath& path, Tree tree = Tree::kWorkspace);
  // The path of a folder in the workspace's tree, "" for the root.
  Result<std::string> PathOf(FolderId folder);
  // "added", "modified", "unchanged", "scratch", "symlink".
  Result<std::string> StatusOf(const Slot& slot);

  // One path. Survives kill -9 when it returns; power loss within a second.
  Result<StagedFile> StageVersion(const Slot& slot, VersionId version, const StageHow& how);
  // Stages the file at `file`, which is moved into the store (or removed, where its content is there).
  // On an error the file stays.
  Result<StagedFile> StageFile(const Slot& slot, const std::string& file, const ContentId& content,
                               uint64_t size_bytes, const StageHow& how);
  Status Remove(const Slot& slot);
  Result<Entry> MakeFolder(const Slot& slot);
  Status RemoveFolder(const Slot& slot);
  Status Rename(const Slot& from, const Slot& to, RenameMode mode);
  Result<Entry> MakeSymlink(const Slot& slot, const std::string& target);
  // What a symbolic link to `target` means here. A target that is a full hash, names a version
  // (…/.stagefs/versions/HASH, /elsewhere/HASH of a known one) or a file of this workspace stages that
  // content; any other is kept as a link. `mountpoint` is where the workspace's root is seen.
  // kNotFound for a bare hash that no version has.
  struct Linked {
    bool staged = false;
    Entry entry;
  };
  Result<Linked> Link(const Slot& slot, const std::string& target, std::string_view mountpoint);
  // Changes what is given; never looks at content. kNotFound.
  Result<Entry> SetTraits(const Slot& slot, std::optional<int64_t> mtime_ns, std::optional<bool> executable);

  // By path, creating folders on the way; survives power loss.
  Result<StagedFile> StagePath(const RepoPath& path, std::string_view hash, const StageHow& how);
  // Several at once, in one transaction: what cannot be staged says why, in the order asked, and the others
  // are staged. Survives power loss. An error is trouble, and nothing is staged.
  struct NamedVersion {
    RepoPath path;
    VersionId version = 0;
  };
  Result<std::vector<Status>> StageVersions(const std::vector<NamedVersion>& files, const StageHow& how);
  // A file is removed; a folder with everything in it. Survives power loss.
  Status RemovePath(const RepoPath& path);
  // A file or folder gets another path, in folders made on the way. Survives power loss.
  // Errors: kNotFound; kExists if there is something at `to`.
  Status MovePath(const RepoPath& from, const RepoPath& to);

  // Stages a manifest into `directory` in one transaction; survives power loss. A refused entry is data in
  // the report. Errors: kInvalidArgument for a malformed manifest (nothing is staged), trouble otherwise.
  struct ManifestRequest {
    RewindableSource* source = nullptr;
    ManifestFormat format = ManifestFormat::kSniff;
    RepoPath directory;
    ManifestOptions options;                        // What the manifest itself says is added to these.
    std::function<void(int64_t entries)> progress;  // Now and then, from any thread.
  };
  Result<StageReport> StageManifest(const ManifestRequest& request);
  // As JSON, kept as the workspace's newest report (.stagefs/last.json).
  Result<VersionInfo> KeepReport(const StageReport& report);

  // Manifests in .stagefs/inbox/DIRECTORY: kept until removed, never part of the tree.
  // Takes `file` into the store, or names a stored version. StageFromInbox() stages what is there into
  // DIRECTORY and puts the report beside it; its error says that nothing could be attempted (the report
  // says why, too).
  Result<Entry> StoreInInbox(const RepoPath& directory, const std::string& name, const std::string& file,
                             const ContentId& content, uint64_t size_bytes);
  Result<Entry> StoreInInbox(const RepoPath& directory, const std::string& name, VersionId version);
  Status StageFromInbox(const RepoPath& directory, const std::string& name);
  // The same for a manifest dropped into the tree at `slot`.
  Status StageDropped(const Slot& slot);
  // A manifest that is renamed into place is recorded with the rename and staged by StageQueued(), which the
  // mount calls from a thread of its own and once at its start: a crash in between loses nothing.
  Status StageQueued();
  Status RenameInbox(const RepoPath& from, const std::string& name, const RepoPath& to,
                     const std::string& new_name);
  Status RemoveInbox(const RepoPath& directory, const std::string& name);
  Result<std::optional<InboxFile>> LookUpInbox(const RepoPath& directory, const std::string& name);
  Result<std::vector<InboxFile>> ListInbox(const RepoPath& directory);

  // Everything staged, scratch or kept, sorted by path, with a renamed folder as one line; O(staged). What is staged
  // inside a renamed folder has lines of its own.
  Status ForEachStatus(const std::function<Status(const StatusLine&)>& visit);
  // The same path by path: what the base shows and the workspace shows otherwise, sorted by path; O(staged and the
  // files of renamed folders).
  Status ForEachChange(const std::function<Status(const StatusLine&)>& visit);
  // Takes back what is staged at `path` (a folder: everything in it). kNotFound if nothing is.
  Result<int64_t> Unstage(const RepoPath& path);
  Result<int64_t> UnstageAll();

  // Commits what is staged to `branch` (default: the workspace's). Waits a moment for files being closed.
  // Errors: kInvalidArgument if nothing is staged; kConflict listing the paths both sides changed.
  Result<CommitResult> Commit(const std::string& message, const Author& author,
                              const std::optional<std::string>& branch);
  // The paths that Commit() to `branch` would refuse: changed here and there.
  Result<std::vector<std::string>> Conflicts(const std::string& branch);
  // Moves the base to the branch's head. Returns how many commits that was.
  Result<int64_t> Rebase();

 private:
  Workspace(Repository& repository, WorkspaceId id, WriterId writer)
      : repository_(repository), id_(id), writer_(writer) {}
  struct Snapshot;
  // A manifest that was attempted: its report, and why it came to nothing.
  struct Processed {
    VersionInfo report;
    Status outcome;
  };
  Result<Processed> StageStored(const RepoPath& directory, const std::string& name, VersionId manifest);
  Status NameReport(const VersionInfo& report);
  Result<Snapshot> Read();
  Result<Snapshot> SnapshotOf(Result<std::unique_ptr<IndexReader>> opened);
  Result<TreeView> ViewOf(IndexReader& index, CommitSeq seq);
  template <class Change>
  auto Mutate(Durability durability, Change change, bool commits = false)
      -> decltype(change(std::declval<Overlay&>()));

  // Constant after construction.
  Repository& repository_;
  const WorkspaceId id_;
  const WriterId writer_;
  // Synchronizes itself: the view of the newest base asked for.
  struct CachedView {
    CommitSeq seq = 0;
    TreeView view;
  };
  Guarded<CachedView> cached_view_;
};

}  // namespace stagefs
