// StagingIndex on PostgreSQL: many machines, one index.
//
// A database holds any number of repositories: stagefs.repository lists them, and each has its tables in a schema of
// its own. Transactions take turns by advisory locks, which live as long as the transaction: all share the repository's
// lock, and hold their workspace's, the history's or both; only what removes versions has the repository's to itself.
// So no table is ever locked, workspaces do not wait for each other, and whoever has its turn reads what all earlier
// turns left.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <unordered_map>

#include "index/index_tables.h"
#include "postgres_transaction.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kSchema[] =
#include "postgres_schema_sql.inc"
    ;

// Of advisory locks: (kLockClass + repository, workspace or one of these). "stgf" in ASCII.
constexpr int32_t kLockClass = 0x73746766;
constexpr int32_t kRepositoryLock = 0, kHistoryLock = -1;
constexpr auto kPollEvery = milliseconds(500);
// What notifications say instead of a workspace's number.
constexpr char kAllWorkspaces[] = "all", kNoWorkspace[] = "none";

class PostgresStagingIndex : public StagingIndex {
 public:
  PostgresStagingIndex(std::string url, int32_t repository)
      : repository_(repository),
        channel_("stagefs_" + std::to_string(repository)),
        pool_(std::move(url), channel_) {}

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
    STAGEFS_ASSIGN_OR_RETURN(PostgresLease lease, pool_.Take());
    lease->set_patience(IndexPatience());
    return std::unique_ptr<IndexReader>(new PostgresReader(std::move(lease)));
  }

  // Its own moment is worth the round trip that it shares with the first question.
  Result<std::unique_ptr<IndexReader>> Glance() override { return Read(); }

  Result<std::unique_ptr<IndexTransaction>> Begin(Durability, Turn turn) override {
    const auto lock = [this](const char* function, int32_t object) {
      return std::string("; SELECT ") + function + '(' + std::to_string(kLockClass + repository_) + ", " +
             std::to_string(object) + ')';
    };
    // Always in this order, so that no two wait for each other.
    std::string begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
    begin += turn.of == Turn::Of::kEverything ? lock("pg_advisory_xact_lock", kRepositoryLock)
                                              : lock("pg_advisory_xact_lock_shared", kRepositoryLock);
    if (turn.workspace != 0) begin += lock("pg_advisory_xact_lock", static_cast<int32_t>(turn.workspace));
    if (turn.of == Turn::Of::kHistory || turn.of == Turn::Of::kWorkspaceAndHistory) {
      begin += lock("pg_advisory_xact_lock", kHistoryLock);
    }
    const std::string what = turn.workspace != 0                 ? std::to_string(turn.workspace)
                             : turn.of == Turn::Of::kNothingElse ? kNoWorkspace
                                                                 : kAllWorkspaces;
    const auto deadline = steady_clock::now() + IndexPatience();
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(PostgresLease lease, pool_.Take());
      lease->set_patience(seconds(kTurnSeconds) + IndexPatience());
      const Status begun = lease->Execute(begin);
      if (begun) {
        lease->set_patience(kLongPatience);
        return std::unique_ptr<IndexTransaction>(new PostgresTransaction(
            std::move(lease), "SELECT pg_notify('" + channel_ + "', '" + what + "')", [this, what] { Hear(what); }));
      }
      if (lease->IsAlive()) lease->ExecuteUnanswered("ROLLBACK");
      // A connection that broke before anything was done is no reason to fail.
      if (lease->IsAlive() || steady_clock::now() >= deadline) return begun.error();
    }
  }

  Result<int64_t> ChangeMark() override { return mark_.load(); }

  std::optional<int64_t> HeardMark(WorkspaceId workspace) override {
    auto heard = heard_.Lock();
    if (!heard->listened) return std::nullopt;
    return heard->of_all + heard->of[workspace];
  }

  // Each commit is flushed before it is answered.
  Status Sync() override { return {}; }

  bool IsShared() const override { return true; }

  Result<std::vector<std::string>> Advice() override {
    std::vector<std::string> advice;
    STAGEFS_ASSIGN_OR_RETURN(PostgresLease lease, pool_.Take());
    for (const auto& [setting, bad, text] :
         {std::tuple("fsync", "off", "fsync is off: what was acknowledged may be lost with the power; turn it on"),
          std::tuple("full_page_writes", "off", "full_page_writes is off: a power cut may damage it; turn it on"),
          std::tuple("transaction_read_only", "on", "it is a read-only standby: name the primary in the URL, or "
                                                    "target_session_attrs=read-write with both hosts")}) {
      STAGEFS_ASSIGN_OR_RETURN(const auto value, lease->Query(std::string("SHOW ") + setting));
      if (PostgresConnection::FirstText(value) == bad) advice.emplace_back(text);
    }
    STAGEFS_ASSIGN_OR_RETURN(
        const auto left,
        lease->Query("SELECT current_setting('max_connections')::int - count(*) FROM pg_stat_activity"));
    constexpr size_t kWanted = PostgresPool::kConnectionsMax;
    if (std::atoi(PostgresConnection::FirstText(left).c_str()) < static_cast<int>(kWanted)) {
      advice.emplace_back("few connections are left: a daemon may want " + std::to_string(kWanted) +
                          "; raise max_connections");
    }
    return advice;
  }

  Status Erase() override {
    STAGEFS_ASSIGN_OR_RETURN(PostgresLease lease, pool_.Take());
    lease->set_patience(kLongPatience);
    return lease->Execute("BEGIN; DROP SCHEMA " + channel_ +
                          " CASCADE; DELETE FROM stagefs.repository WHERE number = " + std::to_string(repository_) +
                          "; COMMIT");
  }

 private:
  // Any commit in the database changes which transactions are visible; that is looked at when a notification comes, and
  // twice a second, as notifications are lost while a connection is.
  void Watch() {
    std::unique_ptr<PostgresConnection> connection;
    std::string seen;
    for (;;) {
      pollfd stop{stop_.get(), POLLIN, 0};
      if (poll(&stop, 1, connection ? 0 : static_cast<int>(kPollEvery.count())) > 0) return;
      if (!connection) {
        auto opened = pool_.Connect();
        if (!opened || !(*opened)->Execute("LISTEN " + channel_)) continue;
        connection = std::move(*opened);
        Hear(kAllWorkspaces);
        heard_.Lock()->listened = true;
      }
      const auto snapshot = connection->Query("SELECT pg_current_snapshot()::text");
      if (const std::string now = snapshot ? PostgresConnection::FirstText(*snapshot) : seen; now != seen) {
        seen = now;
        mark_.fetch_add(1);
      }
      const auto said = snapshot ? connection->AwaitNotifications(stop_.get(), kPollEvery) : snapshot.error();
      if (!said) connection.reset();
      for (const std::string& what : said ? *said : std::vector<std::string>()) Hear(what);
    }
  }

  // `what`: the number of a workspace that was changed, or one of kAllWorkspaces, kNoWorkspace.
  void Hear(const std::string& what) {
    mark_.fetch_add(1);
    auto heard = heard_.Lock();
    if (what == kAllWorkspaces) ++heard->of_all;
    else if (what != kNoWorkspace) ++heard->of[std::atoll(what.c_str())];
  }

  // Constant after Start().
  const int32_t repository_;
  const std::string channel_;  // Also the name of the schema.
  UniqueFd stop_;
  std::thread watcher_;
  // Synchronize themselves.
  PostgresPool pool_;
  struct Heard {
    bool listened = false;
    int64_t of_all = 0;
    std::unordered_map<WorkspaceId, int64_t> of;
  };
  Guarded<Heard> heard_;
  std::atomic<int64_t> mark_ = 0;
};

// The repository's number, whose tables are laid out where there are none. Whoever does that is alone meanwhile.
Result<int32_t> LayOut(PostgresConnection& connection, const std::string& repository, WhereMissing missing) {
  const Error not_found(ErrorCode::kNotFound, "Repository '" + repository + "' not found");
  if (missing == WhereMissing::kMake) {
    STAGEFS_RETURN_IF_ERROR(connection.Execute(
        "BEGIN; SELECT pg_advisory_xact_lock(" + std::to_string(kLockClass) + ", 0);"
        "CREATE SCHEMA IF NOT EXISTS stagefs;"
        "CREATE TABLE IF NOT EXISTS stagefs.repository (number SERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
        " schema_version INTEGER NOT NULL);"
        "INSERT INTO stagefs.repository (name, schema_version) VALUES (" + SqlText(repository) +
        ", 0) ON CONFLICT DO NOTHING"));
  } else {
    STAGEFS_ASSIGN_OR_RETURN(const auto any, connection.Query("SELECT to_regclass('stagefs.repository')::text"));
    if (PostgresConnection::FirstText(any).empty()) return not_found;
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto rows,
                           connection.Query("SELECT number || ' ' || schema_version FROM stagefs.repository"
                                            " WHERE name = " + SqlText(repository)));
  const std::string row = PostgresConnection::FirstText(rows);
  if (row.empty()) return not_found;
  const std::string number = row.substr(0, row.find(' '));
  const int known = std::atoi(row.c_str() + number.size());
  if (known > kSchemaVersion) {
    return Error(ErrorCode::kUnsupported, "repository " + repository + " was made by a newer stagefs (schema " +
                                              std::to_string(known) + "; this one knows up to " +
                                              std::to_string(kSchemaVersion) + "): update stagefs");
  }
  if (known == 0) {
    STAGEFS_RETURN_IF_ERROR(connection.Execute(
        "CREATE SCHEMA stagefs_" + number + "; SET LOCAL search_path = stagefs_" + number + ';' + kSchema +
        ";UPDATE stagefs.repository SET schema_version = " + std::to_string(kSchemaVersion) +
        " WHERE number = " + number));
  }
  if (missing == WhereMissing::kMake) STAGEFS_RETURN_IF_ERROR(connection.Execute("COMMIT"));
  return std::atoi(number.c_str());
}

}  // namespace

Result<std::unique_ptr<StagingIndex>> OpenPostgresStagingIndex(const std::string& url, const std::string& repository,
                                                               WhereMissing missing) {
  STAGEFS_ASSIGN_OR_RETURN(const auto connection, PostgresConnection::Open(url, "", IndexPatience()));
  STAGEFS_ASSIGN_OR_RETURN(const int32_t number, LayOut(*connection, repository, missing));
  auto index = std::make_unique<PostgresStagingIndex>(url, number);
  STAGEFS_RETURN_IF_ERROR(index->Start());
  return std::unique_ptr<StagingIndex>(std::move(index));
}

}  // namespace stagefs
