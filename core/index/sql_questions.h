// The questions of an index in SQL, for readers and transactions, on SQLite and PostgreSQL alike.
#pragma once

#include "stagefs/index_move.h"
#include "stagefs/staging_index.h"

namespace stagefs {

// Answers on `connection()`. `Interface` is IndexReader or IndexTransaction, `Connection` is SqliteConnection or
// PostgresConnection: both prepare statements, count parameters from ?1 and columns from 0.
//
// One class a subject, each on top of the one before, and SqlQuestions is all of them; sql_SUBJECT.cc has the bodies.
template <class Interface, class Connection>
class SqlVersionQuestions : public Interface {
 public:
  Result<std::optional<VersionInfo>> FindVersion(const HashRef& hash) override;
  Result<std::optional<VersionInfo>> GetVersion(VersionId id) override;
  Result<std::vector<VersionInfo>> ListVersions(const std::optional<Sha256>& after, size_t limit) override;
  Result<VersionId> NewestVersion() override;
  Result<std::vector<SparseVersion>> ListSparse(VersionId after) override;
  Result<std::vector<std::pair<Sha256, VersionId>>> ListVersionIds(const std::optional<Sha256>& after,
                                                                   size_t limit) override;
  Result<std::vector<VersionInfo>> ListVersionsFrom(VersionId first, size_t limit) override;
  Result<std::vector<VersionInfo>> ListUnsynced(size_t limit) override;
  Result<std::vector<VersionInfo>> ListUnused(int64_t before_ns, size_t limit) override;
  Result<std::vector<VersionId>> ListNamed(VersionId first, VersionId last, CommitSeq after) override;
  Result<bool> IsCommitted(VersionId version) override;
  Result<int64_t> CountDangling() override;
  Result<int64_t> NewestNs() override;

 protected:
  virtual Connection& connection() = 0;
};

template <class Interface, class Connection>
class SqlHistoryQuestions : public SqlVersionQuestions<Interface, Connection> {
 public:
  Result<std::optional<BranchInfo>> FindBranch(const std::string& name) override;
  Result<std::vector<BranchInfo>> ListBranches() override;
  Result<std::optional<CommitInfo>> GetCommit(CommitSeq seq) override;
  Result<std::optional<CommitInfo>> FindCommit(const std::string& id) override;
  Result<std::vector<CommitInfo>> FindCommits(const std::string& prefix, size_t limit) override;
  Result<std::optional<TagInfo>> FindTag(const std::string& name) override;
  Result<std::vector<TagInfo>> ListTags() override;
  Result<TreeView> ViewOf(CommitSeq seq) override;

  Result<std::optional<Entry>> LookUpBase(const TreeView& view, FolderId folder, std::string_view name) override;
  Result<std::vector<Named<Entry>>> ListBase(const TreeView& view, FolderId folder, std::string_view after,
                                             size_t limit) override;
  Result<std::optional<CommitSeq>> LastCommitOf(const TreeView& view, const Slot& slot) override;
  Result<std::optional<Slot>> PlaceInBase(const TreeView& view, FolderId child) override;
  Result<std::vector<Slot>> ListCommitted(CommitSeq seq, const std::optional<Slot>& after, size_t limit) override;
  Result<bool> HasBaseRows(FolderId folder) override;

 protected:
  using SqlVersionQuestions<Interface, Connection>::connection;
};

template <class Interface, class Connection>
class SqlWorkspaceQuestions : public SqlHistoryQuestions<Interface, Connection> {
 public:
  Result<std::optional<WorkspaceInfo>> FindWorkspace(const std::string& id_or_name) override;
  Result<std::optional<WorkspaceInfo>> GetWorkspace(WorkspaceId id) override;
  Result<std::vector<WorkspaceInfo>> ListWorkspaces() override;

  Result<std::optional<StagedEntry>> LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                  std::string_view name) override;
  Result<std::vector<Named<StagedEntry>>> ListStaged(WorkspaceId workspace, FolderId folder, std::string_view after,
                                                     size_t limit) override;
  Result<std::vector<StagedRow>> ScanStaged(WorkspaceId workspace, const std::optional<Slot>& after,
                                            size_t limit) override;
  Result<int64_t> CountStaged(WorkspaceId workspace) override;
  Result<std::optional<Slot>> PlaceInStaged(WorkspaceId workspace, FolderId child) override;
  Result<std::vector<UnsyncedEntry>> UnsyncedEntriesOf(VersionId version) override;
  Result<std::vector<FolderId>> ChangedFolders(WorkspaceId workspace, int64_t after_seq, WriterId except) override;

  Result<std::vector<TakenBack>> ListTakenBack(WorkspaceId workspace, const TakenBackPlace& after,
                                               size_t limit) override;

  Result<std::optional<InboxFile>> LookUpInbox(WorkspaceId workspace, std::string_view directory,
                                               std::string_view name) override;
  Result<std::vector<InboxFile>> ListInbox(WorkspaceId workspace, std::string_view directory) override;

 protected:
  using SqlVersionQuestions<Interface, Connection>::connection;
};

template <class Interface, class Connection>
class SqlAdministrationQuestions : public SqlWorkspaceQuestions<Interface, Connection> {
 public:
  Result<std::vector<MountRow>> ListMounts() override;
  Result<bool> IsMounted(WorkspaceId workspace, WriterId except) override;
  Result<std::vector<WorkingCopyRow>> ListWorkingCopies() override;
  Result<std::optional<std::string>> GetMeta(const std::string& key) override;
  Result<std::vector<std::string>> ListMeta(const std::string& prefix) override;
  Result<int64_t> ClockNs() override { return connection().ClockNs(); }

 protected:
  using SqlVersionQuestions<Interface, Connection>::connection;
};

template <class Interface, class Connection>
class SqlQuestions : public SqlAdministrationQuestions<Interface, Connection>, public IndexRows {
 public:
  IndexRows* rows() override { return this; }
  Result<std::vector<IndexRow>> ListRows(size_t table, const std::optional<IndexRow>& after, size_t limit) override;

 protected:
  using SqlVersionQuestions<Interface, Connection>::connection;
};

}  // namespace stagefs
