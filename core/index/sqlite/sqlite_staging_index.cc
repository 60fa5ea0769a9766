#include "sqlite_staging_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "index/index_tables.h"
#include "index/sql_changes.h"
#include "log_keeper.h"
#include "sqlite.h"
#include "sqlite_dialect.h"
#include "sqlite_upgrade.h"
#include "stagefs/guarded.h"
#include "stagefs/posix_env.h"
#include "writer_turn.h"

namespace stagefs {
namespace {

// "stgf": tells an index from any other SQLite database (file(1) shows it).
constexpr int kApplicationId = 0x73746766;
constexpr SqliteConnection::Options kWriterOptions = {.cache_kib = 32 * 1024, .checkpoints = false};
constexpr int kReaderCacheKib = 8 * 1024;
constexpr size_t kIdleReadersMax = 4;

std::chrono::milliseconds TimeUntil(TurnClock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - TurnClock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

class SqliteStagingIndex;

class SqliteReader : public SqlQuestions<IndexReader, SqliteConnection> {
 public:
  SqliteReader(SqliteStagingIndex& index, std::unique_ptr<SqliteConnection> connection)
      : index_(index), connection_(std::move(connection)) {}
  ~SqliteReader() override;

 protected:
  SqliteConnection& connection() override { return *connection_; }

 private:
  SqliteStagingIndex& index_;
  std::unique_ptr<SqliteConnection> connection_;
};

// Reads through the writing connection, whose pages nobody else's commit made stale.
class SqliteGlance : public SqlQuestions<IndexReader, SqliteConnection> {
 public:
  SqliteGlance(std::unique_lock<FairMutex> turn, SqliteConnection& connection)
      : turn_(std::move(turn)), connection_(connection) {}
  ~SqliteGlance() override { (void)connection_.Run("COMMIT"); }

 protected:
  SqliteConnection& connection() override { return connection_; }

 private:
  std::unique_lock<FairMutex> turn_;
  SqliteConnection& connection_;
};

class SqliteTransaction : public SqlTransaction<SqliteConnection> {
 public:
  SqliteTransaction(SqliteStagingIndex& index, WriterTurn turn, SqliteConnection& connection, Durability durability)
      : index_(index), turn_(std::move(turn)), connection_(connection), durability_(durability) {}
  ~SqliteTransaction() override;

  Status Commit() override;

  Status BeginSweep() override;
  Result<bool> SweepVersion(VersionId id, int64_t before_ns) override;
  Status EndSweep() override;

 protected:
  SqliteConnection& connection() override { return connection_; }

 private:
  SqliteStagingIndex& index_;
  WriterTurn turn_;  // The writer connection is ours while this is held.
  SqliteConnection& connection_;
  const Durability durability_;
  bool committed_ = false;
};

class SqliteStagingIndex : public StagingIndex {
 public:
  SqliteStagingIndex(std::string path, std::unique_ptr<SqliteConnection> writer,
                     std::unique_ptr<SqliteConnection> watcher, UniqueFd log)
      : path_(std::move(path)),
        log_(std::move(log)),
        turn_file_(path_ + "-turn"),
        writer_(std::move(writer)),
        watcher_(Guarded<std::unique_ptr<SqliteConnection>>(std::move(watcher))) {}

  Result<std::unique_ptr<IndexReader>> Read() override {
    std::unique_ptr<SqliteConnection> connection;
    if (auto idle = idle_readers_.Lock(); !idle->empty()) {
      connection = std::move(idle->back());
      idle->pop_back();
    }
    if (!connection) {
      STAGEFS_ASSIGN_OR_RETURN(connection,
                               SqliteConnection::Open(path_, {.read_only = true, .cache_kib = kReaderCacheKib}));
    }
    STAGEFS_RETURN_IF_ERROR(connection->Run("BEGIN"));
    return std::unique_ptr<IndexReader>(new SqliteReader(*this, std::move(connection)));
  }

  Result<std::unique_ptr<IndexReader>> Glance() override {
    std::unique_lock<FairMutex> turn(writer_turn_, std::try_to_lock);
    if (!turn) return Read();
    STAGEFS_RETURN_IF_ERROR(writer_->Run("BEGIN"));
    return std::unique_ptr<IndexReader>(new SqliteGlance(std::move(turn), *writer_));
  }

  Result<std::unique_ptr<IndexTransaction>> Begin(Durability durability, Turn turn) override {
    struct stat info {};
    // SQLite syncs the head of a log that begins anew, and does not go on without.
    if (fstat(log_.get(), &info) == 0 && (info.st_mode & kSyncFailedMark) != 0) (void)Sync();
    const auto deadline = TurnClock::now() + turn.wait_max;
    WriterTurn held(writer_turn_, turn_file_, deadline);
    if (!held.held()) return Error(ErrorCode::kBusy, "index: others write");
    // Older processes, and whoever copies the log, know SQLite's own lock alone.
    const bool patient = turn.wait_max >= Turn::kWaitMax;
    if (!patient) writer_->WaitForOthers(TimeUntil(deadline));
    const Status begun = writer_->Run("BEGIN IMMEDIATE");
    if (!patient) writer_->WaitForOthers(Turn::kWaitMax);
    STAGEFS_RETURN_IF_ERROR(begun);
    return std::unique_ptr<IndexTransaction>(new SqliteTransaction(*this, std::move(held), *writer_, durability));
  }

  Result<int64_t> ChangeMark() override {
    auto watcher = watcher_.Lock();
    STAGEFS_ASSIGN_OR_RETURN(auto query, (*watcher)->Prepare("PRAGMA data_version"));
    STAGEFS_RETURN_IF_ERROR(query.Step().WithoutValue());
    return query.Int(0);
  }

  // The log holds every commit that is not in the database file yet, and SQLite syncs it before it copies
  // anything from it. So syncing the log is what "synchronous = FULL" would do at each commit, and one sync
  // serves every thread that committed before it began. One at a time, since the kernel tells one of them of an error.
  Status Sync() override {
    const uint64_t ours = sync_wanted_.fetch_add(1) + 1;
    const std::lock_guard lock(syncing_);
    if (synced_ >= ours) return {};
    const uint64_t all = sync_wanted_.load();
    Status synced = log_is_doubtful_ ? Error(ErrorCode::kIo, "fsync " + path_ + "-wal: one failed before")
                                     : SyncFile(log_.get(), path_ + "-wal");
    if (!synced) synced = WriteLogAnew(synced.error());
    if (synced) synced_ = all;
    return synced;
  }

  bool IsShared() const override { return false; }
  Result<std::vector<std::string>> CheckIntegrity() override;
  Status Erase() override { return {}; }  // It goes with the repository's folder.

  void NoteLog(int pages) { log_keeper_.Note(pages); }
  void TakeBack(std::unique_ptr<SqliteConnection> connection) {
    if (!connection->Run("COMMIT")) return;
    auto idle = idle_readers_.Lock();
    if (idle->size() < kIdleReadersMax) idle->push_back(std::move(connection));
  }

 private:
  // After a sync that failed the kernel takes for written what the disk may lack: only what is written once more, and
  // synced then, is there. Whoever cannot do that acknowledges nothing as durable.
  Status WriteLogAnew(const Error& why);

  // Constant after construction.
  const std::string path_;
  const UniqueFd log_;
  // Guarded by syncing_.
  std::mutex syncing_;
  bool log_is_doubtful_ = false;  // Also where a failing disk does not take the mark.
  uint64_t synced_ = 0;           // Of those who wanted a sync.
  // Guarded by writer_turn_, which a transaction holds while it lives.
  FairMutex writer_turn_;
  TurnFile turn_file_;
  const std::unique_ptr<SqliteConnection> writer_;
  // Synchronize themselves.
  std::atomic<uint64_t> sync_wanted_{0};
  Guarded<std::unique_ptr<SqliteConnection>> watcher_;
  Guarded<std::vector<std::unique_ptr<SqliteConnection>>> idle_readers_;
  LogKeeper log_keeper_{path_, [this] {
                          return WriterTurn(writer_turn_, turn_file_, TurnClock::now() + std::chrono::seconds(1));
                        }};
};

Status SqliteStagingIndex::WriteLogAnew(const Error& why) {
  log_is_doubtful_ = true;
  const WriterTurn turn(writer_turn_, turn_file_, TurnClock::now() + Turn::kWaitMax);
  if (!turn.held()) return Error(ErrorCode::kBusy, "index: others write");
  Status written = writer_->Run("BEGIN IMMEDIATE");  // Nobody else writes to it then.
  if (written) {
    written = RewriteFile(log_.get(), path_ + "-wal");
    (void)writer_->Run("ROLLBACK");
  }
  if (!written) {
    return Error(ErrorCode::kIo, why.message() + "; writing it anew: " + written.error().message() +
                                     ". What was changed since the last sync may be lost with the power, and nothing is"
                                     " acknowledged as durable until this works: look at the disk (dmesg), then try again");
  }
  log_is_doubtful_ = false;
  writer_->TryToEmptyLog();
  return {};
}

SqliteReader::~SqliteReader() { index_.TakeBack(std::move(connection_)); }

SqliteTransaction::~SqliteTransaction() {
  if (!committed_) (void)connection_.Run("ROLLBACK");
}

Status SqliteTransaction::Commit() {
  STAGEFS_RETURN_IF_ERROR(connection_.Run("COMMIT"));
  committed_ = true;
  const int log_pages = connection_.log_pages();
  turn_.End();  // The next transaction runs while this one is synced.
  index_.NoteLog(log_pages);
  if (durability_ == Durability::kPowerLoss) return index_.Sync();
  return {};
}

// Triggers are the schema's: they hold for every process, and for an older stagefs.
Status SqliteTransaction::BeginSweep() {
  // What an earlier one left that was killed.
  std::string sql = "CREATE TABLE IF NOT EXISTS sweep_named (version INTEGER PRIMARY KEY) STRICT;"
                    "DELETE FROM sweep_named;";
  for (const auto& [table, column] : kNamingColumns) {
    for (const std::string event : {"INSERT", "UPDATE"}) {
      const std::string name = std::string("sweep_") + table + '_' + column + '_' + event;
      const std::string named = std::string("NEW.") + column;
      sql += "CREATE TRIGGER IF NOT EXISTS " + name + " AFTER " + event + (event == "UPDATE" ? " OF " : "") +
             (event == "UPDATE" ? column : "") + " ON " + table + " WHEN " + named +
             " IS NOT NULL BEGIN INSERT INTO sweep_named (version) SELECT " + named +
             " WHERE NOT EXISTS (SELECT 1 FROM sweep_named WHERE version = " + named + "); END;";
    }
  }
  return connection_.Execute(sql);
}

Result<bool> SqliteTransaction::SweepVersion(VersionId id, int64_t before_ns) {
  STAGEFS_ASSIGN_OR_RETURN(auto erase,
                           connection_.Prepare("DELETE FROM version WHERE id = ?1 AND renewed_ns < ?2 AND synced = 1"
                                               " AND NOT EXISTS (SELECT 1 FROM sweep_named WHERE version = ?1)"));
  erase.BindInt(1, id).BindInt(2, before_ns);
  STAGEFS_RETURN_IF_ERROR(erase.Step().WithoutValue());
  return connection_.changes() > 0;
}

Status SqliteTransaction::EndSweep() {
  std::string sql;
  for (const auto& [table, column] : kNamingColumns) {
    for (const char* event : {"INSERT", "UPDATE"}) {
      sql += std::string("DROP TRIGGER IF EXISTS sweep_") + table + '_' + column + '_' + event + ';';
    }
  }
  return connection_.Execute(sql + "DROP TABLE IF EXISTS sweep_named");
}

Result<std::vector<std::string>> SqliteStagingIndex::CheckIntegrity() {
  constexpr size_t kComplaintsMax = 20;
  STAGEFS_ASSIGN_OR_RETURN(const auto connection,
                           SqliteConnection::Open(path_, {.read_only = true, .cache_kib = kReaderCacheKib}));
  std::vector<std::string> complaints;
  auto check = connection->Prepare("PRAGMA integrity_check(20)");
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

Error EmptyIndex(const std::string& path) {
  return Error(ErrorCode::kCorrupt, path + " is empty: it is no index any more");
}

// Two processes may create the same index at once: the lock decides who lays out the tables. Returns the layout that
// it has, which may be an older one.
Result<int64_t> LayOut(SqliteConnection& connection, const std::string& path, WhereMissing missing) {
  const auto known = connection.Number("PRAGMA user_version");
  if (known && *known == kSchemaVersion) {
    STAGEFS_ASSIGN_OR_RETURN(const int64_t known_application, connection.Number("PRAGMA application_id"));
    if (known_application == kApplicationId) return kSchemaVersion;  // Nobody's turn is waited for.
  }
  STAGEFS_RETURN_IF_ERROR(connection.Execute("BEGIN IMMEDIATE"));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t application, connection.Number("PRAGMA application_id"));
  STAGEFS_ASSIGN_OR_RETURN(int64_t version, connection.Number("PRAGMA user_version"));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t tables, connection.Number("SELECT count(*) FROM sqlite_master"));
  Status status;
  if (application == 0 && version == 0 && tables == 0 && missing == WhereMissing::kRefuse) {
    status = EmptyIndex(path);
  } else if (application == 0 && version == 0 && tables == 0) {
    version = kSchemaVersion;
    status = connection.Execute(LayOutSql(kSqliteDialect));
    if (status) {
      status = connection.Execute("PRAGMA application_id = " + std::to_string(kApplicationId) +
                                  "; PRAGMA user_version = " + std::to_string(kSchemaVersion));
    }
  } else if (application != kApplicationId) {
    status = Error(ErrorCode::kCorrupt, path + " is not a stagefs index");
  } else if (version > kSchemaVersion) {
    status = Error(ErrorCode::kUnsupported, path + " was made by a newer stagefs (schema " +
                                                std::to_string(version) + "; this one knows up to " +
                                                std::to_string(kSchemaVersion) + "): update stagefs");
  } else if (version < 1) {
    status = Error(ErrorCode::kCorrupt, path + " has an unknown schema " + std::to_string(version));
  }
  const Status ended = connection.Execute(status ? "COMMIT" : "ROLLBACK");
  if (!status || !ended) return (status ? ended : status).error();
  return version;
}

}  // namespace

Result<std::unique_ptr<StagingIndex>> OpenSqliteStagingIndex(const std::string& path, WhereMissing missing) {
  struct stat info {};
  if (missing == WhereMissing::kRefuse && stat(path.c_str(), &info) != 0) return ErrnoError("open " + path);
  if (missing == WhereMissing::kRefuse && info.st_size == 0) return EmptyIndex(path);
  // SQLite would let everybody read it, as far as the umask does; its other files get the same mode. One that is there
  // is not opened, and a new one closed before SQLite opens it: closing any descriptor of the file releases all locks
  // that this process has on it.
  if (auto made = OpenFd(path, O_RDWR | O_CREAT | O_EXCL); !made && made.error().code() != ErrorCode::kExists) {
    return made.error();
  }
  STAGEFS_ASSIGN_OR_RETURN(std::unique_ptr<SqliteConnection> writer,
                           SqliteConnection::Open(path, kWriterOptions));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t version, LayOut(*writer, path, missing));
  if (version < kSchemaVersion) {
    writer.reset();
    STAGEFS_RETURN_IF_ERROR(UpgradeSqliteIndex(path));
    STAGEFS_ASSIGN_OR_RETURN(writer, SqliteConnection::Open(path, kWriterOptions));
  }
  STAGEFS_ASSIGN_OR_RETURN(std::unique_ptr<SqliteConnection> watcher,
                           SqliteConnection::Open(path, {.read_only = true, .cache_kib = kReaderCacheKib}));
  // Closing this descriptor releases no lock: SQLite keeps its locks on the database and the -shm file.
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd log, OpenFd(path + "-wal", O_RDWR | O_CREAT));
  return std::unique_ptr<StagingIndex>(
      new SqliteStagingIndex(path, std::move(writer), std::move(watcher), std::move(log)));
}

}  // namespace stagefs
