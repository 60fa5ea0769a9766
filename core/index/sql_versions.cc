#include "index/postgres/postgres.h"
#include "index/sqlite/sqlite.h"
#include "index_tables.h"
#include "sql_changes.h"
#include "sql_rows.h"

namespace stagefs {
namespace {

const std::string kFindBySha256 = Select(kVersionTable) + " WHERE sha256 = ?1";
const std::string kFindByXxh3 = Select(kVersionTable) + " WHERE xxh3 = ?1";
const std::string kGet = Select(kVersionTable) + " WHERE id = ?1";
const std::string kList = Select(kVersionTable) + " WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2";
const std::string kListFrom = Select(kVersionTable) + " WHERE id >= ?1 ORDER BY id LIMIT ?2";
const std::string kListUnsynced = Select(kVersionTable) + " WHERE synced = 0 ORDER BY id LIMIT ?1";
const std::string kListSparse = Select(kSparseVersionTable) + " WHERE version > ?1 ORDER BY version";
const std::string kPutSparse = Insert(kSparseVersionTable) + OrReplace(kSparseVersionTable);
const std::string kListUnused =
    Select(kVersionTable) +
    " WHERE id IN ("
    "  SELECT id FROM version WHERE renewed_ns < ?1 AND synced = 1 AND size > 0"
    "  EXCEPT SELECT * FROM (" + SelectNamedVersions() + ") AS named LIMIT ?2)";
const std::string kListNamed = SelectNamedBetween("?1", "?2", "seq > ?3");
const std::string kAdd = InsertNew(kVersionTable) + " ON CONFLICT (sha256) DO NOTHING RETURNING id";

}  // namespace

template <class I, class C>
Result<std::optional<VersionInfo>> SqlVersionQuestions<I, C>::FindVersion(const HashRef& hash) {
  if (const Sha256* sha256 = hash.sha256()) {
    return AskFirst(connection(), ReadVersion, kFindBySha256.c_str(), BytesOf(*sha256));
  }
  return AskFirst(connection(), ReadVersion, kFindByXxh3.c_str(), BytesOf(*hash.xxh3()));
}

template <class I, class C>
Result<std::optional<VersionInfo>> SqlVersionQuestions<I, C>::GetVersion(VersionId id) {
  return AskFirst(connection(), ReadVersion, kGet.c_str(), id);
}

template <class I, class C>
Result<std::vector<VersionInfo>> SqlVersionQuestions<I, C>::ListVersions(const std::optional<Sha256>& after,
                                                                         size_t limit) {
  return AskAll(connection(), ReadVersion, kList.c_str(), after ? BytesOf(*after) : std::string_view(), limit);
}

// The index of the hashes has both.
template <class I, class C>
Result<std::vector<std::pair<Sha256, VersionId>>> SqlVersionQuestions<I, C>::ListVersionIds(
    const std::optional<Sha256>& after, size_t limit) {
  const auto read = [](auto in) {
    const Sha256 hash = in.template Array<32>();
    return std::pair(hash, in.Number());
  };
  return AskAll(connection(), read, "SELECT sha256, id FROM version WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2",
                after ? BytesOf(*after) : std::string_view(), limit);
}

template <class I, class C>
Result<std::vector<VersionInfo>> SqlVersionQuestions<I, C>::ListVersionsFrom(VersionId first, size_t limit) {
  return AskAll(connection(), ReadVersion, kListFrom.c_str(), first, limit);
}

template <class I, class C>
Result<VersionId> SqlVersionQuestions<I, C>::NewestVersion() {
  return AskNumber(connection(), "SELECT coalesce(max(id), 0) FROM version");
}

template <class I, class C>
Result<std::vector<SparseVersion>> SqlVersionQuestions<I, C>::ListSparse(VersionId after) {
  return AskAll(connection(), ReadSparse, kListSparse.c_str(), after);
}

template <class I, class C>
Result<std::vector<VersionInfo>> SqlVersionQuestions<I, C>::ListUnsynced(size_t limit) {
  return AskAll(connection(), ReadVersion, kListUnsynced.c_str(), limit);
}

template <class I, class C>
Result<std::vector<VersionInfo>> SqlVersionQuestions<I, C>::ListUnused(int64_t before_ns, size_t limit) {
  return AskAll(connection(), ReadVersion, kListUnused.c_str(), before_ns, limit);
}

template <class I, class C>
Result<std::vector<VersionId>> SqlVersionQuestions<I, C>::ListNamed(VersionId first, VersionId last, CommitSeq after) {
  return AskAll(connection(), [](auto in) { return in.Number(); }, kListNamed.c_str(), first, last, after);
}

template <class I, class C>
Result<bool> SqlVersionQuestions<I, C>::IsCommitted(VersionId version) {
  STAGEFS_ASSIGN_OR_RETURN(
      const int64_t rows,
      AskNumber(connection(), "SELECT count(*) FROM (SELECT 1 FROM tree_entry WHERE version = ?1 LIMIT 1) AS named",
                version));
  return rows > 0;
}

template <class I, class C>
Result<int64_t> SqlVersionQuestions<I, C>::CountDangling() {
  return AskNumber(connection(),
                   "SELECT count(*) FROM (SELECT version FROM tree_entry UNION ALL"
                   " SELECT version FROM staged_entry UNION ALL SELECT version FROM inbox_file) AS named"
                   " LEFT JOIN version ON version.id = named.version"
                   " WHERE named.version IS NOT NULL AND version.id IS NULL");
}

template <class I, class C>
Result<int64_t> SqlVersionQuestions<I, C>::NewestNs() {
  return AskNumber(connection(), "SELECT coalesce(max(ns), 0) FROM (SELECT max(renewed_ns) AS ns FROM version"
                                 " UNION ALL SELECT max(time_ns) FROM commit_log) AS times");
}

template <class C>
Result<VersionId> SqlVersionChanges<C>::AddVersion(const VersionInfo& version) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> same_xxh3,
                           this->FindVersion(HashRef(version.content.xxh3)));
  // Another workspace's transaction may have added it since this one looked.
  if (same_xxh3 && same_xxh3->content.sha256 == version.content.sha256) return same_xxh3->id;
  if (same_xxh3) {
    return Error(ErrorCode::kConflict,
                 "content " + ToHex(version.content.sha256) + " has the XXH3 of another version, " +
                     ToHex(same_xxh3->content.sha256) + ": it cannot be told apart by Oxen clients");
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<int64_t> added, RunAndNumber(connection(), kAdd.c_str(), version));
  if (added) return *added;
  // Added just now by another one, which this waited for. Its row is locked with all others that are renewed: in one
  // order, so that no two transactions wait for each other.
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> there,
                           this->FindVersion(HashRef(version.content.sha256)));
  if (!there) return Error(ErrorCode::kBusy, "a version was added and removed at once: try again");
  STAGEFS_RETURN_IF_ERROR(this->RenewVersion(there->id, version.renewed_ns));
  return there->id;
}

template <class C>
Status SqlVersionChanges<C>::RenewVersion(VersionId id, int64_t now_ns) {
  return Run(connection(), "UPDATE version SET renewed_ns = ?2 WHERE id = ?1", id, now_ns);
}

template <class C>
Status SqlVersionChanges<C>::SetSynced(VersionId id) {
  STAGEFS_RETURN_IF_ERROR(Run(connection(), "UPDATE version SET synced = 1 WHERE id = ?1", id));
  return Run(connection(), "DELETE FROM unsynced_entry WHERE version = ?1", id);
}

template <class C>
Status SqlVersionChanges<C>::EraseVersion(VersionId id) {
  STAGEFS_RETURN_IF_ERROR(Run(connection(), "DELETE FROM sparse_version WHERE version = ?1", id));
  return Run(connection(), "DELETE FROM version WHERE id = ?1", id);
}

template <class C>
Status SqlVersionChanges<C>::PutSparse(const SparseVersion& sparse) {
  return Run(connection(), kPutSparse.c_str(), sparse.version, sparse.blocks);
}

template class SqlVersionQuestions<IndexReader, SqliteConnection>;
template class SqlVersionQuestions<IndexTransaction, SqliteConnection>;
template class SqlVersionQuestions<IndexReader, PostgresConnection>;
template class SqlVersionQuestions<IndexTransaction, PostgresConnection>;
template class SqlVersionChanges<SqliteConnection>;
template class SqlVersionChanges<PostgresConnection>;

}  // namespace stagefs
