#include "sqlite_staging_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "index/held_reader.h"
#include "index/index_tables.h"
#include "index/sql_changes.h"
#include "log_keeper.h"
#include "sqlite.h"
#include "sqlite_dialect.h"
#include "sqlite_readers.h"
#include "sqlite_upgrade.h"
#include "stagefs/guarded.h"
#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"
#include "writer_turn.h"

namespace stagefs {
namespace {

// It leaves the log until the layout is known: see OpenSqliteAlone().
constexpr SqliteConnection::Options kWriterOptions = {.cache_kib = 32 * 1024, .checkpoints = false, .leaves_log = true};

std::chrono::milliseconds TimeUntil(TurnClock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - TurnClock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

class SqliteStagingIndex;

// Reads through the writing connection, whose pages nobody else's commit made stale.
class SqliteGlance : public SqlQuestions<IndexReader, SqliteConnection> {
 public:
  SqliteGlance(HeldReader held, std::unique_lock<FairMutex> turn, SqliteConnection& connection)
      : held_(std::move(held)), turn_(std::move(turn)), connection_(connection) {}
  ~SqliteGlance() override { (void)connection_.Run("COMMIT"); }

 protected:
  SqliteConnection& connection() override { return connection_; }

 private:
  const HeldReader held_;
  std::unique_lock<FairMutex> turn_;
  SqliteConnection& connection_;
};

class SqliteTransaction : public SqlTransaction<SqliteConnection> {
 public:
  SqliteTransaction(SqliteStagingIndex& index, HeldReader held, WriterTurn turn, SqliteConnection& connection,
                    Durability durability)
      : index_(index),
        held_(std::move(held)),
        turn_(std::move(turn)),
        connection_(connection),
        durability_(durability) {}
  ~SqliteTransaction() override;

  Status Commit() override;

  Status BeginSweep() override;
  Result<bool> SweepVersion(VersionId id, int64_t before_ns) override;
  Status EndSweep() override;

 protected:
  SqliteConnection& connection() override { return connection_; }

 private:
  SqliteStagingIndex& index_;
  std::optional<HeldReader> held_;
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
        watcher_(Guarded<std::unique_ptr<SqliteConnection>>(std::move(watcher))),
        readers_(std::make_shared<SqliteReaders>(path_, SqliteConnection::Disk::kWritable)) {}

  Result<std::unique_ptr<IndexReader>> Read() override { return readers_->Read(); }

  Result<std::unique_ptr<IndexReader>> Glance() override {
    std::unique_lock<FairMutex> turn(writer_turn_, std::try_to_lock);
    if (!turn) return Read();
    STAGEFS_RETURN_IF_ERROR(writer_->Run("BEGIN"));
    return std::unique_ptr<IndexReader>(new SqliteGlance(HeldReader(readers_.get()), std::move(turn), *writer_));
  }

  Result<std::unique_ptr<IndexTransaction>> Begin(Durability durability, Turn turn) override {
    const auto deadline = TurnClock::now() + turn.wait_max;
    struct stat info {};
    // SQLite syncs the head of a log that begins anew, and does not go on without.
    if (fstat(log_.get(), &info) == 0 && (info.st_mode & kSyncFailedMark) != 0) {
      const uint64_t ours = sync_wanted_.fetch_add(1) + 1;
      if (const std::unique_lock lock(syncing_, deadline); lock) (void)SyncUntil(deadline, ours);
    }
    WriterTurn held(writer_turn_, turn_file_, deadline);
    if (!held.held()) return BusyOrInterrupted("index: others write");
    // Older processes, and whoever copies the log, know SQLite's own lock alone.
    const bool patient = turn.wait_max >= Turn::kWaitMax;
    if (!patient) writer_->WaitForOthers(TimeUntil(deadline));
    const Status begun = writer_->Run("BEGIN IMMEDIATE");
    if (!patient) writer_->WaitForOthers(Turn::kWaitMax);
    STAGEFS_RETURN_IF_ERROR(begun);
    return std::unique_ptr<IndexTransaction>(
        new SqliteTransaction(*this, HeldReader(readers_.get()), std::move(held), *writer_, durability));
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
    STAGEFS_ASSIGN_OR_RETURN(const auto lock, LockInterruptibly(syncing_));
    return SyncUntil(TurnClock::now() + Turn::kWaitMax, ours);
  }

  Status DoubtSyncs() override { return MarkSyncFailed(log_.get(), path_ + "-wal"); }

  bool IsShared() const override { return false; }
  Result<std::vector<std::string>> CheckIntegrity() override;
  Status Erase() override { return {}; }  // It goes with the repository's folder.

  void NoteLog(int pages) { log_keeper_.Note(pages); }

 private:
  // After a sync that failed the kernel takes for written what the disk may lack: only what is written once more, and
  // synced then, is there. Whoever cannot do that acknowledges nothing as durable.
  Status WriteLogAnew(const Error& why, TurnClock::time_point deadline);
  // Sync() number `ours`, with syncing_ held. kBusy where the turn to write the log anew does not come in time.
  Status SyncUntil(TurnClock::time_point deadline, uint64_t ours) {
    if (synced_ >= ours) return {};
    const uint64_t all = sync_wanted_.load();
    Status synced = log_is_doubtful_ ? Error(ErrorCode::kIo, "fsync " + path_ + "-wal: one failed before")
                                     : SyncFile(log_.get(), path_ + "-wal");
    if (!synced) synced = WriteLogAnew(synced.error(), deadline);
    if (synced) synced_ = all;
    return synced;
  }

  // Constant after construction.
  const std::string path_;
  const UniqueFd log_;
  // Guarded by syncing_.
  std::timed_mutex syncing_;
  bool log_is_doubtful_ = false;  // Also where a failing disk does not take the mark.
  uint64_t synced_ = 0;           // Of those who wanted a sync.
  // Guarded by writer_turn_, which a transaction holds while it lives.
  FairMutex writer_turn_;
  TurnFile turn_file_;
  const std::unique_ptr<SqliteConnection> writer_;
  // Synchronize themselves.
  std::atomic<uint64_t> sync_wanted_{0};
  Guarded<std::unique_ptr<SqliteConnection>> watcher_;
  const std::shared_ptr<SqliteReaders> readers_;
  LogKeeper log_keeper_{path_, [this] {
                          return WriterTurn(writer_turn_, turn_file_, TurnClock::now() + std::chrono::seconds(1));
                        }};
};

Status SqliteStagingIndex::WriteLogAnew(const Error& why, TurnClock::time_point deadline) {
  const WorkingFor nobody(nullptr);  // What was committed waits for it.
  log_is_doubtful_ = true;
  const WriterTurn turn(writer_turn_, turn_file_, deadline);
  if (!turn.held()) return Error(ErrorCode::kBusy, "index: others write");
  writer_->WaitForOthers(TimeUntil(deadline));
  Status written = writer_->Run("BEGIN IMMEDIATE");  // Nobody else writes to it then.
  writer_->WaitForOthers(Turn::kWaitMax);
  if (written) {
    written = RewriteFile(log_.get(), path_ + "-wal");
    (void)writer_->Run("ROLLBACK");
  }
  if (!written) {
    return Error(ErrorCode::kIo, why.message() + "; writing it anew: " + written.error().message() +
                                     ". What was changed since the last sync may be lost with the power, and nothing"
                                     " is acknowledged as durable until this works: look at the disk (dmesg), then try"
                                     " again");
  }
  log_is_doubtful_ = false;
  writer_->TryToEmptyLog();
  return {};
}

SqliteTransaction::~SqliteTransaction() {
  if (!committed_) (void)connection_.Run("ROLLBACK");
}

Status SqliteTransaction::Commit() {
  CarryThrough();
  STAGEFS_RETURN_IF_ERROR(connection_.Run("COMMIT"));
  committed_ = true;
  held_.reset();
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
  return connection_.Execute(sql + "DROP TABLE IF EXISTS sweep_named;" + kForgetSparse);
}

Result<std::vector<std::string>> SqliteStagingIndex::CheckIntegrity() {
  STAGEFS_ASSIGN_OR_RETURN(const auto connection, readers_->Open());
  return CheckSqliteIntegrity(*connection);
}

// Two processes may create the same index at once: the lock decides who lays out the tables. Returns the layout that
// it has, which may be an older one.
Result<int64_t> LayOut(SqliteConnection& connection, const std::string& path, WhereMissing missing) {
  const auto known = connection.Number("PRAGMA user_version");
  if (known && *known == kSchemaVersion) {
    STAGEFS_ASSIGN_OR_RETURN(const int64_t known_application, connection.Number("PRAGMA application_id"));
    if (known_application == kSqliteApplicationId) return kSchemaVersion;  // Nobody's turn is waited for.
  }
  STAGEFS_RETURN_IF_ERROR(connection.Execute("BEGIN IMMEDIATE"));
  auto version = SqliteLayoutOf(connection, path);
  Status status = version.WithoutValue();
  if (version && *version == 0 && missing == WhereMissing::kRefuse) {
    status = EmptySqliteIndex(path);
  } else if (version && *version == 0) {
    version = kSchemaVersion;
    status = connection.Execute(LayOutSql(kSqliteDialect));
    if (status) {
      status = connection.Execute("PRAGMA application_id = " + std::to_string(kSqliteApplicationId) +
                                  "; PRAGMA user_version = " + std::to_string(kSchemaVersion));
    }
  }
  const Status ended = connection.Execute(status ? "COMMIT" : "ROLLBACK");
  if (!status || !ended) return (status ? ended : status).error();
  return version;
}

// As an unpacked backup, or a chmod of the whole folder, leaves them: SQLite would take the index for read-only without
// saying why. What is in its shared memory has no mode of its own.
Status MakeWritable(const std::string& path) {
  struct stat index {};
  if (stat(path.c_str(), &index) != 0) return {};
  for (const char* suffix : {"", "-wal", "-shm"}) {
    const std::string file = path + suffix;
    if (access(file.c_str(), W_OK) == 0 || errno == ENOENT) continue;
    const Error error = ErrnoError("write to " + file);
    const bool follows = *suffix != 0 && (index.st_mode & S_IWUSR) != 0;
    if (follows && chmod(file.c_str(), index.st_mode & 0777) == 0 && access(file.c_str(), W_OK) == 0) continue;
    return Error(error.code(), error.message() + ": give this user the right to (chmod, chown)" +
                                   (file.ends_with("-shm") ? ", or remove it while no stagefs runs" : ""));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<StagingIndex>> OpenSqliteStagingIndex(const std::string& path, WhereMissing missing) {
  struct stat info {};
  if (missing == WhereMissing::kRefuse && stat(path.c_str(), &info) != 0) return ErrnoError("open " + path);
  if (missing == WhereMissing::kRefuse && info.st_size == 0) return EmptySqliteIndex(path);
  // SQLite would let everybody read it, as far as the umask does; its other files get the same mode. One that is there
  // is not opened, and a new one closed before SQLite opens it: closing any descriptor of the file releases all locks
  // that this process has on it.
  if (auto made = OpenFd(path, O_RDWR | O_CREAT | O_EXCL); !made && made.error().code() != ErrorCode::kExists) {
    return made.error();
  }
  STAGEFS_RETURN_IF_ERROR(MakeWritable(path));
  STAGEFS_ASSIGN_OR_RETURN(std::unique_ptr<SqliteConnection> writer,
                           SqliteConnection::Open(path, kWriterOptions));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t version, LayOut(*writer, path, missing));
  if (version < kSchemaVersion) {
    writer.reset();
    STAGEFS_RETURN_IF_ERROR(UpgradeSqliteIndex(path));
    STAGEFS_ASSIGN_OR_RETURN(writer, SqliteConnection::Open(path, kWriterOptions));
  }
  writer->LeaveLog(false);
  STAGEFS_ASSIGN_OR_RETURN(auto watcher, SqliteReaders(path, SqliteConnection::Disk::kWritable).Open());
  // Closing this descriptor releases no lock: SQLite keeps its locks on the database and the -shm file.
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd log, OpenFd(path + "-wal", O_RDWR | O_CREAT));
  return std::unique_ptr<StagingIndex>(
      new SqliteStagingIndex(path, std::move(writer), std::move(watcher), std::move(log)));
}

}  // namespace stagefs
