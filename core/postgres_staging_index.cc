// StagingIndex on PostgreSQL: many machines, one index.
//
// A database holds any number of repositories: stagefs.repository lists them, and each has its tables in a schema of its
// own. Transactions take turns by advisory locks, which live as long as the transaction: one that changes a workspace
// alone shares the repository's lock and holds the workspace's, any other holds the repository's. So no table is ever
// locked, workspaces do not wait for each other, and whoever has its turn reads what all earlier turns left.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <thread>

#include "postgres.h"
#include "sql_index_transaction.h"
#include "stagefs/guarded.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kSchema[] =
#include "postgres_schema_sql.inc"
    ;

// Of advisory locks: (kLockClass + repository, workspace or 0). "stgf" in ASCII.
constexpr int32_t kLockClass = 0x73746766;
constexpr size_t kConnectionsMax = 32;
constexpr size_t kIdleMax = 8;
// A connection that was idle for longer is asked whether it still works before it is used.
constexpr auto kTrustIdle = seconds(1);
constexpr auto kReaderPatience = seconds(60);
constexpr auto kTransactionPatience = seconds(600);
// How long a process that holds a turn and stopped answering (frozen, cut off) keeps others waiting.
constexpr int kIdleInTransactionSeconds = 300;
constexpr int kTurnSeconds = 60;
constexpr auto kPollEvery = milliseconds(500);
constexpr auto kRetryEvery = milliseconds(200);
constexpr int kWaitSecondsDefault = 10;
constexpr int kWaitSecondsMax = 3'600;

// How long a connection is tried for: $STAGEFS_INDEX_WAIT, in seconds.
seconds ConnectWait() {
  const char* text = std::getenv("STAGEFS_INDEX_WAIT");
  if (text == nullptr) return seconds(kWaitSecondsDefault);
  return seconds(std::clamp(std::atoi(text), 0, kWaitSecondsMax));
}

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + '\'';
}

class PostgresStagingIndex;

// A connection while somebody uses it; the index gets it back afterwards.
class Lease {
 public:
  Lease(PostgresStagingIndex& index, std::unique_ptr<PostgresConnection> connection)
      : index_(&index), connection_(std::move(connection)) {}
  Lease(Lease&&) = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();
  PostgresConnection& operator*() const { return *connection_; }
  PostgresConnection* operator->() const { return connection_.get(); }

 private:
  PostgresStagingIndex* index_;
  std::unique_ptr<PostgresConnection> connection_;
};

class PostgresReader : public SqlReads<IndexReader, PostgresConnection> {
 public:
  explicit PostgresReader(Lease lease) : lease_(std::move(lease)) {
    lease_->ExecuteLater("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  }
  ~PostgresReader() override { lease_->ExecuteUnanswered("COMMIT"); }

 protected:
  PostgresConnection& connection() override { return *lease_; }

 private:
  Lease lease_;
};

class PostgresTransaction : public SqlTransaction<PostgresConnection> {
 public:
  PostgresTransaction(PostgresStagingIndex& index, Lease lease) : index_(index), lease_(std::move(lease)) {}
  ~PostgresTransaction() override {
    if (!ended_) lease_->ExecuteUnanswered("ROLLBACK");
  }
  Status Commit() override;

 protected:
  PostgresConnection& connection() override { return *lease_; }

 private:
  PostgresStagingIndex& index_;
  Lease lease_;
  bool ended_ = false;
};

class PostgresStagingIndex : public StagingIndex {
 public:
  PostgresStagingIndex(std::string url, int32_t repository)
      : url_(std::move(url)), repository_(repository), channel_("stagefs_" + std::to_string(repository)) {}

  ~PostgresStagingIndex() override {
    if (!watcher_.joinable()) return;
    const uint64_t one = 1;
    (void)!write(stop_.get(), &one, sizeof one);
    watcher_.join();
  }

  Status Start() {
    stop_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
    if (!stop_.valid()) return ErrnoError("make an eventfd");
    watcher_ = std::thread([this] { Watch(); });
    return {};
  }

  Result<std::unique_ptr<IndexReader>> Read() override {
    STAGEFS_ASSIGN_OR_RETURN(Lease lease, Take());
    lease->set_patience(kReaderPatience);
    return std::unique_ptr<IndexReader>(new PostgresReader(std::move(lease)));
  }

  // Its own moment is worth the round trip that it shares with the first question.
  Result<std::unique_ptr<IndexReader>> Glance() override { return Read(); }

  Result<std::unique_ptr<IndexTransaction>> Begin(Durability) override {
    const std::string begin =
        "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(" + std::to_string(kLockClass + repository_) +
        ", 0)";
    const auto deadline = steady_clock::now() + ConnectWait();
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(Lease lease, Take());
      lease->set_patience(seconds(kTurnSeconds) + kReaderPatience);
      const Status begun = lease->Execute(begin);
      if (begun) {
        lease->set_patience(kTransactionPatience);
        return std::unique_ptr<IndexTransaction>(new PostgresTransaction(*this, std::move(lease)));
      }
      if (lease->IsAlive()) lease->ExecuteUnanswered("ROLLBACK");
      // A connection that broke before anything was done is no reason to fail.
      if (lease->IsAlive() || steady_clock::now() >= deadline) return begun.error();
    }
  }

  Result<int64_t> ChangeMark() override { return mark_.load(); }

  // Each commit is flushed before it is answered.
  Status Sync() override { return {}; }

  bool IsShared() const override { return true; }

  Status Erase() override {
    STAGEFS_ASSIGN_OR_RETURN(Lease lease, Take());
    lease->set_patience(kTransactionPatience);
    return lease->Execute("BEGIN; DROP SCHEMA " + channel_ + " CASCADE; DELETE FROM stagefs.repository WHERE number = " +
                          std::to_string(repository_) + "; COMMIT");
  }

  void GiveBack(std::unique_ptr<PostgresConnection> connection) {
    {
      auto pool = pool_.Lock();
      --pool->in_use;
      if (connection->IsAlive() && pool->idle.size() < kIdleMax) {
        pool->idle.push_back({std::move(connection), steady_clock::now()});
      }
    }
    returned_.notify_one();
  }

  const std::string& channel() const { return channel_; }
  void NoteCommit() { mark_.fetch_add(1); }

 private:
  struct Idle {
    std::unique_ptr<PostgresConnection> connection;
    steady_clock::time_point since;
  };
  struct Pool {
    std::vector<Idle> idle;
    size_t in_use = 0;
  };

  Result<std::unique_ptr<PostgresConnection>> Connect() const {
    STAGEFS_ASSIGN_OR_RETURN(auto connection, PostgresConnection::Open(url_, kReaderPatience));
    STAGEFS_RETURN_IF_ERROR(connection->Execute(
        "SET search_path = " + channel_ + "; SET lock_timeout = '" + std::to_string(kTurnSeconds) +
        "s'; SET idle_in_transaction_session_timeout = '" + std::to_string(kIdleInTransactionSeconds) +
        "s'; SET statement_timeout = '" + std::to_string(kTransactionPatience.count()) +
        // What is acknowledged is flushed, whatever the server's default is; stricter settings stay.
        "s'; SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"));
    return connection;
  }

  Result<Lease> Take() {
    const auto deadline = steady_clock::now() + ConnectWait();
    for (;;) {
      Idle idle;
      {
        auto pool = pool_.Lock();
        if (!returned_.wait_until(pool.lock(), std::max(deadline, steady_clock::now() + kRetryEvery),
                                  [&] { return pool->in_use < kConnectionsMax; })) {
          return Error(ErrorCode::kBusy, "index: all " + std::to_string(kConnectionsMax) + " connections are in use");
        }
        if (!pool->idle.empty()) {
          idle = std::move(pool->idle.back());
          pool->idle.pop_back();
        }
        ++pool->in_use;
      }
      if (idle.connection) {
        Lease lease(*this, std::move(idle.connection));
        const bool trusted = steady_clock::now() - idle.since < kTrustIdle && lease->IsThere();
        if (trusted || lease->Execute("SELECT 1")) return lease;
        continue;
      }
      auto connection = Connect();
      if (connection) return Lease(*this, std::move(*connection));
      {
        auto pool = pool_.Lock();
        --pool->in_use;
      }
      returned_.notify_one();
      const ErrorCode code = connection.error().code();
      if ((code != ErrorCode::kIo && code != ErrorCode::kBusy) || steady_clock::now() >= deadline) {
        return connection.error();
      }
      std::this_thread::sleep_for(kRetryEvery);
    }
  }

  // Any commit in the database changes which transactions are visible; that is looked at when a notification comes, and
  // twice a second, as notifications are lost while a connection is.
  void Watch() {
    std::unique_ptr<PostgresConnection> connection;
    std::string seen;
    for (;;) {
      pollfd stop{stop_.get(), POLLIN, 0};
      if (poll(&stop, 1, connection ? 0 : static_cast<int>(kPollEvery.count())) > 0) return;
      if (!connection) {
        auto opened = Connect();
        if (!opened || !(*opened)->Execute("LISTEN " + channel_)) continue;
        connection = std::move(*opened);
        mark_.fetch_add(1);
      }
      const auto snapshot = connection->Query("SELECT pg_current_snapshot()::text");
      if (const std::string now = snapshot ? PostgresConnection::FirstText(*snapshot) : seen; now != seen) {
        seen = now;
        mark_.fetch_add(1);
      }
      if (!snapshot || !connection->AwaitNotification(stop_.get(), kPollEvery)) connection.reset();
    }
  }

  // Constant after Start().
  const std::string url_;
  const int32_t repository_;
  const std::string channel_;  // Also the name of the schema.
  UniqueFd stop_;
  std::thread watcher_;
  // Synchronize themselves.
  Guarded<Pool> pool_;
  std::condition_variable returned_;
  std::atomic<int64_t> mark_ = 0;
};

Lease::~Lease() {
  if (connection_) index_->GiveBack(std::move(connection_));
}

Status PostgresTransaction::Commit() {
  STAGEFS_RETURN_IF_ERROR(lease_->Execute("SELECT pg_notify(" + Quoted(index_.channel()) + ", ''); COMMIT"));
  ended_ = true;
  index_.NoteCommit();
  return {};
}

// The repository's number, whose tables are laid out where there are none. Whoever does that is alone meanwhile.
Result<int32_t> LayOut(PostgresConnection& connection, const std::string& repository, WhereMissing missing) {
  const std::string where = " FROM stagefs.repository WHERE name = " + Quoted(repository);
  STAGEFS_RETURN_IF_ERROR(
      connection.Execute("BEGIN; SELECT pg_advisory_xact_lock(" + std::to_string(kLockClass) + ", 0)"));
  if (missing == WhereMissing::kMake) {
    STAGEFS_RETURN_IF_ERROR(connection.Execute(
        "CREATE SCHEMA IF NOT EXISTS stagefs;"
        "CREATE TABLE IF NOT EXISTS stagefs.repository (number SERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
        " schema_version INTEGER NOT NULL);"
        "INSERT INTO stagefs.repository (name, schema_version) VALUES (" + Quoted(repository) +
        ", 0) ON CONFLICT DO NOTHING"));
  } else {
    STAGEFS_ASSIGN_OR_RETURN(const auto any, connection.Query("SELECT to_regclass('stagefs.repository')::text"));
    STAGEFS_ASSIGN_OR_RETURN(const auto known, PostgresConnection::FirstText(any).empty()
                                                   ? Result<PostgresConnection::Results>(any)
                                                   : connection.Query("SELECT number" + where));
    if (PostgresConnection::FirstText(known).empty()) {
      return Error(ErrorCode::kNotFound, "Repository '" + repository + "' not found");
    }
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto number, connection.Query("SELECT number" + where));
  STAGEFS_ASSIGN_OR_RETURN(const auto version, connection.Query("SELECT schema_version" + where));
  const std::string text = PostgresConnection::FirstText(number);
  const int known = std::atoi(PostgresConnection::FirstText(version).c_str());
  if (known > kSchemaVersion) {
    return Error(ErrorCode::kUnsupported, "repository " + repository + " was made by a newer stagefs (schema " +
                                              std::to_string(known) + "; this one knows up to " +
                                              std::to_string(kSchemaVersion) + "): update stagefs");
  }
  if (known == 0) {
    STAGEFS_RETURN_IF_ERROR(connection.Execute("CREATE SCHEMA stagefs_" + text + "; SET LOCAL search_path = stagefs_" +
                                               text + ';' + kSchema +
                                               ";UPDATE stagefs.repository SET schema_version = " +
                                               std::to_string(kSchemaVersion) + " WHERE number = " + text));
  }
  STAGEFS_RETURN_IF_ERROR(connection.Execute("COMMIT"));
  return std::atoi(text.c_str());
}

}  // namespace

Result<std::unique_ptr<StagingIndex>> OpenPostgresStagingIndex(const std::string& url, const std::string& repository,
                                                               WhereMissing missing) {
  STAGEFS_ASSIGN_OR_RETURN(const auto connection, PostgresConnection::Open(url, kReaderPatience));
  STAGEFS_ASSIGN_OR_RETURN(const int32_t number, LayOut(*connection, repository, missing));
  auto index = std::make_unique<PostgresStagingIndex>(url, number);
  STAGEFS_RETURN_IF_ERROR(index->Start());
  return std::unique_ptr<StagingIndex>(std::move(index));
}

}  // namespace stagefs
