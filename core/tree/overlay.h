// A workspace's tree inside one reader or transaction: what a row means is decided here.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "stagefs/staging_index.h"
#include "stagefs/workspace.h"

namespace stagefs {

// Reads: base commit with the staged entries applied. For one thread at a time; lives within its reader.
class OverlayReader {
 public:
  OverlayReader(IndexReader& index, WorkspaceInfo workspace, TreeView base)
      : index_(index), workspace_(std::move(workspace)), base_(std::move(base)) {}

  const WorkspaceInfo& workspace() const { return workspace_; }
  const TreeView& base() const { return base_; }
  IndexReader& index() { return index_; }

  Result<std::optional<Entry>> LookUp(const Slot& slot);
  Result<std::optional<Entry>> LookUpBase(const Slot& slot);
  Result<std::optional<StagedEntry>> LookUpStaged(const Slot& slot);
  Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit);
  Result<std::vector<Named<Entry>>> ListBase(FolderId folder, std::string_view after, size_t limit);
  Result<bool> IsEmpty(FolderId folder);
  // Whether any commit ever put a row into `folder`; remembered while this lives.
  Result<bool> HasBaseRows(FolderId folder);

  // The slot that shows `folder` in the workspace, else the one in the base. std::nullopt: the root, or none.
  Result<std::optional<Slot>> PlaceOf(FolderId folder);
  // Remembered while this lives. The path of a slot in the root is its name.
  Result<std::string> PathOf(FolderId folder);
  Result<std::string> PathOf(const Slot& slot);

  // The entry at `path`. kNotFound, kNotDirectory where a file is on the way.
  Result<Located> Find(const RepoPath& path, Workspace::Tree tree);

 private:
  IndexReader& index_;
  const WorkspaceInfo workspace_;
  const TreeView base_;
  std::map<FolderId, std::string> paths_;
  std::map<FolderId, bool> has_base_rows_;
};

// Changes. Finish() must be called before the transaction commits: it notes which folders changed.
class Overlay : public OverlayReader {
 public:
  Overlay(IndexTransaction& transaction, WorkspaceInfo workspace, TreeView base, WriterId writer)
      : OverlayReader(transaction, std::move(workspace), std::move(base)),
        transaction_(transaction),
        writer_(writer) {}

  IndexTransaction& transaction() { return transaction_; }
  // Where the caller is about to look and to stage files; see IndexTransaction::Expect().
  Status Expect(const std::vector<Slot>& slots) { return transaction_.Expect(workspace().id, base(), slots); }
  WriterId writer() const { return writer_; }

  Result<StagedFile> StageVersion(const Slot& slot, const VersionInfo& version, const StageHow& how);
  Status Remove(const Slot& slot);
  Status RemoveRecursively(const Slot& slot, const Entry& entry);
  Result<Entry> MakeFolder(const Slot& slot);
  // The folder at `slot`, made where there is none. kNotDirectory if a file is there.
  Result<FolderId> EnsureFolder(const Slot& slot);
  Result<FolderId> EnsureFolders(const RepoPath& directory);
  Status RemoveFolder(const Slot& slot);
  Status Rename(const Slot& from, const Slot& to, RenameMode mode);
  Result<Entry> MakeSymlink(const Slot& slot, const std::string& target);
  Result<Entry> SetTraits(const Slot& slot, std::optional<int64_t> mtime_ns, std::optional<bool> executable);

  // Makes `slot` show `entry`, whatever was there, with the state that follows from the base.
  Result<StagedState> Place(const Slot& slot, const Entry& entry);
  // Makes `slot` show nothing.
  Status Vacate(const Slot& slot);
  // Takes the row of `slot` away: the base shows again. True if there was one.
  Result<bool> Withdraw(const Slot& slot);

  void NoteChange(FolderId folder) { changed_.insert(folder); }
  Status Finish();

 private:
  Status PutStaged(const Slot& slot, const StagedEntry& staged);
  Status CheckNotBelow(FolderId folder, FolderId moving);

  IndexTransaction& transaction_;
  const WriterId writer_;
  std::set<FolderId> changed_;
  VersionId known_synced_ = 0;  // Saves asking again for the version just found.
};

}  // namespace stagefs
