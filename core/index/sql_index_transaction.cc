#include "sql_index_transaction.h"

#include "index_tables.h"
#include "index/postgres/postgres.h"
#include "index/sqlite/sqlite.h"

namespace stagefs {
namespace {

#define ENTRY_REPLACED                                                                                             \
  "kind = excluded.kind, version = excluded.version, child = excluded.child, size = excluded.size, executable ="    \
  " excluded.executable, mtime_ns = excluded.mtime_ns"
#define ON_TREE_CONFLICT " ON CONFLICT (folder, name, seq) DO UPDATE SET lineage = excluded.lineage, " ENTRY_REPLACED

template <class Statement>
void BindEntry(Statement& s, int first, const Entry& entry) {
  s.BindInt(first, static_cast<int>(entry.kind));
  if (entry.version != 0) s.BindInt(first + 1, entry.version);
  if (entry.child != 0) s.BindInt(first + 2, entry.child);
  s.BindInt(first + 3, static_cast<int64_t>(entry.size_bytes)).BindInt(first + 4, entry.executable);
  s.BindInt(first + 5, entry.mtime_ns);
}

template <class Statement>
void BindStaged(Statement& s, int first, const StagedEntry& staged) {
  BindEntry(s, first, staged.entry);
  s.BindInt(first + kEntryColumns, static_cast<int>(staged.state));
  s.BindInt(first + kEntryColumns + 1, staged.entry.scratch);
  if (!staged.entry.target.empty()) s.BindBlob(first + kEntryColumns + 2, staged.entry.target);
}

}  // namespace

template <class C>
Result<VersionId> SqlTransaction<C>::AddVersion(const VersionInfo& version) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> same_xxh3,
                           this->FindVersion(HashRef(version.content.xxh3)));
  // Another workspace's transaction may have added it since this one looked.
  if (same_xxh3 && same_xxh3->content.sha256 == version.content.sha256) return same_xxh3->id;
  if (same_xxh3) {
    return Error(ErrorCode::kConflict,
                 "content " + ToHex(version.content.sha256) + " has the XXH3 of another version, " +
                     ToHex(same_xxh3->content.sha256) + ": it cannot be told apart by Oxen clients");
  }
  STAGEFS_ASSIGN_OR_RETURN(
      auto insert, connection().Prepare("INSERT INTO version (sha256, xxh3, size, stored_ns, renewed_ns, synced)"
                                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                                        " ON CONFLICT (sha256) DO NOTHING RETURNING id"));
  insert.BindBlob(1, BytesOf(version.content.sha256)).BindBlob(2, BytesOf(version.content.xxh3));
  insert.BindInt(3, static_cast<int64_t>(version.size_bytes)).BindInt(4, version.stored_ns);
  insert.BindInt(5, version.renewed_ns).BindInt(6, version.synced);
  STAGEFS_ASSIGN_OR_RETURN(const bool added, insert.Step());
  if (added) {
    const VersionId id = insert.Int(0);
    STAGEFS_RETURN_IF_ERROR(insert.Step().WithoutValue());
    return id;
  }
  // Added just now by another one, which this waited for. Its row is locked with all others that are renewed: in one
  // order, so that no two transactions wait for each other.
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> there,
                           this->FindVersion(HashRef(version.content.sha256)));
  if (!there) return Error(ErrorCode::kBusy, "a version was added and removed at once: try again");
  STAGEFS_RETURN_IF_ERROR(this->RenewVersion(there->id, version.renewed_ns));
  return there->id;
}

template <class C>
Status SqlTransaction<C>::RenewVersion(VersionId id, int64_t now_ns) {
  return Run("UPDATE version SET renewed_ns = ?2 WHERE id = ?1",
             [&](auto& s) { s.BindInt(1, id).BindInt(2, now_ns); });
}

template <class C>
Status SqlTransaction<C>::SetSynced(VersionId id) {
  STAGEFS_RETURN_IF_ERROR(
      Run("UPDATE version SET synced = 1 WHERE id = ?1", [&](auto& s) { s.BindInt(1, id); }));
  return Run("DELETE FROM unsynced_entry WHERE version = ?1", [&](auto& s) { s.BindInt(1, id); });
}

template <class C>
Status SqlTransaction<C>::EraseVersion(VersionId id) {
  return Run("DELETE FROM version WHERE id = ?1", [&](auto& s) { s.BindInt(1, id); });
}

template <class C>
Status SqlTransaction<C>::PutBranch(const BranchInfo& branch) {
  return Run("INSERT INTO branch (name, head) VALUES (?1, ?2)"
             " ON CONFLICT (name) DO UPDATE SET head = excluded.head",
             [&](auto& s) { s.BindText(1, branch.name).BindInt(2, branch.head); });
}

template <class C>
Status SqlTransaction<C>::EraseBranch(const std::string& name) {
  return Run("DELETE FROM branch WHERE name = ?1", [&](auto& s) { s.BindText(1, name); });
}

template <class C>
Result<CommitInfo> SqlTransaction<C>::AddCommit(CommitInfo commit) {
  std::optional<CommitInfo> parent;
  bool forks = true;
  if (commit.parent != 0) {
    STAGEFS_ASSIGN_OR_RETURN(parent, this->GetCommit(commit.parent));
    if (!parent) return Error(ErrorCode::kNotFound, "the parent commit is gone");
    STAGEFS_ASSIGN_OR_RETURN(auto later,
                             connection().Prepare("SELECT 1 FROM commit_log WHERE lineage = ?1 AND seq > ?2 LIMIT 1"));
    later.BindInt(1, parent->lineage).BindInt(2, parent->seq);
    STAGEFS_ASSIGN_OR_RETURN(forks, later.Step());
  }
  if (forks) {
    static constexpr char kFork[] = "INSERT INTO lineage (parent, fork_seq) VALUES (?1, ?2) RETURNING id";
    STAGEFS_ASSIGN_OR_RETURN(commit.lineage, Insert(kFork, [&](auto& s) {
                               if (parent) s.BindInt(1, parent->lineage).BindInt(2, parent->seq);
                             }));
  } else {
    commit.lineage = parent->lineage;
  }
  STAGEFS_ASSIGN_OR_RETURN(
      commit.seq,
      Insert("INSERT INTO commit_log (id, lineage, parent, merged, message, author, email, time_ns)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING seq",
          [&](auto& s) {
            s.BindText(1, commit.id).BindInt(2, commit.lineage);
            if (commit.parent != 0) s.BindInt(3, commit.parent);
            if (commit.merged != 0) s.BindInt(4, commit.merged);
            s.BindText(5, commit.message).BindText(6, commit.author).BindText(7, commit.email);
            s.BindInt(8, commit.time_ns);
          }));
  return commit;
}

template <class C>
Status SqlTransaction<C>::PutTreeEntry(const CommitInfo& commit, const Slot& slot, const Entry& entry) {
  return Run(
      "INSERT INTO tree_entry (folder, name, seq, lineage, " ENTRY_COLUMNS ")"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)" ON_TREE_CONFLICT,
      [&](auto& s) {
        s.BindInt(1, slot.folder).BindBlob(2, slot.name);
        s.BindInt(3, commit.seq).BindInt(4, commit.lineage);
        BindEntry(s, 5, entry);
      });
}

template <class C>
Result<int64_t> SqlTransaction<C>::MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) {
  STAGEFS_ASSIGN_OR_RETURN(
      const int64_t count,
      Count("INSERT INTO tree_entry (folder, name, seq, lineage, " ENTRY_COLUMNS ")"
          " SELECT folder, name, CAST(?2 AS BIGINT), CAST(?3 AS BIGINT), CASE state WHEN 3 THEN 0 ELSE kind END,"
          " CASE state WHEN 3 THEN NULL ELSE version END, CASE state WHEN 3 THEN NULL ELSE child END, size,"
          " executable, mtime_ns FROM staged_entry WHERE workspace = ?1 AND state <> 0" ON_TREE_CONFLICT,
          [&](auto& s) { s.BindInt(1, workspace).BindInt(2, commit.seq).BindInt(3, commit.lineage); }));
  const auto bind = [&](auto& s) { s.BindInt(1, workspace); };
  STAGEFS_RETURN_IF_ERROR(
      Run("DELETE FROM staged_entry WHERE workspace = ?1 AND state <> 0 AND (state <> 3 OR kind = 0)", bind));
  STAGEFS_RETURN_IF_ERROR(Run("UPDATE staged_entry SET state = 0 WHERE workspace = ?1 AND state = 3", bind));
  return count;
}

template <class C>
Result<FolderId> SqlTransaction<C>::NewFolder() {
  STAGEFS_ASSIGN_OR_RETURN(const FolderId id, Insert("INSERT INTO folder DEFAULT VALUES RETURNING id", [](auto&) {}));
  // The index remembers the largest number ever given; the row itself is not needed.
  STAGEFS_RETURN_IF_ERROR(
      Run("DELETE FROM folder WHERE id = ?1 AND id > 1", [&](auto& s) { s.BindInt(1, id); }));
  return id;
}

template <class C>
Result<WorkspaceInfo> SqlTransaction<C>::AddWorkspace(const WorkspaceInfo& workspace) {
  WorkspaceInfo added = workspace;
  STAGEFS_ASSIGN_OR_RETURN(
      added.id,
      Insert("INSERT INTO workspace (uid, name, branch, base, change_seq, created_ns)"
          " VALUES (?1, ?2, ?3, ?4, 0, ?5) RETURNING id",
          [&](auto& s) {
            s.BindText(1, workspace.uid);
            if (workspace.name) s.BindText(2, *workspace.name);
            s.BindText(3, workspace.branch).BindInt(4, workspace.base).BindInt(5, workspace.created_ns);
          }));
  return added;
}

template <class C>
Status SqlTransaction<C>::PutWorkspace(const WorkspaceInfo& workspace) {
  return Run("UPDATE workspace SET branch = ?2, base = ?3, report = ?4 WHERE id = ?1", [&](auto& s) {
    s.BindInt(1, workspace.id).BindText(2, workspace.branch).BindInt(3, workspace.base);
    if (workspace.report) s.BindInt(4, *workspace.report);
  });
}

template <class C>
Status SqlTransaction<C>::EraseWorkspace(WorkspaceId id) {
  for (const char* sql :
       {"DELETE FROM staged_entry WHERE workspace = ?1", "DELETE FROM unsynced_entry WHERE workspace = ?1",
        "DELETE FROM folder_change WHERE workspace = ?1", "DELETE FROM inbox_file WHERE workspace = ?1",
        "DELETE FROM working_copy WHERE workspace = ?1", "DELETE FROM workspace WHERE id = ?1"}) {
    STAGEFS_RETURN_IF_ERROR(Run(sql, [&](auto& s) { s.BindInt(1, id); }));
  }
  return {};
}

#define INSERT_STAGED                                                                                            \
  "INSERT INTO staged_entry (workspace, folder, name, " ENTRY_COLUMNS ", state, scratch, target)"                \
  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (workspace, folder, name) DO "

template <class C>
Result<bool> SqlTransaction<C>::AddStaged(WorkspaceId workspace, const Slot& slot,
                                          const StagedEntry& staged) {
  STAGEFS_ASSIGN_OR_RETURN(const int64_t added, Count(INSERT_STAGED "NOTHING", [&](auto& s) {
    s.BindInt(1, workspace).BindInt(2, slot.folder).BindBlob(3, slot.name);
    BindStaged(s, 4, staged);
  }));
  return added > 0;
}

template <class C>
Status SqlTransaction<C>::PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) {
  return Run(INSERT_STAGED "UPDATE SET " ENTRY_REPLACED ", state = excluded.state, scratch = excluded.scratch,"
             " target = excluded.target", [&](auto& s) {
    s.BindInt(1, workspace).BindInt(2, slot.folder).BindBlob(3, slot.name);
    BindStaged(s, 4, staged);
  });
}

template <class C>
Status SqlTransaction<C>::EraseStaged(WorkspaceId workspace, const Slot& slot) {
  return Run("DELETE FROM staged_entry WHERE workspace = ?1 AND folder = ?2 AND name = ?3",
             [&](auto& s) { s.BindInt(1, workspace).BindInt(2, slot.folder).BindBlob(3, slot.name); });
}

template <class C>
Status SqlTransaction<C>::EraseAllStaged(WorkspaceId workspace) {
  STAGEFS_RETURN_IF_ERROR(
      Run("DELETE FROM unsynced_entry WHERE workspace = ?1", [&](auto& s) { s.BindInt(1, workspace); }));
  return Run("DELETE FROM staged_entry WHERE workspace = ?1", [&](auto& s) { s.BindInt(1, workspace); });
}

template <class C>
Status SqlTransaction<C>::PutUnsyncedEntry(const UnsyncedEntry& entry) {
  if (!entry.previous) {
    return Run("DELETE FROM unsynced_entry WHERE workspace = ?1 AND folder = ?2 AND name = ?3", [&](auto& s) {
      s.BindInt(1, entry.workspace).BindInt(2, entry.slot.folder).BindBlob(3, entry.slot.name);
    });
  }
  return Run(
      "INSERT INTO unsynced_entry (workspace, folder, name, version, kind, old, child, size,"
      " executable, mtime_ns, state, scratch, target)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
      // What was there before the first unsynced content stays what to fall back to.
      " ON CONFLICT (workspace, folder, name) DO UPDATE SET version = excluded.version",
      [&](auto& s) {
        s.BindInt(1, entry.workspace).BindInt(2, entry.slot.folder).BindBlob(3, entry.slot.name);
        s.BindInt(4, entry.version);
        BindStaged(s, 5, *entry.previous);
      });
}

template <class C>
Status SqlTransaction<C>::NoteChange(WorkspaceId workspace, FolderId folder, WriterId writer) {
  STAGEFS_RETURN_IF_ERROR(Run("UPDATE workspace SET change_seq = change_seq + 1 WHERE id = ?1",
                              [&](auto& s) { s.BindInt(1, workspace); }));
  return Run(
      "INSERT INTO folder_change (workspace, folder, writer, seq)"
      " SELECT id, CAST(?2 AS BIGINT), CAST(?3 AS BIGINT), change_seq FROM workspace WHERE id = ?1"
      " ON CONFLICT (workspace, folder, writer) DO UPDATE SET seq = excluded.seq",
      [&](auto& s) { s.BindInt(1, workspace).BindInt(2, folder).BindInt(3, writer); });
}

template <class C>
Result<int64_t> SqlTransaction<C>::EraseEntriesOf(VersionId version) {
  int64_t erased = 0;
  for (const char* sql :
       {"DELETE FROM staged_entry WHERE version = ?1", "DELETE FROM unsynced_entry WHERE version = ?1",
        "DELETE FROM inbox_file WHERE version = ?1",
        "UPDATE workspace SET report = NULL WHERE report = ?1"}) {
    STAGEFS_ASSIGN_OR_RETURN(const int64_t rows, Count(sql, [&](auto& s) { s.BindInt(1, version); }));
    erased += rows;
  }
  return erased;
}

template <class C>
Status SqlTransaction<C>::PutInbox(WorkspaceId workspace, const InboxFile& file) {
  return Run(
      "INSERT INTO inbox_file (workspace, directory, name, version, size, mtime_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
      " ON CONFLICT (workspace, directory, name) DO UPDATE SET version = excluded.version, size = excluded.size,"
      " mtime_ns = excluded.mtime_ns",
      [&](auto& s) {
        s.BindInt(1, workspace).BindBlob(2, file.directory).BindBlob(3, file.name);
        s.BindInt(4, file.version).BindInt(5, static_cast<int64_t>(file.size_bytes));
        s.BindInt(6, file.mtime_ns);
      });
}

template <class C>
Status SqlTransaction<C>::EraseInbox(WorkspaceId workspace, std::string_view directory,
                                     std::string_view name) {
  return Run("DELETE FROM inbox_file WHERE workspace = ?1 AND directory = ?2 AND name = ?3",
             [&](auto& s) { s.BindInt(1, workspace).BindBlob(2, directory).BindBlob(3, name); });
}

template <class C>
Status SqlTransaction<C>::PutWorkingCopy(const WorkingCopyRow& row) {
  return Run(
      "INSERT INTO working_copy (file, workspace, folder, name, base_version) VALUES (?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT (file) DO UPDATE SET workspace = excluded.workspace, folder = excluded.folder,"
      " name = excluded.name, base_version = excluded.base_version",
      [&](auto& s) {
        s.BindText(1, row.file).BindInt(2, row.workspace);
        s.BindInt(3, row.slot.folder).BindBlob(4, row.slot.name);
        if (row.base_version) s.BindInt(5, *row.base_version);
      });
}

template <class C>
Status SqlTransaction<C>::EraseWorkingCopy(const std::string& file) {
  return Run("DELETE FROM working_copy WHERE file = ?1", [&](auto& s) { s.BindText(1, file); });
}

template <class C>
Status SqlTransaction<C>::PutMount(const MountRow& row) {
  return Run(
      "INSERT INTO mount (host, mountpoint, workspace, pid, started, writer, seen_ns)"
      " VALUES (?6, ?1, ?2, ?3, ?4, ?5, ?7) ON CONFLICT (host, mountpoint) DO UPDATE SET"
      " workspace = excluded.workspace, pid = excluded.pid, started = excluded.started, writer = excluded.writer,"
      " seen_ns = excluded.seen_ns",
      [&](auto& s) {
        s.BindBlob(1, row.mountpoint).BindInt(2, row.workspace);
        s.BindInt(3, row.pid).BindInt(4, row.started).BindInt(5, row.writer);
        s.BindText(6, row.host).BindInt(7, row.seen_ns);
      });
}

template <class C>
Status SqlTransaction<C>::EraseMount(const std::string& host, const std::string& mountpoint) {
  return Run("DELETE FROM mount WHERE host = ?1 AND mountpoint = ?2",
             [&](auto& s) { s.BindText(1, host).BindBlob(2, mountpoint); });
}

template <class C>
Status SqlTransaction<C>::PutMeta(const std::string& key, const std::string& value) {
  return Run("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
             [&](auto& s) { s.BindText(1, key).BindText(2, value); });
}

template <class C>
Status SqlTransaction<C>::EraseMeta(const std::string& key) {
  return Run("DELETE FROM meta WHERE key = ?1", [&](auto& s) { s.BindText(1, key); });
}

template <class C>
Status SqlTransaction<C>::PutRow(size_t table, const IndexRow& row) {
  const IndexTable& into = IndexTable::At(table);
  return Run(into.insert.c_str(), [&](auto& s) {
    for (size_t i = 0; i < row.size(); ++i) BindValue(s, static_cast<int>(i) + 1, into.IsText(i), row[i]);
  });
}

template <class C>
Status SqlTransaction<C>::EraseStagedAt(WorkspaceId workspace, const std::vector<const Slot*>& slots)
  requires(C::kFarAway)
{
  const auto [folders, names] = SlotArrays<C>(slots);
  return Run("DELETE FROM staged_entry WHERE ctid = ANY (ARRAY(SELECT row.ctid"
             " FROM unnest(CAST(?2 AS BIGINT[]), CAST(?3 AS BYTEA[])) AS at (folder, name)"
             " CROSS JOIN LATERAL (SELECT s.ctid FROM staged_entry AS s WHERE workspace = ?1"
             " AND s.folder = at.folder AND s.name = at.name LIMIT 1) AS row))",
             [&](auto& s) { s.BindInt(1, workspace).BindBlob(2, folders).BindBlob(3, names); });
}

template class SqlTransaction<SqliteConnection>;
template class SqlTransaction<PostgresConnection>;

}  // namespace stagefs
