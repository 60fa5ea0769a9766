#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <thread>

#include "stagefs/posix_env.h"
#include "sqlite_index_reads.h"
#include "stagefs/guarded.h"

namespace stagefs {
namespace {

constexpr char kSchema[] =
#include "schema_sql.inc"
    ;

// "stgf": tells an index from any other SQLite database (file(1) shows it).
constexpr int kApplicationId = 0x73746766;
constexpr int kWriterCacheKib = 32 * 1024;
constexpr int kReaderCacheKib = 8 * 1024;
constexpr size_t kIdleReadersMax = 4;

class SqliteStagingIndex;

class SqliteReader : public SqliteReads<IndexReader> {
 public:
  SqliteReader(SqliteStagingIndex& index, std::unique_ptr<Connection> connection)
      : index_(index), connection_(std::move(connection)) {}
  ~SqliteReader() override;

 protected:
  Connection& connection() override { return *connection_; }

 private:
  SqliteStagingIndex& index_;
  std::unique_ptr<Connection> connection_;
};

// Reads through the writing connection, whose pages nobody else's commit made stale.
class SqliteGlance : public SqliteReads<IndexReader> {
 public:
  SqliteGlance(std::unique_lock<std::mutex> turn, Connection& connection)
      : turn_(std::move(turn)), connection_(connection) {}
  ~SqliteGlance() override { (void)connection_.Run("COMMIT"); }

 protected:
  Connection& connection() override { return connection_; }

 private:
  std::unique_lock<std::mutex> turn_;
  Connection& connection_;
};

class SqliteTransaction : public SqliteReads<IndexTransaction> {
 public:
  SqliteTransaction(SqliteStagingIndex& index, std::unique_lock<std::mutex> turn, Connection& connection,
                    Durability durability)
      : index_(index), turn_(std::move(turn)), connection_(connection), durability_(durability) {}
  ~SqliteTransaction() override;

  Status Commit() override;

  Result<VersionId> AddVersion(const VersionInfo& version) override;
  Status RenewVersion(VersionId id, int64_t now_ns) override;
  Status SetSynced(VersionId id) override;
  Status EraseVersion(VersionId id) override;

  Status PutBranch(const BranchInfo& branch) override;
  Status EraseBranch(const std::string& name) override;
  Result<CommitInfo> AddCommit(CommitInfo commit) override;
  Status PutTreeEntry(const CommitInfo& commit, const Slot& slot, const Entry& entry) override;
  Result<int64_t> MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) override;

  Result<FolderId> NewFolder() override;
  Result<WorkspaceInfo> AddWorkspace(const WorkspaceInfo& workspace) override;
  Status PutWorkspace(const WorkspaceInfo& workspace) override;
  Status EraseWorkspace(WorkspaceId id) override;

  Result<bool> AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status EraseStaged(WorkspaceId workspace, const Slot& slot) override;
  Status EraseAllStaged(WorkspaceId workspace) override;
  Status PutUnsyncedEntry(const UnsyncedEntry& entry) override;
  Status NoteChange(WorkspaceId workspace, FolderId folder, WriterId writer) override;
  Result<int64_t> EraseEntriesOf(VersionId version) override;

  Status PutInbox(WorkspaceId workspace, const InboxFile& file) override;
  Status EraseInbox(WorkspaceId workspace, std::string_view directory, std::string_view name) override;
  Status PutWorkingCopy(const WorkingCopyRow& row) override;
  Status EraseWorkingCopy(const std::string& file) override;
  Status PutMount(const MountRow& row) override;
  Status EraseMount(const std::string& mountpoint) override;
  Status PutMeta(const std::string& key, const std::string& value) override;
  Status EraseMeta(const std::string& key) override;

 protected:
  Connection& connection() override { return connection_; }

 private:
  // Runs `sql` with what `bind` binds.
  template <class Bind>
  Status Run(const char* sql, Bind bind) {
    STAGEFS_ASSIGN_OR_RETURN(Statement statement, connection_.Prepare(sql));
    bind(statement);
    return statement.Run();
  }

  SqliteStagingIndex& index_;
  std::unique_lock<std::mutex> turn_;  // The writer connection is ours while this is held.
  Connection& connection_;
  const Durability durability_;
  bool committed_ = false;
};

class SqliteStagingIndex : public StagingIndex {
 public:
  SqliteStagingIndex(std::string path, std::unique_ptr<Connection> writer,
                     std::unique_ptr<Connection> watcher, UniqueFd log)
      : path_(std::move(path)),
        log_(std::move(log)),
        writer_(std::move(writer)),
        watcher_(Guarded<std::unique_ptr<Connection>>(std::move(watcher))) {}

  Result<std::unique_ptr<IndexReader>> Read() override {
    std::unique_ptr<Connection> connection;
    if (auto idle = idle_readers_.Lock(); !idle->empty()) {
      connection = std::move(idle->back());
      idle->pop_back();
    }
    if (!connection) {
      STAGEFS_ASSIGN_OR_RETURN(connection,
                               Connection::Open(path_, {.read_only = true, .cache_kib = kReaderCacheKib}));
    }
    STAGEFS_RETURN_IF_ERROR(connection->Run("BEGIN"));
    return std::unique_ptr<IndexReader>(new SqliteReader(*this, std::move(connection)));
  }

  Result<std::unique_ptr<IndexReader>> Glance() override {
    std::unique_lock<std::mutex> turn(writer_turn_, std::try_to_lock);
    if (!turn) return Read();
    STAGEFS_RETURN_IF_ERROR(writer_->Run("BEGIN"));
    return std::unique_ptr<IndexReader>(new SqliteGlance(std::move(turn), *writer_));
  }

  Result<std::unique_ptr<IndexTransaction>> Begin(Durability durability) override {
    std::unique_lock<std::mutex> turn(writer_turn_);
    STAGEFS_RETURN_IF_ERROR(writer_->Run("BEGIN IMMEDIATE"));
    return std::unique_ptr<IndexTransaction>(
        new SqliteTransaction(*this, std::move(turn), *writer_, durability));
  }

  Result<int64_t> ChangeMark() override {
    auto watcher = watcher_.Lock();
    STAGEFS_ASSIGN_OR_RETURN(Statement query, (*watcher)->Prepare("PRAGMA data_version"));
    STAGEFS_RETURN_IF_ERROR(query.Step().WithoutValue());
    return query.Int(0);
  }

  // The log holds every commit that is not in the database file yet, and SQLite syncs it before it copies
  // anything from it. So syncing the log is what "synchronous = FULL" would do at each commit, and one sync
  // serves every thread that committed before it began.
  Status Sync() override { return SyncFd(log_.get(), path_ + "-wal"); }

  void TakeBack(std::unique_ptr<Connection> connection) {
    if (!connection->Run("COMMIT")) return;
    auto idle = idle_readers_.Lock();
    if (idle->size() < kIdleReadersMax) idle->push_back(std::move(connection));
  }

 private:
  // Constant after construction.
  const std::string path_;
  const UniqueFd log_;
  // Guarded by writer_turn_, which a transaction holds while it lives.
  std::mutex writer_turn_;
  const std::unique_ptr<Connection> writer_;
  // Synchronize themselves.
  Guarded<std::unique_ptr<Connection>> watcher_;
  Guarded<std::vector<std::unique_ptr<Connection>>> idle_readers_;
};

SqliteReader::~SqliteReader() { index_.TakeBack(std::move(connection_)); }

SqliteTransaction::~SqliteTransaction() {
  if (!committed_) (void)connection_.Run("ROLLBACK");
}

Status SqliteTransaction::Commit() {
  STAGEFS_RETURN_IF_ERROR(connection_.Run("COMMIT"));
  committed_ = true;
  turn_.unlock();  // The next transaction runs while this one is synced.
  if (durability_ == Durability::kPowerLoss) return index_.Sync();
  return {};
}

Result<VersionId> SqliteTransaction::AddVersion(const VersionInfo& version) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> same_xxh3,
                           FindVersion(HashRef(version.content.xxh3)));
  if (same_xxh3) {
    return Error(ErrorCode::kConflict,
                 "content " + ToHex(version.content.sha256) + " has the XXH3 of another version, " +
                     ToHex(same_xxh3->content.sha256) + ": it cannot be told apart by Oxen clients");
  }
  STAGEFS_RETURN_IF_ERROR(
      Run("INSERT INTO version (sha256, xxh3, size, stored_ns, renewed_ns, synced)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
          [&](Statement& s) {
            s.BindBlob(1, BytesOf(version.content.sha256)).BindBlob(2, BytesOf(version.content.xxh3));
            s.BindInt(3, static_cast<int64_t>(version.size_bytes)).BindInt(4, version.stored_ns);
            s.BindInt(5, version.renewed_ns).BindInt(6, version.synced);
          }));
  return connection_.last_insert_id();
}

Status SqliteTransaction::RenewVersion(VersionId id, int64_t now_ns) {
  return Run("UPDATE version SET renewed_ns = ?2 WHERE id = ?1",
             [&](Statement& s) { s.BindInt(1, id).BindInt(2, now_ns); });
}

Status SqliteTransaction::SetSynced(VersionId id) {
  STAGEFS_RETURN_IF_ERROR(
      Run("UPDATE version SET synced = 1 WHERE id = ?1", [&](Statement& s) { s.BindInt(1, id); }));
  return Run("DELETE FROM unsynced_entry WHERE version = ?1", [&](Statement& s) { s.BindInt(1, id); });
}

Status SqliteTransaction::EraseVersion(VersionId id) {
  return Run("DELETE FROM version WHERE id = ?1", [&](Statement& s) { s.BindInt(1, id); });
}

Status SqliteTransaction::PutBranch(const BranchInfo& branch) {
  return Run("INSERT OR REPLACE INTO branch (name, head) VALUES (?1, ?2)",
             [&](Statement& s) { s.BindText(1, branch.name).BindInt(2, branch.head); });
}

Status SqliteTransaction::EraseBranch(const std::string& name) {
  return Run("DELETE FROM branch WHERE name = ?1", [&](Statement& s) { s.BindText(1, name); });
}

Result<CommitInfo> SqliteTransaction::AddCommit(CommitInfo commit) {
  std::optional<CommitInfo> parent;
  bool forks = true;
  if (commit.parent != 0) {
    STAGEFS_ASSIGN_OR_RETURN(parent, GetCommit(commit.parent));
    if (!parent) return Error(ErrorCode::kNotFound, "the parent commit is gone");
    STAGEFS_ASSIGN_OR_RETURN(Statement later,
                             connection_.Prepare("SELECT 1 FROM commit_log WHERE lineage = ?1 AND seq > ?2"));
    later.BindInt(1, parent->lineage).BindInt(2, parent->seq);
    STAGEFS_ASSIGN_OR_RETURN(forks, later.Step());
  }
  if (forks) {
    STAGEFS_RETURN_IF_ERROR(Run("INSERT INTO lineage (parent, fork_seq) VALUES (?1, ?2)", [&](Statement& s) {
      if (parent) s.BindInt(1, parent->lineage).BindInt(2, parent->seq);
    }));
    commit.lineage = connection_.last_insert_id();
  } else {
    commit.lineage = parent->lineage;
  }
  STAGEFS_RETURN_IF_ERROR(
      Run("INSERT INTO commit_log (id, lineage, parent, merged, message, author, email, time_ns)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
          [&](Statement& s) {
            s.BindText(1, commit.id).BindInt(2, commit.lineage);
            if (commit.parent != 0) s.BindInt(3, commit.parent);
            if (commit.merged != 0) s.BindInt(4, commit.merged);
            s.BindText(5, commit.message).BindText(6, commit.author).BindText(7, commit.email);
            s.BindInt(8, commit.time_ns);
          }));
  commit.seq = connection_.last_insert_id();
  return commit;
}

void BindEntry(Statement& s, int first, const Entry& entry) {
  s.BindInt(first, static_cast<int>(entry.kind));
  if (entry.version != 0) s.BindInt(first + 1, entry.version);
  if (entry.child != 0) s.BindInt(first + 2, entry.child);
  s.BindInt(first + 3, static_cast<int64_t>(entry.size_bytes)).BindInt(first + 4, entry.executable);
  s.BindInt(first + 5, entry.mtime_ns);
}

void BindStaged(Statement& s, int first, const StagedEntry& staged) {
  BindEntry(s, first, staged.entry);
  s.BindInt(first + kEntryColumns, static_cast<int>(staged.state));
  s.BindInt(first + kEntryColumns + 1, staged.entry.scratch);
  if (!staged.entry.target.empty()) s.BindBlob(first + kEntryColumns + 2, staged.entry.target);
}

Status SqliteTransaction::PutTreeEntry(const CommitInfo& commit, const Slot& slot, const Entry& entry) {
  return Run(
      "INSERT OR REPLACE INTO tree_entry (folder, name, seq, lineage, kind, version, child, size,"
      " executable, mtime_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
      [&](Statement& s) {
        s.BindInt(1, slot.folder).BindBlob(2, slot.name);
        s.BindInt(3, commit.seq).BindInt(4, commit.lineage);
        BindEntry(s, 5, entry);
      });
}

Result<int64_t> SqliteTransaction::MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) {
  STAGEFS_RETURN_IF_ERROR(
      Run("INSERT OR REPLACE INTO tree_entry (folder, name, seq, lineage, kind, version, child, size,"
          " executable, mtime_ns) SELECT folder, name, ?2, ?3, iif(state = 3, 0, kind), iif(state = 3, NULL, version),"
          " iif(state = 3, NULL, child), size, executable, mtime_ns FROM staged_entry"
          " WHERE workspace = ?1 AND state <> 0",
          [&](Statement& s) { s.BindInt(1, workspace).BindInt(2, commit.seq).BindInt(3, commit.lineage); }));
  const int64_t count = connection_.changes();
  const auto bind = [&](Statement& s) { s.BindInt(1, workspace); };
  STAGEFS_RETURN_IF_ERROR(
      Run("DELETE FROM staged_entry WHERE workspace = ?1 AND state <> 0 AND (state <> 3 OR kind = 0)", bind));
  STAGEFS_RETURN_IF_ERROR(Run("UPDATE staged_entry SET state = 0 WHERE workspace = ?1 AND state = 3", bind));
  return count;
}

Result<FolderId> SqliteTransaction::NewFolder() {
  STAGEFS_RETURN_IF_ERROR(Run("INSERT INTO folder DEFAULT VALUES", [](Statement&) {}));
  const FolderId id = connection_.last_insert_id();
  // AUTOINCREMENT remembers the largest id ever given; the row itself is not needed.
  STAGEFS_RETURN_IF_ERROR(
      Run("DELETE FROM folder WHERE id = ?1 AND id > 1", [&](Statement& s) { s.BindInt(1, id); }));
  return id;
}

Result<WorkspaceInfo> SqliteTransaction::AddWorkspace(const WorkspaceInfo& workspace) {
  STAGEFS_RETURN_IF_ERROR(
      Run("INSERT INTO workspace (uid, name, branch, base, change_seq, created_ns)"
          " VALUES (?1, ?2, ?3, ?4, 0, ?5)",
          [&](Statement& s) {
            s.BindText(1, workspace.uid);
            if (workspace.name) s.BindText(2, *workspace.name);
            s.BindText(3, workspace.branch).BindInt(4, workspace.base).BindInt(5, workspace.created_ns);
          }));
  WorkspaceInfo added = workspace;
  added.id = connection_.last_insert_id();
  return added;
}

Status SqliteTransaction::PutWorkspace(const WorkspaceInfo& workspace) {
  return Run("UPDATE workspace SET branch = ?2, base = ?3, report = ?4 WHERE id = ?1", [&](Statement& s) {
    s.BindInt(1, workspace.id).BindText(2, workspace.branch).BindInt(3, workspace.base);
    if (workspace.report) s.BindInt(4, *workspace.report);
  });
}

Status SqliteTransaction::EraseWorkspace(WorkspaceId id) {
  for (const char* sql :
       {"DELETE FROM staged_entry WHERE workspace = ?1", "DELETE FROM unsynced_entry WHERE workspace = ?1",
        "DELETE FROM folder_change WHERE workspace = ?1", "DELETE FROM inbox_file WHERE workspace = ?1",
        "DELETE FROM working_copy WHERE workspace = ?1", "DELETE FROM workspace WHERE id = ?1"}) {
    STAGEFS_RETURN_IF_ERROR(Run(sql, [&](Statement& s) { s.BindInt(1, id); }));
  }
  return {};
}

#define STAGED_VALUES                                                                                     \
  " INTO staged_entry (workspace, folder, name, kind, version, child, size, executable, mtime_ns, state," \
  " scratch, target) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"

Result<bool> SqliteTransaction::AddStaged(WorkspaceId workspace, const Slot& slot,
                                          const StagedEntry& staged) {
  STAGEFS_RETURN_IF_ERROR(Run("INSERT" STAGED_VALUES " ON CONFLICT DO NOTHING", [&](Statement& s) {
    s.BindInt(1, workspace).BindInt(2, slot.folder).BindBlob(3, slot.name);
    BindStaged(s, 4, staged);
  }));
  return connection_.changes() > 0;
}

Status SqliteTransaction::PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) {
  return Run("INSERT OR REPLACE" STAGED_VALUES, [&](Statement& s) {
    s.BindInt(1, workspace).BindInt(2, slot.folder).BindBlob(3, slot.name);
    BindStaged(s, 4, staged);
  });
}

Status SqliteTransaction::EraseStaged(WorkspaceId workspace, const Slot& slot) {
  return Run("DELETE FROM staged_entry WHERE workspace = ?1 AND folder = ?2 AND name = ?3",
             [&](Statement& s) { s.BindInt(1, workspace).BindInt(2, slot.folder).BindBlob(3, slot.name); });
}

Status SqliteTransaction::EraseAllStaged(WorkspaceId workspace) {
  STAGEFS_RETURN_IF_ERROR(
      Run("DELETE FROM unsynced_entry WHERE workspace = ?1", [&](Statement& s) { s.BindInt(1, workspace); }));
  return Run("DELETE FROM staged_entry WHERE workspace = ?1", [&](Statement& s) { s.BindInt(1, workspace); });
}

Status SqliteTransaction::PutUnsyncedEntry(const UnsyncedEntry& entry) {
  if (!entry.previous) {
    return Run("DELETE FROM unsynced_entry WHERE workspace = ?1 AND folder = ?2 AND name = ?3", [&](Statement& s) {
      s.BindInt(1, entry.workspace).BindInt(2, entry.slot.folder).BindBlob(3, entry.slot.name);
    });
  }
  return Run(
      "INSERT INTO unsynced_entry (workspace, folder, name, version, kind, old, child, size,"
      " executable, mtime_ns, state, scratch, target)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
      // What was there before the first unsynced content stays what to fall back to.
      " ON CONFLICT DO UPDATE SET version = excluded.version",
      [&](Statement& s) {
        s.BindInt(1, entry.workspace).BindInt(2, entry.slot.folder).BindBlob(3, entry.slot.name);
        s.BindInt(4, entry.version);
        BindStaged(s, 5, *entry.previous);
      });
}

Status SqliteTransaction::NoteChange(WorkspaceId workspace, FolderId folder, WriterId writer) {
  STAGEFS_RETURN_IF_ERROR(Run("UPDATE workspace SET change_seq = change_seq + 1 WHERE id = ?1",
                              [&](Statement& s) { s.BindInt(1, workspace); }));
  return Run(
      "INSERT OR REPLACE INTO folder_change (workspace, folder, writer, seq)"
      " SELECT ?1, ?2, ?3, change_seq FROM workspace WHERE id = ?1",
      [&](Statement& s) { s.BindInt(1, workspace).BindInt(2, folder).BindInt(3, writer); });
}

Result<int64_t> SqliteTransaction::EraseEntriesOf(VersionId version) {
  int64_t erased = 0;
  for (const char* sql :
       {"DELETE FROM staged_entry WHERE version = ?1", "DELETE FROM unsynced_entry WHERE version = ?1",
        "DELETE FROM inbox_file WHERE version = ?1",
        "UPDATE workspace SET report = NULL WHERE report = ?1"}) {
    STAGEFS_RETURN_IF_ERROR(Run(sql, [&](Statement& s) { s.BindInt(1, version); }));
    erased += connection_.changes();
  }
  return erased;
}

Status SqliteTransaction::PutInbox(WorkspaceId workspace, const InboxFile& file) {
  return Run(
      "INSERT OR REPLACE INTO inbox_file (workspace, directory, name, version, size, mtime_ns)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
      [&](Statement& s) {
        s.BindInt(1, workspace).BindBlob(2, file.directory).BindBlob(3, file.name);
        s.BindInt(4, file.version).BindInt(5, static_cast<int64_t>(file.size_bytes));
        s.BindInt(6, file.mtime_ns);
      });
}

Status SqliteTransaction::EraseInbox(WorkspaceId workspace, std::string_view directory,
                                     std::string_view name) {
  return Run("DELETE FROM inbox_file WHERE workspace = ?1 AND directory = ?2 AND name = ?3",
             [&](Statement& s) { s.BindInt(1, workspace).BindBlob(2, directory).BindBlob(3, name); });
}

Status SqliteTransaction::PutWorkingCopy(const WorkingCopyRow& row) {
  return Run(
      "INSERT OR REPLACE INTO working_copy (file, workspace, folder, name, base_version)"
      " VALUES (?1, ?2, ?3, ?4, ?5)",
      [&](Statement& s) {
        s.BindText(1, row.file).BindInt(2, row.workspace);
        s.BindInt(3, row.slot.folder).BindBlob(4, row.slot.name);
        if (row.base_version) s.BindInt(5, *row.base_version);
      });
}

Status SqliteTransaction::EraseWorkingCopy(const std::string& file) {
  return Run("DELETE FROM working_copy WHERE file = ?1", [&](Statement& s) { s.BindText(1, file); });
}

Status SqliteTransaction::PutMount(const MountRow& row) {
  return Run(
      "INSERT OR REPLACE INTO mount (mountpoint, workspace, pid, started, writer)"
      " VALUES (?1, ?2, ?3, ?4, ?5)",
      [&](Statement& s) {
        s.BindBlob(1, row.mountpoint).BindInt(2, row.workspace);
        s.BindInt(3, row.pid).BindInt(4, row.started).BindInt(5, row.writer);
      });
}

Status SqliteTransaction::EraseMount(const std::string& mountpoint) {
  return Run("DELETE FROM mount WHERE mountpoint = ?1", [&](Statement& s) { s.BindBlob(1, mountpoint); });
}

Status SqliteTransaction::PutMeta(const std::string& key, const std::string& value) {
  return Run("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
             [&](Statement& s) { s.BindText(1, key).BindText(2, value); });
}

Status SqliteTransaction::EraseMeta(const std::string& key) {
  return Run("DELETE FROM meta WHERE key = ?1", [&](Statement& s) { s.BindText(1, key); });
}

Result<int64_t> Pragma(Connection& connection, const char* sql) {
  STAGEFS_ASSIGN_OR_RETURN(Statement query, connection.Prepare(sql));
  STAGEFS_RETURN_IF_ERROR(query.Step().WithoutValue());
  return query.Int(0);
}

// From an older layout to the newest, one step after the other.
Status Upgrade(Connection& connection, int64_t version) {
  if (version < 2) {
    STAGEFS_RETURN_IF_ERROR(connection.Execute("ALTER TABLE commit_log ADD COLUMN merged INTEGER"));
  }
  if (version < 3) {
    // A mount of an older stagefs has no number, and is told of everything.
    STAGEFS_RETURN_IF_ERROR(
        connection.Execute("ALTER TABLE mount ADD COLUMN writer INTEGER NOT NULL DEFAULT -1"));
  }
  return connection.Execute("PRAGMA user_version = " + std::to_string(kSchemaVersion));
}

// Two processes may create the same index at once: the lock decides who lays out the tables.
Status LayOut(Connection& connection, const std::string& path) {
  STAGEFS_RETURN_IF_ERROR(connection.Execute("BEGIN IMMEDIATE"));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t application, Pragma(connection, "PRAGMA application_id"));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t version, Pragma(connection, "PRAGMA user_version"));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t tables, Pragma(connection, "SELECT count(*) FROM sqlite_master"));
  Status status;
  if (application == 0 && version == 0 && tables == 0) {
    status = connection.Execute(kSchema);
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
  } else if (version < kSchemaVersion) {
    status = Upgrade(connection, version);
  }
  const Status ended = connection.Execute(status ? "COMMIT" : "ROLLBACK");
  return status ? ended : status;
}

}  // namespace

Result<std::unique_ptr<StagingIndex>> OpenSqliteStagingIndex(const std::string& path) {
  // SQLite would let everybody read it, as far as the umask does; its other files get the same mode. One that is there
  // is not opened: closing the descriptor would release the locks that this process has on it.
  const auto made = OpenFd(path, O_RDWR | O_CREAT | O_EXCL);
  if (!made && made.error().code() != ErrorCode::kExists) return made.error();
  STAGEFS_ASSIGN_OR_RETURN(std::unique_ptr<Connection> writer,
                           Connection::Open(path, {.read_only = false, .cache_kib = kWriterCacheKib}));
  STAGEFS_RETURN_IF_ERROR(LayOut(*writer, path));
  STAGEFS_ASSIGN_OR_RETURN(std::unique_ptr<Connection> watcher,
                           Connection::Open(path, {.read_only = true, .cache_kib = kReaderCacheKib}));
  // Closing this descriptor releases no lock: SQLite keeps its locks on the database and the -shm file.
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd log, OpenFd(path + "-wal", O_RDWR | O_CREAT));
  return std::unique_ptr<StagingIndex>(
      new SqliteStagingIndex(path, std::move(writer), std::move(watcher), std::move(log)));
}

}  // namespace stagefs
