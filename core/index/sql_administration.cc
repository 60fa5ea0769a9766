#include "index/postgres/postgres.h"
#include "index/sqlite/sqlite.h"
#include "index_tables.h"
#include "sql_changes.h"
#include "sql_rows.h"

namespace stagefs {
namespace {

const std::string kListMounts = Select(kMountTable);
const std::string kPutMount = Insert(kMountTable) + OrReplace(kMountTable);
const std::string kListWorkingCopies = Select(kWorkingCopyTable);
const std::string kPutWorkingCopy = Insert(kWorkingCopyTable) + OrReplace(kWorkingCopyTable);
const std::string kPutMeta = Insert(kMetaTable) + OrReplace(kMetaTable);

}  // namespace

template <class I, class C>
Result<std::vector<MountRow>> SqlAdministrationQuestions<I, C>::ListMounts() {
  return AskAll(connection(), ReadMount, kListMounts.c_str());
}

template <class I, class C>
Result<bool> SqlAdministrationQuestions<I, C>::IsMounted(WorkspaceId workspace, WriterId except) {
  return AskWhether(connection(), "SELECT 1 FROM mount WHERE workspace = ?1 AND writer <> ?2", workspace, except);
}

template <class I, class C>
Result<std::vector<WorkingCopyRow>> SqlAdministrationQuestions<I, C>::ListWorkingCopies() {
  return AskAll(connection(), ReadWorkingCopy, kListWorkingCopies.c_str());
}

template <class I, class C>
Result<std::optional<std::string>> SqlAdministrationQuestions<I, C>::GetMeta(const std::string& key) {
  return AskFirst(connection(), ReadText, "SELECT value FROM meta WHERE key = ?1", AsText{key});
}

template <class I, class C>
Result<std::vector<std::string>> SqlAdministrationQuestions<I, C>::ListMeta(const std::string& prefix) {
  return AskAll(connection(), ReadText,
                "SELECT key FROM meta WHERE substr(key, 1, length(CAST(?1 AS TEXT))) = ?1 ORDER BY key",
                AsText{prefix});
}

template <class C>
Status SqlAdministrationChanges<C>::PutMount(const MountRow& row) {
  return Run(connection(), kPutMount.c_str(), row);
}

template <class C>
Status SqlAdministrationChanges<C>::EraseMount(const std::string& host, const std::string& mountpoint) {
  return Run(connection(), "DELETE FROM mount WHERE host = ?1 AND mountpoint = ?2", AsText{host}, mountpoint);
}

template <class C>
Status SqlAdministrationChanges<C>::PutWorkingCopy(const WorkingCopyRow& row) {
  return Run(connection(), kPutWorkingCopy.c_str(), row);
}

template <class C>
Status SqlAdministrationChanges<C>::EraseWorkingCopy(const std::string& file) {
  return Run(connection(), "DELETE FROM working_copy WHERE file = ?1", AsText{file});
}

template <class C>
Status SqlAdministrationChanges<C>::PutMeta(const std::string& key, const std::string& value) {
  return Run(connection(), kPutMeta.c_str(), AsText{key}, AsText{value});
}

template <class C>
Status SqlAdministrationChanges<C>::EraseMeta(const std::string& key) {
  return Run(connection(), "DELETE FROM meta WHERE key = ?1", AsText{key});
}

template class SqlAdministrationQuestions<IndexReader, SqliteConnection>;
template class SqlAdministrationQuestions<IndexTransaction, SqliteConnection>;
template class SqlAdministrationQuestions<IndexReader, PostgresConnection>;
template class SqlAdministrationQuestions<IndexTransaction, PostgresConnection>;
template class SqlAdministrationChanges<SqliteConnection>;
template class SqlAdministrationChanges<PostgresConnection>;

}  // namespace stagefs
