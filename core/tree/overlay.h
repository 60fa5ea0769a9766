// Changes of a workspace inside one transaction: what a row means is decided here.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "durable/durable_change.h"
#include "stagefs/changes.h"
#include "workspace_tree.h"

namespace stagefs {

// Finish() must be called before the change commits: it notes which folders changed.
class Overlay : public WorkspaceTree {
 public:
  Overlay(DurableChange& change, WorkspaceInfo workspace, TreeView base, WriterId writer)
      : WorkspaceTree(change.index(), std::move(workspace), std::move(base)), change_(change), writer_(writer) {}

  // From now on what was staged and goes is noted as taken back, by this actor and door.
  void NoteTakenBack(std::string actor, std::string door);

  DurableChange& change() { return change_; }
  IndexTransaction& transaction() { return change_.index(); }
  // Where the caller is about to look and to stage files; see IndexTransaction::Expect().
  Status Expect(const std::vector<Slot>& slots) { return transaction().Expect(workspace().id, base().view(), slots); }
  WriterId writer() const { return writer_; }

  Result<StagedFile> StageVersion(const Slot& slot, const VersionInfo& version, const StageHow& how);
  Status Remove(const Slot& slot);
  // Nothing but folders is below it.
  Result<bool> HasFoldersOnly(FolderId folder);
  Status RemoveRecursively(const Slot& slot, const Entry& entry);
  // kNameTooLong if the path of `slot` would be: for who makes or moves things name by name. A RepoPath fits.
  Status CheckPathFits(const Slot& slot);
  Result<Entry> MakeFolder(const Slot& slot, const FileMode& mode = {});
  // The folder at `slot`, made where there is none. kNotDirectory if a file is there.
  Result<FolderId> EnsureFolder(const Slot& slot);
  Result<FolderId> EnsureFolders(const RepoPath& directory);
  Status RemoveFolder(const Slot& slot);
  Status Rename(const Slot& from, const Slot& to, RenameMode mode);
  Result<Entry> MakeSymlink(const Slot& slot, const std::string& target);
  // The link, whatever file or link was there. Default of the time: as in the base, or now.
  Result<StagedFile> StageSymlink(const Slot& slot, const std::string& target, std::optional<int64_t> mtime_ns);
  // A link that was not staged stays so: WorkspaceTree::IsUnstagedLink().
  Status KeepUnstaged(const Slot& slot, const Entry& link);
  Result<Entry> SetTraits(const Slot& slot, std::optional<int64_t> mtime_ns, const std::optional<FileMode>& mode);

  // Makes `slot` show `entry`, whatever was there, with the state that follows from the base.
  Result<StagedState> Place(const Slot& slot, const Entry& entry);
  // Makes `slot` show nothing.
  Status Vacate(const Slot& slot);
  // Takes the row of `slot` away: the base shows again. True if there was one.
  Result<bool> Withdraw(const Slot& slot);

  void NoteChange(FolderId folder) { changed_.insert(folder); }
  Status Finish();

 private:
  Result<StagedFile> PlaceSymlink(const Slot& slot, const std::string& target, std::optional<int64_t> mtime_ns,
                                  Origin origin);
  Status PutStaged(const Slot& slot, const StagedEntry& staged);
  // What was there will be elsewhere.
  Status VacateToMove(const Slot& slot);
  bool TakesBack() const { return taking_ && !taking_->is_paused; }
  // `slot`, which has `staged`, is about to hold `entry` (nullptr: no row of its own). Whether that takes a file back,
  // whose version the caller renews then.
  Result<bool> TakeBack(const Slot& slot, const StagedEntry& staged, const Entry* entry);
  Result<bool> IsUnsynced(const Entry& entry);
  Status ForgetOlderThan(const Slot& slot, const StagedEntry& previous);
  Status CheckNotBelow(FolderId folder, FolderId moving);

  DurableChange& change_;
  const WriterId writer_;
  std::set<FolderId> changed_;
  struct Taking {
    TakenBack next;  // Its number is 0 until there is one.
    bool is_paused = false;
    VersionId grown_from = 0;
  };
  std::optional<Taking> taking_;
  VersionId known_synced_ = 0;  // Saves asking again for the version just found.
};

}  // namespace stagefs
