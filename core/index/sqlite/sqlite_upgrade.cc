#include "sqlite_upgrade.h"

#include "index/index_tables.h"
#include "sqlite_alone.h"
#include "sqlite_dialect.h"

namespace stagefs {
namespace {

Status Step(SqliteConnection& connection, int step) {
  // The fourth changed the key of mounts.
  if (step == 4) return connection.Execute(RebuildSql(kSqliteDialect, kMountTable, step));
  STAGEFS_RETURN_IF_ERROR(connection.Execute(StepSql(kSqliteDialect, step)));
  if (step != 5) return {};
  // Numbers of versions never come again. That is a word of the table's text: its rows, and what damage left of them,
  // are not read. https://www.sqlite.org/lang_altertable.html#otheralter
  STAGEFS_ASSIGN_OR_RETURN(const int64_t schema, connection.Number("PRAGMA schema_version"));
  return connection.Execute(
      "PRAGMA writable_schema = ON;"
      "UPDATE sqlite_master SET sql = replace(sql, 'INTEGER PRIMARY KEY', 'INTEGER PRIMARY KEY AUTOINCREMENT')"
      " WHERE type = 'table' AND name = 'version' AND sql NOT LIKE '%AUTOINCREMENT%';"
      "PRAGMA schema_version = " + std::to_string(schema + 1) + ";PRAGMA writable_schema = OFF");
}

Status Upgrade(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const auto connection, OpenSqliteAlone(path));
  STAGEFS_RETURN_IF_ERROR(connection->Execute("BEGIN IMMEDIATE"));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t version, connection->Number("PRAGMA user_version"));
  for (int64_t step = version + 1; step <= kSchemaVersion; ++step) {
    STAGEFS_RETURN_IF_ERROR(Step(*connection, static_cast<int>(step)));
  }
  if (version < kSchemaVersion) {
    STAGEFS_RETURN_IF_ERROR(connection->Execute("PRAGMA user_version = " + std::to_string(kSchemaVersion)));
  }
  return connection->Execute("COMMIT");
}

Result<int64_t> VersionOf(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const auto connection,
                           SqliteConnection::Open(path, {.read_only = true, .leaves_log = true}));
  return connection->Number("PRAGMA user_version");
}

}  // namespace

Status UpgradeSqliteIndex(const std::string& path) {
  const Status upgraded = Upgrade(path);
  if (upgraded || upgraded.error().code() != ErrorCode::kBusy) return upgraded;
  STAGEFS_ASSIGN_OR_RETURN(const int64_t version, VersionOf(path));
  if (version >= kSchemaVersion) return {};  // Whoever has it open did it.
  return upgraded.error().In("the index is of an older stagefs, and is brought up to date while nobody uses it");
}

}  // namespace stagefs
