// The changes of an index in SQL, on SQLite and PostgreSQL alike.
#pragma once

#include "sql_questions.h"

namespace stagefs {

// Changes on `connection()`; beginning and ending are the index's own. One class a subject, each on top of the one
// before, and SqlTransaction is all of them; sql_SUBJECT.cc has the bodies.
template <class Connection>
class SqlVersionChanges : public SqlQuestions<IndexTransaction, Connection> {
 public:
  Result<VersionId> AddVersion(const VersionInfo& version) override;
  Status RenewVersion(VersionId id, int64_t now_ns) override;
  Status SetSynced(VersionId id) override;
  Status EraseVersion(VersionId id) override;
  Status PutSparse(const SparseVersion& sparse) override;

 protected:
  using SqlQuestions<IndexTransaction, Connection>::connection;
};

template <class Connection>
class SqlHistoryChanges : public SqlVersionChanges<Connection> {
 public:
  Status PutBranch(const BranchInfo& branch) override;
  Status EraseBranch(const std::string& name) override;
  Status PutTag(const TagInfo& tag) override;
  Status EraseTag(const std::string& name) override;
  Result<CommitInfo> AddCommit(CommitInfo commit, const std::string& branch) override;
  Result<FolderId> NewFolder() override;
  Status PutTreeEntry(const CommitInfo& commit, const Slot& slot, const Entry& entry) override;
  Result<int64_t> MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) override;

 protected:
  using SqlQuestions<IndexTransaction, Connection>::connection;

 private:
  // The lineage of a child of `parent` on `branch`, which may be a new one.
  Result<int64_t> LineageOn(CommitSeq parent, const std::string& branch);
};

template <class Connection>
class SqlWorkspaceChanges : public SqlHistoryChanges<Connection> {
 public:
  Result<WorkspaceInfo> AddWorkspace(const WorkspaceInfo& workspace) override;
  Status PutWorkspace(const WorkspaceInfo& workspace) override;
  Status EraseWorkspace(WorkspaceId id) override;

  Result<bool> AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status EraseStaged(WorkspaceId workspace, const Slot& slot) override;
  Status EraseAllStaged(WorkspaceId workspace) override;
  Status MoveStaged(WorkspaceId from, WorkspaceId to) override;
  Status PutUnsyncedEntry(const UnsyncedEntry& entry) override;
  Result<int64_t> EraseEntriesOf(VersionId version) override;
  Status NoteChange(WorkspaceId workspace, FolderId folder, WriterId writer) override;

  Status PutTakenBack(const TakenBack& taken) override;
  Result<int64_t> EraseTakenBack(int64_t before_ns, size_t limit) override;
  Status PutInbox(WorkspaceId workspace, const InboxFile& file) override;
  Status EraseInbox(WorkspaceId workspace, std::string_view directory, std::string_view name) override;

 protected:
  using SqlQuestions<IndexTransaction, Connection>::connection;
};

template <class Connection>
class SqlAdministrationChanges : public SqlWorkspaceChanges<Connection> {
 public:
  Status PutMount(const MountRow& row) override;
  Status EraseMount(const std::string& host, const std::string& mountpoint) override;
  Status PutWorkingCopy(const WorkingCopyRow& row) override;
  Status EraseWorkingCopy(const std::string& file) override;
  Status PutMeta(const std::string& key, const std::string& value) override;
  Status EraseMeta(const std::string& key) override;

 protected:
  using SqlQuestions<IndexTransaction, Connection>::connection;
};

template <class Connection>
class SqlTransaction : public SqlAdministrationChanges<Connection>, public IndexMove {
 public:
  IndexMove* move() override { return this; }
  Status PutRow(size_t table, const IndexRow& row) override;
  Status EndRows() override { return connection().ContinueNumbers(); }
  Status Freeze(const std::string& why) override { return connection().Freeze(why); }

 protected:
  using SqlQuestions<IndexTransaction, Connection>::connection;
};

}  // namespace stagefs
