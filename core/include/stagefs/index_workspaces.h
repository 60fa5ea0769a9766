// Workspaces in an index: what is staged in them, what changed in them, and their inboxes.
#pragma once

#include <string_view>

#include "stagefs/index_rows.h"
#include "stagefs/result.h"

namespace stagefs {

// A missing thing is std::nullopt; an Error is trouble with the index itself.
// Listings are in byte order of the name and start after `after`; they return at most `limit` rows.
class WorkspaceQuestions {
 public:
  virtual ~WorkspaceQuestions() = default;

  virtual Result<std::optional<WorkspaceInfo>> FindWorkspace(const std::string& id_or_name) = 0;
  virtual Result<std::optional<WorkspaceInfo>> GetWorkspace(WorkspaceId id) = 0;
  virtual Result<std::vector<WorkspaceInfo>> ListWorkspaces() = 0;

  virtual Result<std::optional<StagedEntry>> LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                          std::string_view name) = 0;
  virtual Result<std::vector<Named<StagedEntry>>> ListStaged(WorkspaceId workspace, FolderId folder,
                                                             std::string_view after, size_t limit) = 0;
  // All rows of a workspace in order of (folder, name), after `after`.
  virtual Result<std::vector<StagedRow>> ScanStaged(WorkspaceId workspace, const std::optional<Slot>& after,
                                                    size_t limit) = 0;
  // Rows with a state other than kept.
  virtual Result<int64_t> CountStaged(WorkspaceId workspace) = 0;
  virtual Result<std::optional<Slot>> PlaceInStaged(WorkspaceId workspace, FolderId child) = 0;
  virtual Result<std::vector<UnsyncedEntry>> UnsyncedEntriesOf(VersionId version) = 0;
  // Folders that somebody other than `except` changed after `after_seq`.
  virtual Result<std::vector<FolderId>> ChangedFolders(WorkspaceId workspace, int64_t after_seq, WriterId except) = 0;

  // In order of their numbers and items.
  virtual Result<std::vector<TakenBack>> ListTakenBack(WorkspaceId workspace, const TakenBackPlace& after,
                                                       size_t limit) = 0;

  virtual Result<std::optional<InboxFile>> LookUpInbox(WorkspaceId workspace, std::string_view directory,
                                                       std::string_view name) = 0;
  virtual Result<std::vector<InboxFile>> ListInbox(WorkspaceId workspace, std::string_view directory) = 0;
};

class WorkspaceChanges {
 public:
  virtual ~WorkspaceChanges() = default;

  // With no changes yet, and no report.
  virtual Result<WorkspaceInfo> AddWorkspace(const WorkspaceInfo& workspace) = 0;
  // Its branch, base and report.
  virtual Status PutWorkspace(const WorkspaceInfo& workspace) = 0;
  // With everything in it.
  virtual Status EraseWorkspace(WorkspaceId id) = 0;

  // Where the caller is about to look and to stage files, one by one. An index that is far away reads it in one round
  // trip, and writes later, together, what is staged there; answers are the same as without.
  virtual Status Expect(WorkspaceId /*workspace*/, const TreeView& /*base*/, const std::vector<Slot>& /*slots*/) {
    return {};
  }
  // Only where the slot has no row: false if it has one.
  virtual Result<bool> AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) = 0;
  virtual Status PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) = 0;
  virtual Status EraseStaged(WorkspaceId workspace, const Slot& slot) = 0;
  virtual Status EraseAllStaged(WorkspaceId workspace) = 0;
  // Gives the staged rows of one number to another, which has none and need not be that of a workspace.
  virtual Status MoveStaged(WorkspaceId from, WorkspaceId to) = 0;
  // What was there before the first unsynced content of the slot stays what to fall back to. Without `previous` nothing
  // is kept of the slot: there was nothing, as where no row was ever put.
  virtual Status PutUnsyncedEntry(const UnsyncedEntry& entry) = 0;
  // Staged entries, inbox files and reports that name `version`, which is lost, are erased; counts them.
  virtual Result<int64_t> EraseEntriesOf(VersionId version) = 0;
  // Notes that something in `folder` changed, for mounts other than `writer`.
  virtual Status NoteChange(WorkspaceId workspace, FolderId folder, WriterId writer) = 0;

  virtual Status PutTakenBack(const TakenBack& taken) = 0;
  // Of any workspace, those taken before `before_ns`, at most `limit`: how many there were.
  virtual Result<int64_t> EraseTakenBack(int64_t before_ns, size_t limit) = 0;

  virtual Status PutInbox(WorkspaceId workspace, const InboxFile& file) = 0;
  virtual Status EraseInbox(WorkspaceId workspace, std::string_view directory, std::string_view name) = 0;
};

}  // namespace stagefs
