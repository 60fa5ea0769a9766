// A workspace: a place where changes are staged on top of a base commit. Every door ends here.
//
// Its tree is the base commit with the staged entries applied.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stagefs/changes.h"
#include "stagefs/guarded.h"
#include "stagefs/manifest.h"
#include "stagefs/repository.h"
#include "stagefs/stage_report.h"
#include "stagefs/tree.h"

namespace stagefs {

class Overlay;

// Safe for concurrent use from any number of threads. Outlived by its Repository. Over 25 methods, as each is one
// change that a door asks for in one transaction, and seven more are for core alone.
class Workspace {
 public:
  // `writer`: the mount this is for, or kNoMount. kNotFound.
  static Result<std::unique_ptr<Workspace>> Open(Repository& repository, const std::string& id_or_name,
                                                 WriterId writer = kNoMount);

  // Who changes it, and by which door, as it is noted of what is taken back. Before anybody uses it.
  void SetActor(std::string actor, std::string door) { actor_ = std::move(actor), door_ = std::move(door); }

  Repository& repository() { return repository_; }
  WorkspaceId id() const { return id_; }
  Result<WorkspaceInfo> Info();
  // For whoever is about to look: what was closed a moment ago shows, unless that takes longer than half a second.
  void AwaitClosed();

  // What it shows, and what its base shows: the newest at each question. Safe for concurrent use; live as long as it.
  Tree& tree() { return *tree_; }
  Tree& base() { return *base_; }
  // "added", "modified", "unchanged", "scratch", "symlink".
  Result<std::string> StatusOf(const Slot& slot);

  // One path. Survives kill -9 when it returns; power loss within a second.
  Result<StagedFile> StageVersion(const Slot& slot, VersionId version, const StageHow& how);
  // Stages the file at `file`, which is moved into the store (or removed, where its content is there).
  // On an error the file stays.
  Result<StagedFile> StageFile(const Slot& slot, const std::string& file, const ContentId& content,
                               uint64_t size_bytes, const StageHow& how);
  Status Remove(const Slot& slot);
  Result<Entry> MakeFolder(const Slot& slot, const FileMode& mode = {});
  Status RemoveFolder(const Slot& slot);
  Status Rename(const Slot& from, const Slot& to, RenameMode mode);
  // What a symbolic link to `target` means here. A target that is a full hash or names a version
  // (…/.stagefs/versions/HASH; /elsewhere/HASH of a known one, where nothing is) stages that content; any
  // other, also one to a file of this workspace, is kept as a link. `mountpoint` is where the workspace's
  // root is seen. kNotFound for a bare hash that no version has.
  struct Linked {
    bool staged = false;
    Entry entry;
  };
  Result<Linked> Link(const Slot& slot, const std::string& target, std::string_view mountpoint);
  // Changes what is given; never looks at content. kNotFound.
  Result<Entry> SetTraits(const Slot& slot, std::optional<int64_t> mtime_ns, const std::optional<FileMode>& mode);

  // By path, creating folders on the way; survives power loss.
  Result<StagedFile> StagePath(const RepoPath& path, std::string_view hash, const StageHow& how);
  // Several at once, in one transaction: what cannot be staged says why, in the order asked, and the others
  // are staged. Survives power loss. An error is trouble, and nothing is staged.
  struct NamedVersion {
    RepoPath path;
    VersionId version = 0;
  };
  Result<std::vector<Status>> StageVersions(const std::vector<NamedVersion>& files, const StageHow& how);
  // Files are removed, folders with everything in them, in one transaction that survives power loss. Errors:
  // kNotFound; kNotDirectory. Without `outcomes` any path's error changes nothing, and the error tells of all of them,
  // of the first 20 by name; else they are there, in the order asked, and the other paths are removed. A path below
  // another one goes with it.
  Status RemovePaths(const std::vector<RepoPath>& paths, std::vector<Status>* outcomes = nullptr);
  // A file or folder gets another path, in folders made on the way. Survives power loss.
  // Errors: kNotFound; kExists if there is something at `to`.
  Status MovePath(const RepoPath& from, const RepoPath& to);
  // The same of several, one after the other, in one transaction; `outcomes` as above. Errors also: kInvalidArgument
  // for a folder that would move into itself; kNotDirectory for a path below a file.
  struct PathMove {
    RepoPath from, to;
  };
  Status MovePaths(const std::vector<PathMove>& moves, std::vector<Status>* outcomes = nullptr);

  // Stages a manifest into `directory` in one transaction; survives power loss. A refused entry is data in
  // the report. Errors: kInvalidArgument for a malformed manifest (nothing is staged), trouble otherwise.
  struct ManifestRequest {
    RewindableSource* source = nullptr;
    ManifestFormat format = ManifestFormat::kSniff;
    RepoPath directory;
    ManifestOptions options;                        // What the manifest itself says is added to these.
    bool dry_run = false;                           // Only says what would become of it: nothing is changed.
    std::function<void(int64_t entries)> progress;  // Now and then, from any thread.
  };
  Result<StageReport> StageManifest(const ManifestRequest& request);
  // As JSON, kept as the workspace's newest report (.stagefs/last.json).
  Result<VersionInfo> KeepReport(const StageReport& report);

  // Takes back what is staged at each path (a folder: everything in it; the root: all), in one transaction that
  // survives power loss: how many entries that were. Errors and `outcomes` as above: kNotFound where nothing is staged,
  // kConflict where something is in the way of what comes back. Files cost O(log n) each; where a folder is named, all
  // that is staged is read once.
  Result<int64_t> Unstage(const std::vector<RepoPath>& paths, std::vector<Status>* outcomes = nullptr);

  // The rest is for core alone (workspace_change.h).
  struct Moment;
  Result<Moment> Read();
  // For one quick question: see StagingIndex::Glance().
  Result<Moment> Glance();
  // Runs `change` in one durable change. An error of `change` rolls everything back.
  template <class Change>
  auto Mutate(Durability durability, Change change) -> decltype(change(std::declval<Overlay&>()));
  template <class Change>
  auto Mutate(Durability durability, Turn turn, Change change) -> decltype(change(std::declval<Overlay&>()));
  Status NameReport(const VersionInfo& report);
  Result<TreeView> ViewOf(IndexReader& index, CommitSeq seq);
  WriterId writer() const { return writer_; }

 private:
  class NewestTree;
  Workspace(Repository& repository, WorkspaceId id, WriterId writer);
  Result<Moment> MomentOf(Result<std::unique_ptr<IndexReader>> opened);

  // Constant after construction.
  Repository& repository_;
  const WorkspaceId id_;
  const WriterId writer_;
  const std::unique_ptr<Tree> tree_, base_;
  std::string actor_, door_ = "command line";
  // Synchronizes itself: the view of the newest base asked for.
  struct CachedView {
    CommitSeq seq = 0;
    TreeView view;
  };
  Guarded<CachedView> cached_view_;
};

}  // namespace stagefs
