#include "sqlite.h"

#include <sqlite3.h>

#include <sys/stat.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <thread>

#include "index/index_tables.h"
#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

// Another process may hold the write lock while it stages a large manifest.
constexpr auto kBusyTimeout = std::chrono::minutes(1);
constexpr int kPauseMaxMs = 25;

Error SqliteError(sqlite3* db, const std::string& what) {
  const int code = sqlite3_errcode(db);
  std::string message = what + ": " + sqlite3_errmsg(db);
  const int system_error = sqlite3_system_errno(db);
  const bool from_system = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
  if (from_system && system_error != 0) message += std::string(" (") + std::strerror(system_error) + ')';
  // Growing the shared memory of the log fails as an I/O error on a full disk.
  if (from_system && (system_error == ENOSPC || system_error == EDQUOT)) {
    return Error(ErrorCode::kNoSpace, message);
  }
  switch (code & 0xff) {
    case SQLITE_FULL: return Error(ErrorCode::kNoSpace, message);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN: return Error(ErrorCode::kReadOnly, message);
    case SQLITE_PERM:
    case SQLITE_AUTH: return Error(ErrorCode::kPermission, message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return BusyOrInterrupted(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Error(ErrorCode::kCorrupt, message);
    case SQLITE_CONSTRAINT: return Error(ErrorCode::kConflict, message);
    default: return Error(ErrorCode::kIo, message);
  }
}

// SQLite syncs its log, too, before it copies from it, and drops the error where nobody asked for that. The next sync
// would succeed without the bytes: so the log is marked as SyncFile() marks, and none is believed until it was
// written anew.
constexpr char kVfsName[] = "stagefs";

struct LogMethods {
  sqlite3_vfs* system = nullptr;
  sqlite3_io_methods of_system{}, ours{};
};
LogMethods log_methods;

const char*& PathOfLog(sqlite3_file* file) {
  return *reinterpret_cast<const char**>(reinterpret_cast<char*>(file) + log_methods.system->szOsFile);
}

int SyncLog(sqlite3_file* file, int flags) {
  struct stat info {};
  if (stat(PathOfLog(file), &info) == 0 && (info.st_mode & kSyncFailedMark) != 0) return SQLITE_IOERR_FSYNC;
  const int rc = log_methods.of_system.xSync(file, flags);
  if (rc != SQLITE_OK) (void)chmod(PathOfLog(file), (info.st_mode & 07777) | kSyncFailedMark);
  return rc;
}

int OpenFile(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* flags_out) {
  const int rc = log_methods.system->xOpen(log_methods.system, path, file, flags, flags_out);
  if (rc != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0) return rc;
  PathOfLog(file) = path;  // Lives as long as the file does.
  static const bool known = [file] {
    log_methods.of_system = log_methods.ours = *file->pMethods;
    log_methods.ours.xSync = SyncLog;
    return true;
  }();
  (void)known;
  file->pMethods = &log_methods.ours;
  return rc;
}

// Counting what SQLite allocates takes a lock that all threads share, and nobody asks for the count.
void ConfigureSqlite() {
  static const bool configured = [] {
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    log_methods.system = sqlite3_vfs_find(nullptr);
    static sqlite3_vfs vfs = *log_methods.system;
    vfs.zName = kVfsName;
    vfs.szOsFile += static_cast<int>(sizeof(const char*));
    vfs.xOpen = OpenFile;
    sqlite3_vfs_register(&vfs, /*makeDflt=*/0);
    return true;
  }();
  (void)configured;
}

std::string UriOf(const std::string& path, bool unchanging) {
  std::string uri = path.starts_with('/') ? "file://" : "file:";
  for (const char c : path) {
    constexpr char kDigits[] = "0123456789abcdef";
    const bool plain = isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '.' || c == '-' || c == '_';
    if (plain) uri += c;
    else uri += {'%', kDigits[static_cast<unsigned char>(c) >> 4], kDigits[c & 15]};
  }
  return uri + (unchanging ? "?immutable=1" : "");
}

}  // namespace

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : db_(other.db_), statement_(other.statement_), owned_(other.owned_) {
  other.statement_ = nullptr;
}

SqliteStatement::~SqliteStatement() {
  if (statement_ == nullptr) return;
  if (owned_) {
    sqlite3_finalize(statement_);
  } else {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
}

SqliteStatement& SqliteStatement::BindInt(int index, int64_t value) {
  [[maybe_unused]] const int rc = sqlite3_bind_int64(statement_, index, value);
  assert(rc == SQLITE_OK);
  return *this;
}

SqliteStatement& SqliteStatement::BindBlob(int index, std::string_view bytes) {
  // A null pointer would bind NULL; an empty blob is meant.
  [[maybe_unused]] const int rc = sqlite3_bind_blob64(
      statement_, index, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
  assert(rc == SQLITE_OK);
  return *this;
}

SqliteStatement& SqliteStatement::BindText(int index, std::string_view text) {
  [[maybe_unused]] const int rc = sqlite3_bind_text64(
      statement_, index, text.data() == nullptr ? "" : text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  assert(rc == SQLITE_OK);
  return *this;
}

SqliteStatement& SqliteStatement::BindNull(int index) {
  sqlite3_bind_null(statement_, index);
  return *this;
}

Result<bool> SqliteStatement::Step() {
  const int rc = sqlite3_step(statement_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return SqliteError(db_, "index");
}

Status SqliteStatement::Run() {
  STAGEFS_ASSIGN_OR_RETURN(bool more, Step());
  while (more) {
    STAGEFS_ASSIGN_OR_RETURN(more, Step());
  }
  Reset();
  return {};
}

void SqliteStatement::Reset() { sqlite3_reset(statement_); }

int64_t SqliteStatement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

bool SqliteStatement::IsNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::string_view SqliteStatement::Blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  return {static_cast<const char*>(data), static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(const std::string& path, const Options& options) {
  ConfigureSqlite();
  sqlite3* db = nullptr;
  const bool writable = options.disk == Disk::kWritable;
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (!writable           ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
                     : options.read_only ? SQLITE_OPEN_READWRITE
                                         : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  const std::string name = writable ? path : UriOf(path, options.disk == Disk::kUnchanging);
  const int rc = sqlite3_open_v2(name.c_str(), &db, flags, kVfsName);
  auto connection = std::unique_ptr<SqliteConnection>(new SqliteConnection(db));
  if (rc != SQLITE_OK) return SqliteError(db, "open " + path);
  connection->LeaveLog(options.leaves_log);
  connection->WaitForOthers(options.alone ? std::chrono::milliseconds(0) : kBusyTimeout);
  const std::string cache =
      "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -" + std::to_string(options.cache_kib) + ';';
  if (!writable) {
    if (auto status = connection->Execute(cache); !status) return status.error().In("open " + path);
    return connection;
  }
  // The lock of the whole file: each connection of a log has a shared one on it for as long as it lives.
  const std::string settings =
      std::string(options.alone ? "PRAGMA locking_mode = EXCLUSIVE;" : "") +
      "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
      "PRAGMA wal_autocheckpoint = 16384; PRAGMA journal_size_limit = 67108864;" +
      cache + (options.read_only ? "PRAGMA query_only = 1;" : "");
  if (auto status = connection->Execute(settings); !status) return status.error().In("open " + path);
  if (!options.checkpoints) {
    const auto note = [](void* pages, sqlite3*, const char*, int now) {
      *static_cast<int*>(pages) = now;
      return SQLITE_OK;
    };
    sqlite3_wal_hook(db, note, &connection->log_pages_);  // It takes the place of the one that checkpoints.
  }
  return connection;
}

void SqliteConnection::LeaveLog(bool leave) {
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave ? 1 : 0, nullptr);
}

void SqliteConnection::WaitForOthers(std::chrono::milliseconds time) {
  wait_max_ = time;
  const auto try_again = [](void* self, int times) -> int {
    return static_cast<SqliteConnection*>(self)->TryAgain(times) ? 1 : 0;
  };
  sqlite3_busy_handler(db_, try_again, this);
}

bool SqliteConnection::TryAgain(int times) {
  const auto now = std::chrono::steady_clock::now();
  if (times == 0) wait_until_ = now + wait_max_;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(wait_until_ - now);
  if (left.count() <= 0 || Interrupted()) return false;
  std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(std::min(times + 1, kPauseMaxMs))));
  return true;
}

SqliteConnection::~SqliteConnection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(db_);
}

Result<SqliteStatement> SqliteConnection::Prepare(const char* sql) {
  auto found = statements_.find(sql);
  if (found != statements_.end() && !sqlite3_stmt_busy(found->second)) {
    return SqliteStatement(db_, found->second, false);
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return SqliteError(db_, std::string("prepare ") + sql);
  }
  if (found != statements_.end()) return SqliteStatement(db_, statement, true);
  statements_.emplace(sql, statement);
  return SqliteStatement(db_, statement, false);
}

Status SqliteConnection::Run(const char* sql) {
  STAGEFS_ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  return statement.Run();
}

Status SqliteConnection::Execute(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return SqliteError(db_, "index");
  }
  return {};
}

Result<int64_t> SqliteConnection::Number(const char* sql) {
  STAGEFS_ASSIGN_OR_RETURN(auto query, Prepare(sql));
  STAGEFS_RETURN_IF_ERROR(query.Step().WithoutValue());
  return query.Int(0);
}

void SqliteConnection::TryToEmptyLog() {
  WaitForOthers(std::chrono::milliseconds(0));
  (void)sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  WaitForOthers(kBusyTimeout);
}

Status SqliteConnection::ContinueNumbers() {
  // AUTOINCREMENT goes on after the largest number that was ever inserted.
  return Execute(
      "INSERT OR IGNORE INTO folder (id) SELECT max(child) FROM (SELECT child FROM tree_entry UNION ALL"
      " SELECT child FROM staged_entry UNION ALL SELECT 1);"
      "DELETE FROM folder WHERE id > 1;"
      // One that is lost may be named still: it must not show another file.
      "INSERT INTO sqlite_sequence (name, seq) SELECT 'version', 0"
      " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'version');"
      "UPDATE sqlite_sequence SET seq = max(seq, (SELECT coalesce(max(version), 0) FROM (" + SelectNamedVersions() +
      "))) WHERE name = 'version'");
}

Status SqliteConnection::Freeze(const std::string& why) {
  std::string sql;
  for (size_t i = 0; i < kMovedTables; ++i) {
    const std::string table = MovingTable::At(i).table->name;
    for (const std::string change : {"INSERT", "UPDATE", "DELETE"}) {
      sql += "CREATE TRIGGER frozen_" + table + '_' + change + " BEFORE " + change + " ON " + table +
             " BEGIN SELECT RAISE(ABORT, " + SqlText(why) + "); END;";
    }
  }
  return Execute(sql);
}

int64_t SqliteConnection::changes() const { return sqlite3_changes64(db_); }
int64_t SqliteConnection::ClockNs() { return NowNs(); }

}  // namespace stagefs
