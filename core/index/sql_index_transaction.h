// The changes of an index in SQL, on SQLite and PostgreSQL alike.
#pragma once

#include "sql_index_reads.h"

namespace stagefs {

// Implements every change of IndexTransaction on `connection()`; beginning and ending are the index's own.
template <class Connection>
class SqlTransaction : public SqlReads<IndexTransaction, Connection> {
 public:
  Result<VersionId> AddVersion(const VersionInfo& version) override;
  Status RenewVersion(VersionId id, int64_t now_ns) override;
  Status SetSynced(VersionId id) override;
  Status EraseVersion(VersionId id) override;

  Status PutBranch(const BranchInfo& branch) override;
  Status EraseBranch(const std::string& name) override;
  Result<CommitInfo> AddCommit(CommitInfo commit) override;
  Status PutTreeEntry(const CommitInfo& commit, const Slot& slot, const Entry& entry) override;
  Result<int64_t> MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) override;

  Result<FolderId> NewFolder() override;
  Result<WorkspaceInfo> AddWorkspace(const WorkspaceInfo& workspace) override;
  Status PutWorkspace(const WorkspaceInfo& workspace) override;
  Status EraseWorkspace(WorkspaceId id) override;

  Result<bool> AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status EraseStaged(WorkspaceId workspace, const Slot& slot) override;
  Status EraseAllStaged(WorkspaceId workspace) override;
  Status PutUnsyncedEntry(const UnsyncedEntry& entry) override;
  Status NoteChange(WorkspaceId workspace, FolderId folder, WriterId writer) override;
  Result<int64_t> EraseEntriesOf(VersionId version) override;

  Status PutInbox(WorkspaceId workspace, const InboxFile& file) override;
  Status EraseInbox(WorkspaceId workspace, std::string_view directory, std::string_view name) override;
  Status PutWorkingCopy(const WorkingCopyRow& row) override;
  Status EraseWorkingCopy(const std::string& file) override;
  Status PutMount(const MountRow& row) override;
  Status EraseMount(const std::string& host, const std::string& mountpoint) override;
  Status PutMeta(const std::string& key, const std::string& value) override;
  Status EraseMeta(const std::string& key) override;

  Status PutRow(size_t table, const IndexRow& row) override;
  // New rows and folders get numbers that nothing had before.
  Status EndRows() override { return connection().ContinueNumbers(); }
  Status Freeze(const std::string& why) override { return connection().Freeze(why); }

 protected:
  using SqlReads<IndexTransaction, Connection>::connection;
  Status EraseStagedAt(WorkspaceId workspace, const std::vector<const Slot*>& slots)
    requires(Connection::kFarAway);

 private:
  // Runs `sql` with what `bind` binds.
  template <class Bind>
  Status Run(const char* sql, Bind bind) {
    STAGEFS_ASSIGN_OR_RETURN(auto statement, connection().Prepare(sql));
    bind(statement);
    return statement.Run();
  }
  // The same; returns how many rows it inserted, changed or deleted.
  template <class Bind>
  Result<int64_t> Count(const char* sql, Bind bind) {
    STAGEFS_ASSIGN_OR_RETURN(auto statement, connection().Prepare(sql));
    bind(statement);
    STAGEFS_RETURN_IF_ERROR(statement.Step().WithoutValue());
    return connection().changes();
  }
  // The same for a statement that returns the number of the row it inserts.
  template <class Bind>
  Result<int64_t> Insert(const char* sql, Bind bind) {
    STAGEFS_ASSIGN_OR_RETURN(auto statement, connection().Prepare(sql));
    bind(statement);
    STAGEFS_RETURN_IF_ERROR(statement.Step().WithoutValue());
    const int64_t id = statement.Int(0);
    STAGEFS_RETURN_IF_ERROR(statement.Step().WithoutValue());
    return id;
  }
};

}  // namespace stagefs
