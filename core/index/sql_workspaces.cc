#include "index/postgres/postgres.h"
#include "index/sqlite/sqlite.h"
#include "index_tables.h"
#include "sql_changes.h"
#include "sql_rows.h"

namespace stagefs {
namespace {

const std::string kFind = Select(kWorkspaceTable) + " WHERE uid = ?1 OR name = ?1 ORDER BY uid = ?1 DESC LIMIT 1";
const std::string kGet = Select(kWorkspaceTable) + " WHERE id = ?1";
const std::string kList = Select(kWorkspaceTable) + " ORDER BY id";
const std::string kAdd = InsertNew(kWorkspaceTable) + " RETURNING id";

const std::string kStaged = ColumnsOf(kStagedEntryTable, kStagedOfEntry);
const std::string kLookUpStaged =
    "SELECT " + kStaged + " FROM staged_entry WHERE workspace = ?1 AND folder = ?2 AND name = ?3";
const std::string kListStaged = "SELECT name, " + kStaged +
                                " FROM staged_entry WHERE workspace = ?1 AND folder = ?2 AND name > ?3"
                                " ORDER BY name LIMIT ?4";
const std::string kScanStaged = "SELECT folder, name, " + kStaged +
                                " FROM staged_entry WHERE workspace = ?1 AND (folder, name) > (?2, ?3)"
                                " ORDER BY folder, name LIMIT ?4";
const std::string kAddStaged = Insert(kStagedEntryTable) + OnConflict(kStagedEntryTable) + "NOTHING";
const std::string kPutStaged = Insert(kStagedEntryTable) + OrReplace(kStagedEntryTable);
const std::string kListUnsynced = Select(kUnsyncedEntryTable) + " WHERE version = ?1";
// What was there before the first unsynced content stays what to fall back to.
const std::string kPutUnsynced = Insert(kUnsyncedEntryTable) + OnConflict(kUnsyncedEntryTable) +
                                 "UPDATE SET version = excluded.version";

const std::string kListTakenBack = Select(kTakenBackTable) +
                                   " WHERE workspace = ?1 AND (number, item) > (?2, ?3) ORDER BY number, item LIMIT ?4";
const std::string kPutTakenBack = Insert(kTakenBackTable);
constexpr const char* kEraseTakenBack =
    "DELETE FROM taken_back WHERE (workspace, number, item) IN"
    " (SELECT workspace, number, item FROM taken_back WHERE taken_ns < ?1 ORDER BY taken_ns LIMIT ?2)";

const std::string kInbox = Select(kInboxFileTable, /*from=*/1) + " WHERE workspace = ?1 AND directory = ?2";
const std::string kLookUpInbox = kInbox + " AND name = ?3";
const std::string kListInbox = kInbox + " ORDER BY name";
const std::string kPutInbox = Insert(kInboxFileTable) + OrReplace(kInboxFileTable);

constexpr auto ReadNamedStaged = [](auto in) -> Named<StagedEntry> {
  Named<StagedEntry> named;
  named.name = in.Bytes();
  named.value = ReadStaged(in);
  return named;
};

}  // namespace

template <class I, class C>
Result<std::optional<WorkspaceInfo>> SqlWorkspaceQuestions<I, C>::FindWorkspace(const std::string& id_or_name) {
  return AskNamed(connection(), ReadWorkspace, kFind.c_str(), id_or_name);
}

template <class I, class C>
Result<std::optional<WorkspaceInfo>> SqlWorkspaceQuestions<I, C>::GetWorkspace(WorkspaceId id) {
  return AskFirst(connection(), ReadWorkspace, kGet.c_str(), id);
}

template <class I, class C>
Result<std::vector<WorkspaceInfo>> SqlWorkspaceQuestions<I, C>::ListWorkspaces() {
  return AskAll(connection(), ReadWorkspace, kList.c_str());
}

template <class I, class C>
Result<std::optional<StagedEntry>> SqlWorkspaceQuestions<I, C>::LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                                             std::string_view name) {
  return AskFirst(connection(), ReadStaged, kLookUpStaged.c_str(), workspace, folder, name);
}

template <class I, class C>
Result<std::vector<Named<StagedEntry>>> SqlWorkspaceQuestions<I, C>::ListStaged(WorkspaceId workspace, FolderId folder,
                                                                                std::string_view after, size_t limit) {
  return AskAll(connection(), ReadNamedStaged, kListStaged.c_str(), workspace, folder, after, limit);
}

template <class I, class C>
Result<std::vector<StagedRow>> SqlWorkspaceQuestions<I, C>::ScanStaged(WorkspaceId workspace,
                                                                       const std::optional<Slot>& after,
                                                                       size_t limit) {
  return AskAll(connection(), ReadStagedRow, kScanStaged.c_str(), workspace, after.value_or(Slot{0, ""}), limit);
}

template <class I, class C>
Result<int64_t> SqlWorkspaceQuestions<I, C>::CountStaged(WorkspaceId workspace) {
  return AskNumber(connection(), "SELECT count(*) FROM staged_entry WHERE workspace = ?1 AND state <> 0", workspace);
}

template <class I, class C>
Result<std::optional<Slot>> SqlWorkspaceQuestions<I, C>::PlaceInStaged(WorkspaceId workspace, FolderId child) {
  return AskFirst(connection(), ReadOneSlot,
                  "SELECT folder, name FROM staged_entry WHERE workspace = ?1 AND child = ?2", workspace, child);
}

template <class I, class C>
Result<std::vector<UnsyncedEntry>> SqlWorkspaceQuestions<I, C>::UnsyncedEntriesOf(VersionId version) {
  return AskAll(connection(), ReadUnsynced, kListUnsynced.c_str(), version);
}

template <class I, class C>
Result<std::vector<FolderId>> SqlWorkspaceQuestions<I, C>::ChangedFolders(WorkspaceId workspace, int64_t after_seq,
                                                                          WriterId except) {
  return AskAll(connection(), ReadNumber,
                "SELECT DISTINCT folder FROM folder_change WHERE workspace = ?1 AND seq > ?2 AND writer <> ?3",
                workspace, after_seq, except);
}

template <class I, class C>
Result<std::vector<TakenBack>> SqlWorkspaceQuestions<I, C>::ListTakenBack(WorkspaceId workspace,
                                                                          const TakenBackPlace& after, size_t limit) {
  return AskAll(connection(), ReadTakenBack, kListTakenBack.c_str(), workspace, after.number, after.item, limit);
}

template <class I, class C>
Result<std::optional<InboxFile>> SqlWorkspaceQuestions<I, C>::LookUpInbox(WorkspaceId workspace,
                                                                          std::string_view directory,
                                                                          std::string_view name) {
  return AskFirst(connection(), ReadInbox, kLookUpInbox.c_str(), workspace, directory, name);
}

template <class I, class C>
Result<std::vector<InboxFile>> SqlWorkspaceQuestions<I, C>::ListInbox(WorkspaceId workspace,
                                                                      std::string_view directory) {
  return AskAll(connection(), ReadInbox, kListInbox.c_str(), workspace, directory);
}

template <class C>
Result<WorkspaceInfo> SqlWorkspaceChanges<C>::AddWorkspace(const WorkspaceInfo& workspace) {
  WorkspaceInfo added = workspace;
  added.change_seq = 0;
  added.report.reset();
  STAGEFS_ASSIGN_OR_RETURN(const auto id, RunAndNumber(connection(), kAdd.c_str(), added));
  added.id = *id;
  return added;
}

template <class C>
Status SqlWorkspaceChanges<C>::PutWorkspace(const WorkspaceInfo& workspace) {
  return Run(connection(), "UPDATE workspace SET branch = ?2, base = ?3, report = ?4 WHERE id = ?1", workspace.id,
             AsText{workspace.branch}, workspace.base, workspace.report);
}

template <class C>
Status SqlWorkspaceChanges<C>::EraseWorkspace(WorkspaceId id) {
  for (const char* sql :
       {"DELETE FROM staged_entry WHERE workspace = ?1", "DELETE FROM unsynced_entry WHERE workspace = ?1",
        "DELETE FROM folder_change WHERE workspace = ?1", "DELETE FROM inbox_file WHERE workspace = ?1",
        "DELETE FROM working_copy WHERE workspace = ?1", "DELETE FROM taken_back WHERE workspace = ?1",
        "DELETE FROM workspace WHERE id = ?1"}) {
    STAGEFS_RETURN_IF_ERROR(Run(connection(), sql, id));
  }
  return {};
}

template <class C>
Result<bool> SqlWorkspaceChanges<C>::AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) {
  STAGEFS_ASSIGN_OR_RETURN(const int64_t added,
                           RunAndCount(connection(), kAddStaged.c_str(), workspace, slot, staged));
  return added > 0;
}

template <class C>
Status SqlWorkspaceChanges<C>::PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) {
  return Run(connection(), kPutStaged.c_str(), workspace, slot, staged);
}

template <class C>
Status SqlWorkspaceChanges<C>::EraseStaged(WorkspaceId workspace, const Slot& slot) {
  return Run(connection(), "DELETE FROM staged_entry WHERE workspace = ?1 AND folder = ?2 AND name = ?3", workspace,
             slot);
}

template <class C>
Status SqlWorkspaceChanges<C>::EraseAllStaged(WorkspaceId workspace) {
  STAGEFS_RETURN_IF_ERROR(Run(connection(), "DELETE FROM unsynced_entry WHERE workspace = ?1", workspace));
  return Run(connection(), "DELETE FROM staged_entry WHERE workspace = ?1", workspace);
}

template <class C>
Status SqlWorkspaceChanges<C>::MoveStaged(WorkspaceId from, WorkspaceId to) {
  // SQLite keeps the keys of all rows that one statement moves in memory.
  constexpr int64_t kTogether = 16'384;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto last,
                             AskFirst(connection(), ReadOneSlot,
                                      "SELECT folder, name FROM staged_entry WHERE workspace = ?1"
                                      " ORDER BY folder, name LIMIT 1 OFFSET CAST(?2 AS BIGINT)",
                                      from, kTogether - 1));
    if (!last) return Run(connection(), "UPDATE staged_entry SET workspace = ?2 WHERE workspace = ?1", from, to);
    STAGEFS_RETURN_IF_ERROR(Run(connection(),
                                "UPDATE staged_entry SET workspace = ?2"
                                " WHERE workspace = ?1 AND (folder, name) <= (?3, ?4)",
                                from, to, *last));
  }
}

template <class C>
Status SqlWorkspaceChanges<C>::PutUnsyncedEntry(const UnsyncedEntry& entry) {
  if (!entry.previous) {
    return Run(connection(), "DELETE FROM unsynced_entry WHERE workspace = ?1 AND folder = ?2 AND name = ?3",
               entry.workspace, entry.slot);
  }
  return Run(connection(), kPutUnsynced.c_str(), entry.workspace, entry.slot, entry.version, *entry.previous);
}

template <class C>
Result<int64_t> SqlWorkspaceChanges<C>::EraseEntriesOf(VersionId version) {
  int64_t erased = 0;
  for (const char* sql :
       {"DELETE FROM staged_entry WHERE version = ?1", "DELETE FROM unsynced_entry WHERE version = ?1",
        "DELETE FROM inbox_file WHERE version = ?1", "UPDATE workspace SET report = NULL WHERE report = ?1"}) {
    STAGEFS_ASSIGN_OR_RETURN(const int64_t rows, RunAndCount(connection(), sql, version));
    erased += rows;
  }
  return erased;
}

template <class C>
Status SqlWorkspaceChanges<C>::NoteChange(WorkspaceId workspace, FolderId folder, WriterId writer) {
  STAGEFS_RETURN_IF_ERROR(
      Run(connection(), "UPDATE workspace SET change_seq = change_seq + 1 WHERE id = ?1", workspace));
  return Run(connection(),
             "INSERT INTO folder_change (workspace, folder, writer, seq)"
             " SELECT id, CAST(?2 AS BIGINT), CAST(?3 AS BIGINT), change_seq FROM workspace WHERE id = ?1"
             " ON CONFLICT (workspace, folder, writer) DO UPDATE SET seq = excluded.seq",
             workspace, folder, writer);
}

template <class C>
Status SqlWorkspaceChanges<C>::PutTakenBack(const TakenBack& taken) {
  return Run(connection(), kPutTakenBack.c_str(), taken);
}

template <class C>
Result<int64_t> SqlWorkspaceChanges<C>::EraseTakenBack(int64_t before_ns, size_t limit) {
  return RunAndCount(connection(), kEraseTakenBack, before_ns, limit);
}

template <class C>
Status SqlWorkspaceChanges<C>::PutInbox(WorkspaceId workspace, const InboxFile& file) {
  return Run(connection(), kPutInbox.c_str(), workspace, file);
}

template <class C>
Status SqlWorkspaceChanges<C>::EraseInbox(WorkspaceId workspace, std::string_view directory, std::string_view name) {
  return Run(connection(), "DELETE FROM inbox_file WHERE workspace = ?1 AND directory = ?2 AND name = ?3", workspace,
             directory, name);
}

template class SqlWorkspaceQuestions<IndexReader, SqliteConnection>;
template class SqlWorkspaceQuestions<IndexTransaction, SqliteConnection>;
template class SqlWorkspaceQuestions<IndexReader, PostgresConnection>;
template class SqlWorkspaceQuestions<IndexTransaction, PostgresConnection>;
template class SqlWorkspaceChanges<SqliteConnection>;
template class SqlWorkspaceChanges<PostgresConnection>;

}  // namespace stagefs
