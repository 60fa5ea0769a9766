// The questions of an index in SQL, for readers and transactions, on SQLite and PostgreSQL alike.
#pragma once

#include "stagefs/staging_index.h"

namespace stagefs {

// The columns of an entry.
#define ENTRY_COLUMNS "kind, version, child, size, executable, mtime_ns"
constexpr int kEntryColumns = 6;

// The folders and the names of `slots`, each as one parameter.
template <class C>
std::pair<std::string, std::string> SlotArrays(const std::vector<const Slot*>& slots) {
  std::vector<int64_t> folders;
  std::vector<std::string_view> names;
  for (const Slot* slot : slots) {
    folders.push_back(slot->folder);
    names.push_back(slot->name);
  }
  return {C::ArrayOf(folders), C::ArrayOf(names)};
}

// Binds a value of a row that is copied.
template <class Statement>
void BindValue(Statement& statement, int index, bool is_text, const IndexValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) statement.BindInt(index, *number);
  const auto* bytes = std::get_if<std::string>(&value);
  if (bytes != nullptr && is_text) statement.BindText(index, *bytes);
  if (bytes != nullptr && !is_text) statement.BindBlob(index, *bytes);
}

// Implements every question of IndexReader on `connection()`. `Interface` is IndexReader or IndexTransaction,
// `Connection` is SqliteConnection or PostgresConnection: both prepare statements, count parameters from ?1 and
// columns from 0.
template <class Interface, class Connection>
class SqlReads : public Interface {
 public:
  Result<std::optional<VersionInfo>> FindVersion(const HashRef& hash) override;
  Result<std::vector<std::optional<VersionInfo>>> FindVersions(const std::vector<HashRef>& hashes) override;
  Result<std::optional<VersionInfo>> GetVersion(VersionId id) override;
  Result<std::vector<VersionInfo>> ListVersions(const std::optional<Sha256>& after, size_t limit) override;
  Result<std::vector<VersionInfo>> ListVersionsFrom(VersionId first, size_t limit) override;
  Result<std::vector<VersionInfo>> ListUnsynced(size_t limit) override;
  Result<std::vector<VersionInfo>> ListUnused(int64_t before_ns, size_t limit) override;
  Result<std::vector<UnsyncedEntry>> UnsyncedEntriesOf(VersionId version) override;
  Result<int64_t> CountDangling() override;

  Result<std::optional<BranchInfo>> FindBranch(const std::string& name) override;
  Result<std::vector<BranchInfo>> ListBranches() override;
  Result<std::optional<CommitInfo>> GetCommit(CommitSeq seq) override;
  Result<std::optional<CommitInfo>> FindCommit(const std::string& id) override;
  Result<TreeView> ViewOf(CommitSeq seq) override;

  Result<std::optional<Entry>> LookUpBase(const TreeView& view, FolderId folder,
                                          std::string_view name) override;
  Result<std::vector<Named<Entry>>> ListBase(const TreeView& view, FolderId folder, std::string_view after,
                                             size_t limit) override;
  Result<std::optional<CommitSeq>> LastCommitOf(const TreeView& view, const Slot& slot) override;
  Result<bool> HasBaseRows(FolderId folder) override;
  Result<std::optional<Slot>> PlaceInBase(const TreeView& view, FolderId child) override;
  Result<std::vector<Slot>> ListCommitted(CommitSeq seq, const std::optional<Slot>& after,
                                          size_t limit) override;

  Result<std::optional<WorkspaceInfo>> FindWorkspace(const std::string& id_or_name) override;
  Result<std::optional<WorkspaceInfo>> GetWorkspace(WorkspaceId id) override;
  Result<std::vector<WorkspaceInfo>> ListWorkspaces() override;
  Result<std::optional<StagedEntry>> LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                  std::string_view name) override;
  Result<std::vector<Named<StagedEntry>>> ListStaged(WorkspaceId workspace, FolderId folder,
                                                     std::string_view after, size_t limit) override;
  Result<std::vector<IndexReader::StagedRow>> ScanStaged(WorkspaceId workspace,
                                                         const std::optional<Slot>& after,
                                                         size_t limit) override;
  Result<int64_t> CountStaged(WorkspaceId workspace) override;
  Result<std::optional<Slot>> PlaceInStaged(WorkspaceId workspace, FolderId child) override;
  Result<bool> IsMounted(WorkspaceId workspace, WriterId except) override;
  Result<std::vector<FolderId>> ChangedFolders(WorkspaceId workspace, int64_t after_seq,
                                               WriterId except) override;

  Result<std::optional<InboxFile>> LookUpInbox(WorkspaceId workspace, std::string_view directory,
                                               std::string_view name) override;
  Result<std::vector<InboxFile>> ListInbox(WorkspaceId workspace, std::string_view directory) override;
  Result<std::vector<WorkingCopyRow>> ListWorkingCopies() override;
  Result<std::vector<MountRow>> ListMounts() override;
  Result<int64_t> ClockNs() override { return connection().ClockNs(); }
  Result<std::optional<std::string>> GetMeta(const std::string& key) override;
  Result<std::vector<IndexRow>> ListRows(size_t table, const std::optional<IndexRow>& after, size_t limit) override;
  Result<std::vector<std::string>> ListMeta(const std::string& prefix) override;

 protected:
  virtual Connection& connection() = 0;
  // What is at those of many slots where anything is, for connections that are far away.
  Result<std::vector<IndexReader::StagedRow>> ListStagedAt(WorkspaceId workspace, const std::vector<const Slot*>& slots)
    requires(Connection::kFarAway);
  Result<std::vector<std::pair<Slot, Entry>>> ListBaseAt(const TreeView& view, const std::vector<const Slot*>& slots)
    requires(Connection::kFarAway);
};

}  // namespace stagefs
