#include "sqlite_readers.h"

#include "index/index_tables.h"
#include "index/sql_questions.h"

namespace stagefs {
namespace {

constexpr int kReaderCacheKib = 8 * 1024;
constexpr size_t kIdleMax = 4;
constexpr size_t kComplaintsMax = 20;

class SqliteReader : public SqlQuestions<IndexReader, SqliteConnection> {
 public:
  SqliteReader(std::shared_ptr<SqliteReaders> readers, std::unique_ptr<SqliteConnection> connection)
      : readers_(std::move(readers)), connection_(std::move(connection)) {}
  ~SqliteReader() override { readers_->TakeBack(std::move(connection_)); }

 protected:
  SqliteConnection& connection() override { return *connection_; }

 private:
  const std::shared_ptr<SqliteReaders> readers_;
  std::unique_ptr<SqliteConnection> connection_;
};

}  // namespace

Result<std::unique_ptr<SqliteConnection>> SqliteReaders::Open() const {
  return SqliteConnection::Open(path_, {.read_only = true, .cache_kib = kReaderCacheKib, .disk = disk_});
}

Result<std::unique_ptr<IndexReader>> SqliteReaders::Read() {
  std::unique_ptr<SqliteConnection> connection;
  if (auto idle = idle_.Lock(); !idle->empty()) {
    connection = std::move(idle->back());
    idle->pop_back();
  }
  if (!connection) {
    STAGEFS_ASSIGN_OR_RETURN(connection, Open());
  }
  STAGEFS_RETURN_IF_ERROR(connection->Run("BEGIN"));
  return std::unique_ptr<IndexReader>(new SqliteReader(shared_from_this(), std::move(connection)));
}

void SqliteReaders::TakeBack(std::unique_ptr<SqliteConnection> connection) {
  if (!connection->Run("COMMIT")) return;
  auto idle = idle_.Lock();
  if (idle->size() < kIdleMax) idle->push_back(std::move(connection));
}

Result<std::vector<std::string>> CheckSqliteIntegrity(SqliteConnection& connection) {
  std::vector<std::string> complaints;
  auto check = connection.Prepare("PRAGMA integrity_check(20)");
  for (bool more = true; check && more && complaints.size() < kComplaintsMax;) {
    const auto row = check->Step();
    more = row && *row;
    if (!row && row.error().code() != ErrorCode::kCorrupt) return row.error();
    if (!row) complaints.push_back(row.error().message());
    if (more && check->Text(0) != "ok") complaints.emplace_back(check->Text(0));
  }
  if (!check && check.error().code() != ErrorCode::kCorrupt) return check.error();
  if (!check) complaints.push_back(check.error().message());
  return complaints;
}

Error EmptySqliteIndex(const std::string& path) {
  return Error(ErrorCode::kCorrupt, path + " is empty: it is no index any more");
}

Result<int64_t> SqliteLayoutOf(SqliteConnection& connection, const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const int64_t application, connection.Number("PRAGMA application_id"));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t version, connection.Number("PRAGMA user_version"));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t tables, connection.Number("SELECT count(*) FROM sqlite_master"));
  if (application == 0 && version == 0 && tables == 0) return 0;
  if (application != kSqliteApplicationId) return Error(ErrorCode::kCorrupt, path + " is not a stagefs index");
  if (version > kSchemaVersion) {
    return Error(ErrorCode::kUnsupported, path + " was made by a newer stagefs (schema " + std::to_string(version) +
                                              "; this one knows up to " + std::to_string(kSchemaVersion) +
                                              "): update stagefs");
  }
  if (version < 1) return Error(ErrorCode::kCorrupt, path + " has an unknown schema " + std::to_string(version));
  return version;
}

}  // namespace stagefs
