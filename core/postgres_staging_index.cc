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

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <unordered_map>
#include <thread>

#include "index_tables.h"
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

// Of advisory locks: (kLockClass + repository, workspace or one of these). "stgf" in ASCII.
constexpr int32_t kLockClass = 0x73746766;
constexpr int32_t kRepositoryLock = 0, kHistoryLock = -1;
constexpr size_t kExpectedMax = 65'536;
constexpr int64_t kNewFoldersMax = 1'024;
constexpr size_t kCopyBytes = 8 << 20;
constexpr size_t kConnectionsMax = 32;
constexpr size_t kIdleMax = 8;
// A connection that was idle for longer is asked whether it still works before it is used.
constexpr auto kTrustIdle = seconds(1);
// Of statements that may look at everything, or change it.
constexpr auto kLongPatience = seconds(600);
// How long a process that holds a turn and stopped answering (frozen, cut off) keeps others waiting.
constexpr int kIdleInTransactionSeconds = 300;
constexpr int kTurnSeconds = 60;
constexpr auto kPollEvery = milliseconds(500);
constexpr auto kRetryEvery = milliseconds(200);
constexpr int kWaitSecondsDefault = 30;
// What notifications say instead of a workspace's number.
constexpr char kAllWorkspaces[] = "all", kNoWorkspace[] = "none";

// How long a connection is tried for, and an answer waited for: $STAGEFS_INDEX_WAIT, in seconds.
seconds Patience() { return SecondsFromEnvironment("STAGEFS_INDEX_WAIT", kWaitSecondsDefault, 1); }

class PostgresStagingIndex;

// Tells of a slot that it was never added, or may have been: one in a hundred wrongly, after five million. Takes no
// memory before the first one, and 8 MiB afterwards.
class SlotFilter {
 public:
  void Add(const Slot& slot) {
    if (bits_.empty()) bits_.resize(kBits);
    for (const size_t bit : BitsOf(slot)) bits_[bit] = true;
  }
  bool MayHave(const Slot& slot) const {
    if (bits_.empty()) return false;
    const auto bits = BitsOf(slot);
    return std::all_of(bits.begin(), bits.end(), [this](size_t bit) { return bits_[bit]; });
  }

 private:
  static constexpr size_t kBits = 64 << 20;
  static std::array<size_t, 3> BitsOf(const Slot& slot) {
    const size_t name = std::hash<std::string_view>()(slot.name);
    const size_t hash = name ^ static_cast<size_t>(slot.folder) * 0x9e3779b97f4a7c15;
    return {hash % kBits, (hash >> 19) % kBits, (hash >> 38) % kBits};
  }
  std::vector<bool> bits_;
};

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

  Result<int64_t> CountDangling() override {
    lease_->set_patience(kLongPatience);
    return SqlReads::CountDangling();
  }

 protected:
  PostgresConnection& connection() override { return *lease_; }

 private:
  Lease lease_;
};

// Slots that were expected are answered from memory, and what is staged there is written together, before anything
// looks at the rows in another way.
class PostgresTransaction : public SqlTransaction<PostgresConnection> {
 public:
  using Base = SqlTransaction<PostgresConnection>;

  PostgresTransaction(PostgresStagingIndex& index, Lease lease, Turn turn)
      : index_(index), lease_(std::move(lease)), turn_(turn) {}
  ~PostgresTransaction() override {
    if (!ended_) lease_->ExecuteUnanswered("ROLLBACK");
  }
  Status Commit() override;

  Status Expect(WorkspaceId workspace, const TreeView& base, const std::vector<Slot>& slots) override;
  Result<bool> HasBaseRows(FolderId folder) override;
  Result<FolderId> NewFolder() override;
  Result<std::optional<StagedEntry>> LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                  std::string_view name) override;
  Result<std::optional<Entry>> LookUpBase(const TreeView& view, FolderId folder, std::string_view name) override;
  Result<bool> AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status EraseStaged(WorkspaceId workspace, const Slot& slot) override;
  // Many rows are renewed in one order, so that no two transactions wait for each other.
  Status RenewVersion(VersionId id, int64_t now_ns) override {
    renewed_[id] = now_ns;
    return {};
  }

  Status EraseAllStaged(WorkspaceId workspace) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::EraseAllStaged(workspace);
  }
  Status EraseWorkspace(WorkspaceId id) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::EraseWorkspace(id);
  }
  Result<int64_t> EraseEntriesOf(VersionId version) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::EraseEntriesOf(version);
  }
  Result<int64_t> MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::MoveStagedTo(commit, workspace);
  }
  Result<std::vector<Named<StagedEntry>>> ListStaged(WorkspaceId workspace, FolderId folder, std::string_view after,
                                                     size_t limit) override {
    const auto known = expected_.lower_bound(Slot{folder, std::string(after)});
    if (known != expected_.end() && known->first.folder == folder) STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::ListStaged(workspace, folder, after, limit);
  }
  Result<std::vector<StagedRow>> ScanStaged(WorkspaceId workspace, const std::optional<Slot>& after,
                                            size_t limit) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::ScanStaged(workspace, after, limit);
  }
  Result<std::vector<VersionInfo>> ListUnused(int64_t before_ns, size_t limit) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    STAGEFS_RETURN_IF_ERROR(WriteRenewed());
    return Base::ListUnused(before_ns, limit);
  }
  Result<int64_t> CountDangling() override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::CountDangling();
  }
  Result<int64_t> CountStaged(WorkspaceId workspace) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::CountStaged(workspace);
  }
  Status PutRow(size_t table, const IndexRow& row) override;
  Status EndRows() override {
    STAGEFS_RETURN_IF_ERROR(WriteCopied());
    return Base::EndRows();
  }

 protected:
  PostgresConnection& connection() override { return *lease_; }

 private:
  struct Expected {
    std::optional<StagedEntry> staged;
    std::optional<Entry> base;
    bool was_staged = false;  // There is a row in the table.
    bool changed = false;
    // A folder is also found by its number, so its row is written at once.
    bool IsFolder() const { return staged && staged->entry.child != 0; }
  };

  Expected* FindExpected(WorkspaceId workspace, FolderId folder, std::string_view name) {
    if (expected_.empty() || workspace != expected_workspace_) return nullptr;
    const auto at = expected_.find(Slot{folder, std::string(name)});
    return at == expected_.end() ? nullptr : &at->second;
  }
  // What is known of a folder since this transaction first looked.
  struct Folder {
    bool has_base_rows = true, had_staged_rows = true;
  };
  void NoteWritten(const Slot& slot) {
    if (expected_workspace_ != 0) written_.Add(slot);
  }
  Status LookAtFolders(WorkspaceId workspace, const std::vector<Slot>& slots);
  Status WriteExpected();
  Status WriteRenewed();
  Status WriteCopied();

  PostgresStagingIndex& index_;
  Lease lease_;
  const Turn turn_;
  bool ended_ = false;
  WorkspaceId expected_workspace_ = 0;
  int64_t expected_lineage_ = 0;  // Of the view whose rows are expected.
  CommitSeq expected_seq_ = 0;
  std::map<Slot, Expected> expected_;
  std::unordered_map<FolderId, Folder> folders_;
  std::vector<FolderId> new_folders_;  // Numbers that nothing has yet.
  int64_t new_folders_together_ = 1;
  SlotFilter written_;  // Slots that have a row since WriteExpected().
  std::map<VersionId, int64_t> renewed_;
  CopyRows copied_;
  size_t copied_table_ = 0;
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
    lease->set_patience(Patience());
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
    const auto deadline = steady_clock::now() + Patience();
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(Lease lease, Take());
      lease->set_patience(seconds(kTurnSeconds) + Patience());
      const Status begun = lease->Execute(begin);
      if (begun) {
        lease->set_patience(kLongPatience);
        return std::unique_ptr<IndexTransaction>(new PostgresTransaction(*this, std::move(lease), turn));
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
    STAGEFS_ASSIGN_OR_RETURN(Lease lease, Take());
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
    if (std::atoi(PostgresConnection::FirstText(left).c_str()) < static_cast<int>(kConnectionsMax)) {
      advice.emplace_back("few connections are left: a daemon may want " + std::to_string(kConnectionsMax) +
                          "; raise max_connections");
    }
    return advice;
  }

  Status Erase() override {
    STAGEFS_ASSIGN_OR_RETURN(Lease lease, Take());
    lease->set_patience(kLongPatience);
    return lease->Execute("BEGIN; DROP SCHEMA " + channel_ +
                          " CASCADE; DELETE FROM stagefs.repository WHERE number = " + std::to_string(repository_) +
                          "; COMMIT");
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
  // `what`: the number of a workspace that was changed, or one of kAllWorkspaces, kNoWorkspace.
  void Hear(const std::string& what) {
    mark_.fetch_add(1);
    auto heard = heard_.Lock();
    if (what == kAllWorkspaces) ++heard->of_all;
    else if (what != kNoWorkspace) ++heard->of[std::atoll(what.c_str())];
  }

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
    return PostgresConnection::Open(
        url_,
        "SET search_path = " + channel_ + "; SET lock_timeout = '" + std::to_string(kTurnSeconds) +
            "s'; SET idle_in_transaction_session_timeout = '" + std::to_string(kIdleInTransactionSeconds) +
            "s'; SET statement_timeout = '" + std::to_string(kLongPatience.count()) +
            // Each question has an index, and a plan that was good for a small table stays good.
            "s'; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off;"
            // What is acknowledged is flushed, whatever the server's default is; stricter settings stay.
            " SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'",
        Patience());
  }

  Result<Lease> Take() {
    const auto deadline = steady_clock::now() + Patience();
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
        const bool there = lease->IsThere();
        if (there && (steady_clock::now() - idle.since < kTrustIdle || lease->Execute("SELECT 1"))) return lease;
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

  // Constant after Start().
  const std::string url_;
  const int32_t repository_;
  const std::string channel_;  // Also the name of the schema.
  UniqueFd stop_;
  std::thread watcher_;
  // Synchronize themselves.
  Guarded<Pool> pool_;
  std::condition_variable returned_;
  struct Heard {
    bool listened = false;
    int64_t of_all = 0;
    std::unordered_map<WorkspaceId, int64_t> of;
  };
  Guarded<Heard> heard_;
  std::atomic<int64_t> mark_ = 0;
};

Lease::~Lease() {
  if (connection_) index_->GiveBack(std::move(connection_));
}

Status PostgresTransaction::LookAtFolders(WorkspaceId workspace, const std::vector<Slot>& slots) {
  std::vector<int64_t> unknown;
  for (const Slot& slot : slots) {
    if (folders_.try_emplace(slot.folder).second) unknown.push_back(slot.folder);
  }
  if (unknown.empty()) return {};
  const std::string array = PostgresConnection::ArrayOf(unknown);
  STAGEFS_ASSIGN_OR_RETURN(
      auto query, lease_->Prepare("SELECT f, EXISTS (SELECT 1 FROM tree_entry WHERE folder = f), EXISTS (SELECT 1 FROM"
                                  " staged_entry WHERE workspace = ?1 AND folder = f)"
                                  " FROM unnest(CAST(?2 AS BIGINT[])) f"));
  query.BindInt(1, workspace).BindBlob(2, array);
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return {};
    folders_[query.Int(0)] = {query.Int(1) != 0, query.Int(2) != 0};
  }
}

// Most often the names are new, and their folders too: then there is nothing to ask.
Status PostgresTransaction::Expect(WorkspaceId workspace, const TreeView& base, const std::vector<Slot>& slots) {
  const TreeView::Line& newest = base.lines.front();
  if (workspace != expected_workspace_ || newest.lineage != expected_lineage_ || newest.last != expected_seq_ ||
      expected_.size() + slots.size() > kExpectedMax) {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
  }
  if (workspace != expected_workspace_) folders_.clear();
  expected_workspace_ = workspace;
  expected_lineage_ = newest.lineage;
  expected_seq_ = newest.last;
  STAGEFS_RETURN_IF_ERROR(LookAtFolders(workspace, slots));
  std::vector<const Slot*> perhaps_staged, perhaps_in_base;
  for (const Slot& slot : slots) {
    const auto [at, is_new] = expected_.try_emplace(slot);
    if (!is_new) continue;
    const Folder& folder = folders_[slot.folder];
    if (folder.had_staged_rows || written_.MayHave(slot)) perhaps_staged.push_back(&at->first);
    if (folder.has_base_rows) perhaps_in_base.push_back(&at->first);
  }
  if (!perhaps_staged.empty()) {
    STAGEFS_ASSIGN_OR_RETURN(const auto rows, ListStagedAt(workspace, perhaps_staged));
    for (const auto& [slot, staged] : rows) {
      Expected& known = expected_[slot];
      known.staged = staged;
      known.was_staged = true;
    }
  }
  if (!perhaps_in_base.empty()) {
    STAGEFS_ASSIGN_OR_RETURN(const auto rows, ListBaseAt(base, perhaps_in_base));
    for (const auto& [slot, entry] : rows) expected_[slot].base = entry;
  }
  return {};
}

Result<bool> PostgresTransaction::HasBaseRows(FolderId folder) {
  if (const auto known = folders_.find(folder); known != folders_.end()) return known->second.has_base_rows;
  return Base::HasBaseRows(folder);
}

Result<FolderId> PostgresTransaction::NewFolder() {
  if (new_folders_.empty()) {
    // Those left over are never used: there are enough numbers.
    STAGEFS_ASSIGN_OR_RETURN(auto query, lease_->Prepare("SELECT nextval(pg_get_serial_sequence('folder', 'id'))"
                                                         " FROM generate_series(1, CAST(?1 AS BIGINT))"));
    query.BindInt(1, new_folders_together_);
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(const bool more, query.Step());
      if (!more) break;
      new_folders_.push_back(query.Int(0));
    }
    std::reverse(new_folders_.begin(), new_folders_.end());
    new_folders_together_ = std::min(2 * new_folders_together_, kNewFoldersMax);
  }
  const FolderId folder = new_folders_.back();
  new_folders_.pop_back();
  folders_[folder] = {false, false};
  return folder;
}

Result<std::optional<StagedEntry>> PostgresTransaction::LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                                     std::string_view name) {
  if (const Expected* known = FindExpected(workspace, folder, name)) return known->staged;
  return Base::LookUpStaged(workspace, folder, name);
}

Result<std::optional<Entry>> PostgresTransaction::LookUpBase(const TreeView& view, FolderId folder,
                                                             std::string_view name) {
  if (view.lines.front().lineage == expected_lineage_ && view.lines.front().last == expected_seq_) {
    if (const Expected* known = FindExpected(expected_workspace_, folder, name)) return known->base;
  }
  return Base::LookUpBase(view, folder, name);
}

Result<bool> PostgresTransaction::AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) {
  Expected* known = FindExpected(workspace, slot.folder, slot.name);
  if (known == nullptr) {
    NoteWritten(slot);
    return Base::AddStaged(workspace, slot, staged);
  }
  if (known->staged) return false;
  known->staged = staged;
  known->changed = true;
  return true;
}

Status PostgresTransaction::PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) {
  Expected* known = FindExpected(workspace, slot.folder, slot.name);
  if (known == nullptr || staged.entry.child != 0 || known->IsFolder()) {
    if (known != nullptr) *known = {staged, known->base, /*was_staged=*/true, /*changed=*/false};
    NoteWritten(slot);
    return Base::PutStaged(workspace, slot, staged);
  }
  known->staged = staged;
  known->changed = true;
  return {};
}

Status PostgresTransaction::EraseStaged(WorkspaceId workspace, const Slot& slot) {
  Expected* known = FindExpected(workspace, slot.folder, slot.name);
  if (known == nullptr || known->IsFolder()) {
    if (known != nullptr) *known = {std::nullopt, known->base, /*was_staged=*/false, /*changed=*/false};
    return Base::EraseStaged(workspace, slot);
  }
  known->staged.reset();
  known->changed = true;
  return {};
}

// Nobody else can add rows there: what is replaced is deleted first, all at once, and new rows are copied in.
Status PostgresTransaction::WriteExpected() {
  CopyRows rows;
  std::vector<const Slot*> replaced;
  for (const auto& [slot, known] : expected_) {
    if (!known.changed) continue;
    if (known.was_staged) replaced.push_back(&slot);
    if (!known.staged) continue;
    NoteWritten(slot);
    const Entry& entry = known.staged->entry;
    rows.BeginRow(12);
    rows.AddInt(expected_workspace_);
    rows.AddInt(slot.folder);
    rows.AddBlob(slot.name);
    rows.AddInt(static_cast<int64_t>(entry.kind));
    entry.version != 0 ? rows.AddInt(entry.version) : rows.AddNull();
    rows.AddNull();  // A child: folders are written at once.
    rows.AddInt(static_cast<int64_t>(entry.size_bytes));
    rows.AddInt(entry.executable);
    rows.AddInt(entry.mtime_ns);
    rows.AddInt(static_cast<int64_t>(known.staged->state));
    rows.AddInt(entry.scratch);
    entry.target.empty() ? rows.AddNull() : rows.AddBlob(entry.target);
  }
  const auto expected = std::exchange(expected_, {});  // What `replaced` points into.
  if (!replaced.empty()) STAGEFS_RETURN_IF_ERROR(EraseStagedAt(expected_workspace_, replaced));
  if (rows.rows() == 0) return {};
  return lease_->Copy("COPY staged_entry (workspace, folder, name, kind, version, child, size, executable, mtime_ns,"
                      " state, scratch, target) FROM STDIN (FORMAT binary)",
                      rows);
}

Status PostgresTransaction::PutRow(size_t table, const IndexRow& row) {
  if (table != copied_table_ || copied_.bytes().size() > kCopyBytes) STAGEFS_RETURN_IF_ERROR(WriteCopied());
  copied_table_ = table;
  copied_.BeginRow(static_cast<int>(row.size()));
  for (const IndexValue& value : row) {
    if (const auto* number = std::get_if<int64_t>(&value)) copied_.AddInt(*number);
    else if (const auto* bytes = std::get_if<std::string>(&value)) copied_.AddBlob(*bytes);
    else copied_.AddNull();
  }
  return {};
}

Status PostgresTransaction::WriteCopied() {
  if (copied_.rows() == 0) return {};
  STAGEFS_RETURN_IF_ERROR(lease_->Copy(IndexTable::At(copied_table_).copy.c_str(), copied_));
  copied_.Clear();
  return {};
}

Status PostgresTransaction::WriteRenewed() {
  if (renewed_.empty()) return {};
  std::vector<int64_t> ids, times;
  for (const auto& [id, now_ns] : std::exchange(renewed_, {})) {
    ids.push_back(id);
    times.push_back(now_ns);
  }
  const std::string id_array = PostgresConnection::ArrayOf(ids), time_array = PostgresConnection::ArrayOf(times);
  STAGEFS_ASSIGN_OR_RETURN(
      auto lock, lease_->Prepare("SELECT id FROM version WHERE id = ANY(?1) ORDER BY id FOR NO KEY UPDATE"));
  lock.BindBlob(1, id_array);
  STAGEFS_RETURN_IF_ERROR(lock.Step().WithoutValue());
  STAGEFS_ASSIGN_OR_RETURN(
      auto update,
      lease_->Prepare("UPDATE version SET renewed_ns = r.now_ns"
                      " FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BIGINT[])) AS r (id, now_ns)"
                      " WHERE version.id = r.id"));
  update.BindBlob(1, id_array).BindBlob(2, time_array);
  return update.Run();
}

Status PostgresTransaction::Commit() {
  STAGEFS_RETURN_IF_ERROR(WriteExpected());
  STAGEFS_RETURN_IF_ERROR(WriteRenewed());
  const std::string what = turn_.workspace != 0                 ? std::to_string(turn_.workspace)
                           : turn_.of == Turn::Of::kNothingElse ? kNoWorkspace
                                                                : kAllWorkspaces;
  STAGEFS_RETURN_IF_ERROR(
      lease_->ExecuteTogether({"SELECT pg_notify('" + index_.channel() + "', '" + what + "')", "COMMIT"}));
  ended_ = true;
  index_.Hear(what);
  return {};
}

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
  STAGEFS_ASSIGN_OR_RETURN(const auto connection, PostgresConnection::Open(url, "", Patience()));
  STAGEFS_ASSIGN_OR_RETURN(const int32_t number, LayOut(*connection, repository, missing));
  auto index = std::make_unique<PostgresStagingIndex>(url, number);
  STAGEFS_RETURN_IF_ERROR(index->Start());
  return std::unique_ptr<StagingIndex>(std::move(index));
}

}  // namespace stagefs
