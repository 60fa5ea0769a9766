#include "sql_index_reads.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <unordered_map>

#include "index_tables.h"
#include "index/postgres/postgres.h"
#include "index/sqlite/sqlite.h"

namespace stagefs {
namespace {

// So many rows of one name are read before the rest of them is passed over, which costs two look-ups.
constexpr size_t kRowsOfNameMax = 8;
// Rows of one name that are looked at together for the newest visible one.
constexpr int64_t kRowsTogether = 16;

#define VERSION_COLUMNS "id, sha256, xxh3, size, stored_ns, renewed_ns, synced"
#define STAGED_COLUMNS ENTRY_COLUMNS ", state, scratch, target"
#define COMMIT_COLUMNS "seq, id, lineage, parent, merged, message, author, email, time_ns"
#define WORKSPACE_COLUMNS "id, uid, name, branch, base, change_seq, report, created_ns"

template <size_t N, class Row>
std::array<uint8_t, N> ReadArray(const Row& row, int column) {
  std::array<uint8_t, N> bytes{};
  const std::string_view blob = row.Blob(column);
  assert(blob.size() == N);
  std::memcpy(bytes.data(), blob.data(), std::min(blob.size(), N));
  return bytes;
}

constexpr auto ReadVersion = [](const auto& row) -> VersionInfo {
  VersionInfo version;
  version.id = row.Int(0);
  version.content.sha256 = ReadArray<32>(row, 1);
  version.content.xxh3 = ReadArray<16>(row, 2);
  version.size_bytes = static_cast<uint64_t>(row.Int(3));
  version.stored_ns = row.Int(4);
  version.renewed_ns = row.Int(5);
  version.synced = row.Int(6) != 0;
  return version;
};

constexpr auto ReadCommit = [](const auto& row) -> CommitInfo {
  CommitInfo commit;
  commit.seq = row.Int(0);
  commit.id = row.Text(1);
  commit.lineage = row.Int(2);
  commit.parent = row.Int(3);
  commit.merged = row.Int(4);
  commit.message = row.Text(5);
  commit.author = row.Text(6);
  commit.email = row.Text(7);
  commit.time_ns = row.Int(8);
  return commit;
};

constexpr auto ReadWorkspace = [](const auto& row) -> WorkspaceInfo {
  WorkspaceInfo workspace;
  workspace.id = row.Int(0);
  workspace.uid = row.Text(1);
  if (!row.IsNull(2)) workspace.name = row.Text(2);
  workspace.branch = row.Text(3);
  workspace.base = row.Int(4);
  workspace.change_seq = row.Int(5);
  if (!row.IsNull(6)) workspace.report = row.Int(6);
  workspace.created_ns = row.Int(7);
  return workspace;
};

constexpr auto ReadBranch = [](const auto& row) -> BranchInfo { return {std::string(row.Text(0)), row.Int(1)}; };
constexpr auto ReadSlot = [](const auto& row) -> Slot { return {row.Int(0), std::string(row.Blob(1))}; };

constexpr auto ReadInbox = [](const auto& row) -> InboxFile {
  return {std::string(row.Blob(0)), std::string(row.Blob(1)), row.Int(2), static_cast<uint64_t>(row.Int(3)),
          row.Int(4)};
};

template <class Statement, class Read>
auto FirstRow(Statement& statement, Read read) -> Result<std::optional<decltype(read(statement))>> {
  STAGEFS_ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return std::optional<decltype(read(statement))>();
  return std::optional<decltype(read(statement))>(read(statement));
}

template <class Statement, class Read>
auto AllRows(Statement& statement, Read read) -> Result<std::vector<decltype(read(statement))>> {
  std::vector<decltype(read(statement))> rows;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return rows;
    rows.push_back(read(statement));
  }
}

template <class Row>
Entry ReadEntry(const Row& row, int column) {
  Entry entry;
  entry.kind = static_cast<EntryKind>(row.Int(column));
  entry.version = row.Int(column + 1);
  entry.child = row.Int(column + 2);
  entry.size_bytes = static_cast<uint64_t>(row.Int(column + 3));
  entry.executable = row.Int(column + 4) != 0;
  entry.mtime_ns = row.Int(column + 5);
  return entry;
}

template <class Row>
StagedEntry ReadStaged(const Row& row, int column) {
  StagedEntry staged;
  staged.entry = ReadEntry(row, column);
  staged.state = static_cast<StagedState>(row.Int(column + kEntryColumns));
  staged.entry.scratch = row.Int(column + kEntryColumns + 1) != 0;
  staged.entry.target = row.Blob(column + kEntryColumns + 2);
  return staged;
}

// Reads rows of one name, newest first, until `view` shows one; `columns` come after lineage and seq.
#define NEWEST_FIRST(columns)                                                                   \
  "SELECT lineage, seq" columns " FROM tree_entry WHERE folder = ?1 AND name = ?2 AND seq < ?3" \
  " ORDER BY seq DESC LIMIT ?4"

template <class C, class Read>
auto NewestShown(C& connection, const char* newest_first, const TreeView& view, FolderId folder, std::string_view name,
                 Read read) -> Result<std::optional<decltype(read(std::declval<typename C::Statement>()))>> {
  using Answer = std::optional<decltype(read(std::declval<typename C::Statement>()))>;
  for (CommitSeq before = INT64_MAX;;) {
    STAGEFS_ASSIGN_OR_RETURN(auto query, connection.Prepare(newest_first));
    query.BindInt(1, folder).BindBlob(2, name).BindInt(3, before).BindInt(4, kRowsTogether);
    int64_t rows = 0;
    for (;; ++rows) {
      STAGEFS_ASSIGN_OR_RETURN(const bool more, query.Step());
      if (!more) break;
      before = query.Int(1);
      if (view.Shows(query.Int(0), before)) return Answer(read(query));
    }
    if (rows < kRowsTogether) return Answer();
  }
}

}  // namespace

template <class I, class C>
Result<std::optional<VersionInfo>> SqlReads<I, C>::FindVersion(const HashRef& hash) {
  if (const Sha256* sha256 = hash.sha256()) {
    STAGEFS_ASSIGN_OR_RETURN(
        auto query, connection().Prepare("SELECT " VERSION_COLUMNS " FROM version WHERE sha256 = ?1"));
    query.BindBlob(1, BytesOf(*sha256));
    return FirstRow(query, ReadVersion);
  }
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT " VERSION_COLUMNS " FROM version WHERE xxh3 = ?1"));
  query.BindBlob(1, BytesOf(*hash.xxh3()));
  return FirstRow(query, ReadVersion);
}

template <class I, class C>
Result<std::vector<std::optional<VersionInfo>>> SqlReads<I, C>::FindVersions(const std::vector<HashRef>& hashes) {
  std::vector<std::optional<VersionInfo>> versions;
  versions.reserve(hashes.size());
  if constexpr (C::kFarAway) {
    std::vector<std::string_view> sha256, xxh3;
    for (const HashRef& hash : hashes) {
      if (hash.sha256() != nullptr) sha256.push_back(BytesOf(*hash.sha256()));
      else xxh3.push_back(BytesOf(*hash.xxh3()));
    }
    const std::string sha256_array = C::ArrayOf(sha256), xxh3_array = C::ArrayOf(xxh3);
    STAGEFS_ASSIGN_OR_RETURN(
        auto query, connection().Prepare("SELECT " VERSION_COLUMNS " FROM version WHERE sha256 = ANY(?1)"
                                         " UNION ALL SELECT " VERSION_COLUMNS " FROM version WHERE xxh3 = ANY(?2)"));
    query.BindBlob(1, sha256_array).BindBlob(2, xxh3_array);
    STAGEFS_ASSIGN_OR_RETURN(const auto rows, AllRows(query, ReadVersion));
    std::unordered_map<std::string_view, const VersionInfo*> found;
    for (const VersionInfo& version : rows) {
      found[BytesOf(version.content.sha256)] = found[BytesOf(version.content.xxh3)] = &version;
    }
    for (const HashRef& hash : hashes) {
      const auto at = found.find(hash.sha256() != nullptr ? BytesOf(*hash.sha256()) : BytesOf(*hash.xxh3()));
      versions.push_back(at == found.end() ? std::nullopt : std::optional<VersionInfo>(*at->second));
    }
  } else {
    for (const HashRef& hash : hashes) {
      STAGEFS_ASSIGN_OR_RETURN(std::optional<VersionInfo> version, FindVersion(hash));
      versions.push_back(std::move(version));
    }
  }
  return versions;
}

template <class I, class C>
Result<std::optional<VersionInfo>> SqlReads<I, C>::GetVersion(VersionId id) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT " VERSION_COLUMNS " FROM version WHERE id = ?1"));
  query.BindInt(1, id);
  return FirstRow(query, ReadVersion);
}

template <class I, class C>
Result<std::vector<VersionInfo>> SqlReads<I, C>::ListVersions(const std::optional<Sha256>& after,
                                                              size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT " VERSION_COLUMNS
                                                " FROM version WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2"));
  query.BindBlob(1, after ? BytesOf(*after) : std::string_view()).BindInt(2, static_cast<int64_t>(limit));
  return AllRows(query, ReadVersion);
}

template <class I, class C>
Result<std::vector<VersionInfo>> SqlReads<I, C>::ListVersionsFrom(VersionId first, size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(auto query, connection().Prepare("SELECT " VERSION_COLUMNS
                                                            " FROM version WHERE id >= ?1 ORDER BY id LIMIT ?2"));
  query.BindInt(1, first).BindInt(2, static_cast<int64_t>(limit));
  return AllRows(query, ReadVersion);
}

template <class I, class C>
Result<std::vector<VersionInfo>> SqlReads<I, C>::ListUnsynced(size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(auto query, connection().Prepare("SELECT " VERSION_COLUMNS
                                                                 " FROM version WHERE synced = 0 LIMIT ?1"));
  query.BindInt(1, static_cast<int64_t>(limit));
  return AllRows(query, ReadVersion);
}

template <class I, class C>
Result<std::vector<VersionInfo>> SqlReads<I, C>::ListUnused(int64_t before_ns, size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query,
      connection().Prepare("SELECT " VERSION_COLUMNS " FROM version WHERE id IN ("
                           "  SELECT id FROM version WHERE renewed_ns < ?1 AND synced = 1 AND size > 0"
                           "  EXCEPT SELECT * FROM ("
                           "  SELECT version FROM tree_entry WHERE version IS NOT NULL UNION ALL"
                           "  SELECT version FROM staged_entry WHERE version IS NOT NULL UNION ALL"
                           "  SELECT old FROM unsynced_entry WHERE old IS NOT NULL UNION ALL"
                           "  SELECT version FROM unsynced_entry UNION ALL"
                           "  SELECT base_version FROM working_copy WHERE base_version IS NOT NULL UNION ALL"
                           "  SELECT version FROM inbox_file UNION ALL"
                           "  SELECT report FROM workspace WHERE report IS NOT NULL) AS named LIMIT ?2)"));
  query.BindInt(1, before_ns).BindInt(2, static_cast<int64_t>(limit));
  return AllRows(query, ReadVersion);
}

template <class I, class C>
Result<std::vector<UnsyncedEntry>> SqlReads<I, C>::UnsyncedEntriesOf(VersionId version) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query,
      connection().Prepare("SELECT folder, name, workspace, version, kind, old, child, size, executable,"
                           " mtime_ns, state, scratch, target FROM unsynced_entry WHERE version = ?1"));
  query.BindInt(1, version);
  return AllRows(query, [](const auto& row) {
    UnsyncedEntry entry{row.Int(2), ReadSlot(row), row.Int(3), std::nullopt};
    if (!row.IsNull(4)) entry.previous = ReadStaged(row, 4);
    return entry;
  });
}

template <class I, class C>
Result<int64_t> SqlReads<I, C>::CountDangling() {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query,
      connection().Prepare("SELECT count(*) FROM (SELECT version FROM tree_entry UNION ALL"
                           " SELECT version FROM staged_entry UNION ALL SELECT version FROM inbox_file) AS named"
                           " LEFT JOIN version ON version.id = named.version"
                           " WHERE named.version IS NOT NULL AND version.id IS NULL"));
  STAGEFS_RETURN_IF_ERROR(query.Step().WithoutValue());
  return query.Int(0);
}

template <class I, class C>
Result<std::optional<BranchInfo>> SqlReads<I, C>::FindBranch(const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT name, head FROM branch WHERE name = ?1"));
  query.BindText(1, name);
  return FirstRow(query, ReadBranch);
}

template <class I, class C>
Result<std::vector<BranchInfo>> SqlReads<I, C>::ListBranches() {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT name, head FROM branch ORDER BY name"));
  return AllRows(query, ReadBranch);
}

template <class I, class C>
Result<std::optional<CommitInfo>> SqlReads<I, C>::GetCommit(CommitSeq seq) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT " COMMIT_COLUMNS " FROM commit_log WHERE seq = ?1"));
  query.BindInt(1, seq);
  return FirstRow(query, ReadCommit);
}

template <class I, class C>
Result<std::optional<CommitInfo>> SqlReads<I, C>::FindCommit(const std::string& id) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT " COMMIT_COLUMNS " FROM commit_log WHERE id = ?1"));
  query.BindText(1, id);
  return FirstRow(query, ReadCommit);
}

template <class I, class C>
Result<TreeView> SqlReads<I, C>::ViewOf(CommitSeq seq) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, GetCommit(seq));
  if (!commit) return Error(ErrorCode::kNotFound, "no commit number " + std::to_string(seq));
  TreeView view;
  view.lines.push_back({commit->lineage, seq});
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(auto query, connection().Prepare("SELECT parent, fork_seq FROM lineage"
                                                                   " WHERE id = ?1 AND parent IS NOT NULL"));
    query.BindInt(1, view.lines.back().lineage);
    STAGEFS_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return view;
    view.lines.push_back({query.Int(0), query.Int(1)});
  }
}

template <class I, class C>
Result<std::optional<Entry>> SqlReads<I, C>::LookUpBase(const TreeView& view, FolderId folder,
                                                        std::string_view name) {
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry,
                           NewestShown(connection(), NEWEST_FIRST(", " ENTRY_COLUMNS), view, folder, name,
                                       [](const auto& row) { return ReadEntry(row, 2); }));
  if (entry && entry->kind == EntryKind::kRemoved) entry.reset();
  return entry;
}

// Rows come oldest first for each name, and the newest visible one counts. Where a name has many, its newest is looked
// up and the rest passed over, so that a folder whose files change with each commit lists as quickly as any other.
template <class I, class C>
Result<std::vector<Named<Entry>>> SqlReads<I, C>::ListBase(const TreeView& view, FolderId folder,
                                                           std::string_view after, size_t limit) {
  std::vector<Named<Entry>> entries;
  std::string from(after), name;
  std::optional<Entry> newest;
  size_t rows = 0;  // Of `name`.
  const auto take = [&] {
    if (newest && newest->kind != EntryKind::kRemoved) entries.push_back({name, std::move(*newest)});
    newest.reset();
    if (rows > 0) from = name;
    rows = 0;
  };
  // More than those of one name, so that each query gets further.
  const size_t together = std::max(limit, 2 * kRowsOfNameMax) + 1;
  for (bool more = true; more && entries.size() < limit;) {
    STAGEFS_ASSIGN_OR_RETURN(auto query, connection().Prepare("SELECT name, lineage, seq, " ENTRY_COLUMNS
                                                              " FROM tree_entry WHERE folder = ?1 AND name > ?2"
                                                              " ORDER BY name, seq LIMIT ?3"));
    const std::string began_at = from;
    query.BindInt(1, folder).BindBlob(2, began_at).BindInt(3, static_cast<int64_t>(together));
    size_t seen = 0;
    while (entries.size() < limit && rows <= kRowsOfNameMax) {
      STAGEFS_ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) {
        more = seen == together;
        if (!more) take();
        break;
      }
      if (query.Blob(0) != name) take();
      if (entries.size() == limit) break;
      ++seen;
      if (rows++ == 0) name = query.Blob(0);
      if (view.Shows(query.Int(1), query.Int(2))) newest = ReadEntry(query, 3);
    }
    if (rows > kRowsOfNameMax) {
      STAGEFS_ASSIGN_OR_RETURN(newest, LookUpBase(view, folder, name));
      take();
    }
    // The rest of a name that was cut off is read again from its beginning.
    rows = 0;
    newest.reset();
  }
  return entries;
}

template <class I, class C>
Result<std::optional<CommitSeq>> SqlReads<I, C>::LastCommitOf(const TreeView& view, const Slot& slot) {
  return NewestShown(connection(), NEWEST_FIRST(""), view, slot.folder, slot.name,
                     [](const auto& row) { return CommitSeq(row.Int(1)); });
}

template <class I, class C>
Result<bool> SqlReads<I, C>::HasBaseRows(FolderId folder) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT 1 FROM tree_entry WHERE folder = ?1 LIMIT 1"));
  query.BindInt(1, folder);
  return query.Step();
}

template <class I, class C>
Result<std::optional<Slot>> SqlReads<I, C>::PlaceInBase(const TreeView& view, FolderId child) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query,
      connection().Prepare("SELECT folder, name, lineage, seq FROM tree_entry"
                           " WHERE child = ?1 ORDER BY seq DESC"));
  query.BindInt(1, child);
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return std::optional<Slot>();
    if (!view.Shows(query.Int(2), query.Int(3))) continue;
    // The newest placing counts only if its row was not replaced by a later one.
    Slot slot = ReadSlot(query);
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> now, LookUpBase(view, slot.folder, slot.name));
    if (now && now->child == child) return std::optional<Slot>(std::move(slot));
    return std::optional<Slot>();
  }
}

template <class I, class C>
Result<std::vector<Slot>> SqlReads<I, C>::ListCommitted(CommitSeq seq, const std::optional<Slot>& after,
                                                        size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query, connection().Prepare("SELECT folder, name FROM tree_entry WHERE seq = ?1"
                                            " AND (folder, name) > (?2, ?3) ORDER BY folder, name LIMIT ?4"));
  query.BindInt(1, seq).BindInt(2, after ? after->folder : 0);
  query.BindBlob(3, after ? std::string_view(after->name) : std::string_view());
  query.BindInt(4, static_cast<int64_t>(limit));
  return AllRows(query, ReadSlot);
}

template <class I, class C>
Result<std::optional<WorkspaceInfo>> SqlReads<I, C>::FindWorkspace(const std::string& id_or_name) {
  STAGEFS_ASSIGN_OR_RETURN(auto query, connection().Prepare("SELECT " WORKSPACE_COLUMNS
                                                                 " FROM workspace WHERE uid = ?1 OR name = ?1"
                                                                 " ORDER BY uid = ?1 DESC LIMIT 1"));
  query.BindText(1, id_or_name);
  return FirstRow(query, ReadWorkspace);
}

template <class I, class C>
Result<std::optional<WorkspaceInfo>> SqlReads<I, C>::GetWorkspace(WorkspaceId id) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT " WORKSPACE_COLUMNS " FROM workspace WHERE id = ?1"));
  query.BindInt(1, id);
  return FirstRow(query, ReadWorkspace);
}

template <class I, class C>
Result<std::vector<WorkspaceInfo>> SqlReads<I, C>::ListWorkspaces() {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT " WORKSPACE_COLUMNS " FROM workspace ORDER BY id"));
  return AllRows(query, ReadWorkspace);
}

template <class I, class C>
Result<std::optional<StagedEntry>> SqlReads<I, C>::LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                                std::string_view name) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT " STAGED_COLUMNS " FROM staged_entry"
                                                " WHERE workspace = ?1 AND folder = ?2 AND name = ?3"));
  query.BindInt(1, workspace).BindInt(2, folder).BindBlob(3, name);
  return FirstRow(query, [](const auto& row) { return ReadStaged(row, 0); });
}

template <class I, class C>
Result<std::vector<Named<StagedEntry>>> SqlReads<I, C>::ListStaged(WorkspaceId workspace, FolderId folder,
                                                                   std::string_view after, size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query,
      connection().Prepare("SELECT name, " STAGED_COLUMNS " FROM staged_entry WHERE workspace = ?1"
                           " AND folder = ?2 AND name > ?3 ORDER BY name LIMIT ?4"));
  query.BindInt(1, workspace).BindInt(2, folder).BindBlob(3, after);
  query.BindInt(4, static_cast<int64_t>(limit));
  return AllRows(query, [](const auto& row) {
    return Named<StagedEntry>{std::string(row.Blob(0)), ReadStaged(row, 1)};
  });
}

template <class I, class C>
Result<std::vector<IndexReader::StagedRow>> SqlReads<I, C>::ScanStaged(WorkspaceId workspace,
                                                                       const std::optional<Slot>& after,
                                                                       size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query,
      connection().Prepare("SELECT folder, name, " STAGED_COLUMNS " FROM staged_entry WHERE workspace = ?1"
                           " AND (folder, name) > (?2, ?3) ORDER BY folder, name LIMIT ?4"));
  query.BindInt(1, workspace).BindInt(2, after ? after->folder : 0);
  query.BindBlob(3, after ? std::string_view(after->name) : std::string_view());
  query.BindInt(4, static_cast<int64_t>(limit));
  return AllRows(query, [](const auto& row) {
    return IndexReader::StagedRow{ReadSlot(row), ReadStaged(row, 2)};
  });
}

template <class I, class C>
Result<int64_t> SqlReads<I, C>::CountStaged(WorkspaceId workspace) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query, connection().Prepare("SELECT count(*) FROM staged_entry WHERE workspace = ?1 AND state <> 0"));
  query.BindInt(1, workspace);
  STAGEFS_RETURN_IF_ERROR(query.Step().WithoutValue());
  return query.Int(0);
}

template <class I, class C>
Result<std::optional<Slot>> SqlReads<I, C>::PlaceInStaged(WorkspaceId workspace, FolderId child) {
  STAGEFS_ASSIGN_OR_RETURN(auto query, connection().Prepare("SELECT folder, name FROM staged_entry"
                                                                 " WHERE workspace = ?1 AND child = ?2"));
  query.BindInt(1, workspace).BindInt(2, child);
  return FirstRow(query, ReadSlot);
}

template <class I, class C>
Result<bool> SqlReads<I, C>::IsMounted(WorkspaceId workspace, WriterId except) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT 1 FROM mount WHERE workspace = ?1 AND writer <> ?2"));
  query.BindInt(1, workspace).BindInt(2, except);
  return query.Step();
}

template <class I, class C>
Result<std::vector<FolderId>> SqlReads<I, C>::ChangedFolders(WorkspaceId workspace, int64_t after_seq,
                                                             WriterId except) {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare("SELECT DISTINCT folder FROM folder_change"
                                                " WHERE workspace = ?1 AND seq > ?2 AND writer <> ?3"));
  query.BindInt(1, workspace).BindInt(2, after_seq).BindInt(3, except);
  return AllRows(query, [](const auto& row) { return row.Int(0); });
}

template <class I, class C>
Result<std::optional<InboxFile>> SqlReads<I, C>::LookUpInbox(WorkspaceId workspace,
                                                             std::string_view directory,
                                                             std::string_view name) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query, connection().Prepare("SELECT directory, name, version, size, mtime_ns FROM inbox_file"
                                            " WHERE workspace = ?1 AND directory = ?2 AND name = ?3"));
  query.BindInt(1, workspace).BindBlob(2, directory).BindBlob(3, name);
  return FirstRow(query, ReadInbox);
}

template <class I, class C>
Result<std::vector<InboxFile>> SqlReads<I, C>::ListInbox(WorkspaceId workspace, std::string_view directory) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query, connection().Prepare("SELECT directory, name, version, size, mtime_ns FROM inbox_file"
                                            " WHERE workspace = ?1 AND directory = ?2 ORDER BY name"));
  query.BindInt(1, workspace).BindBlob(2, directory);
  return AllRows(query, ReadInbox);
}

template <class I, class C>
Result<std::vector<WorkingCopyRow>> SqlReads<I, C>::ListWorkingCopies() {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query,
      connection().Prepare("SELECT folder, name, file, workspace, base_version FROM working_copy"));
  return AllRows(query, [](const auto& row) {
    WorkingCopyRow copy{std::string(row.Text(2)), row.Int(3), ReadSlot(row), std::nullopt};
    if (!row.IsNull(4)) copy.base_version = row.Int(4);
    return copy;
  });
}

template <class I, class C>
Result<std::vector<MountRow>> SqlReads<I, C>::ListMounts() {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query, connection().Prepare("SELECT host, mountpoint, workspace, pid, started, writer, seen_ns FROM mount"));
  return AllRows(query, [](const auto& row) {
    return MountRow{std::string(row.Text(0)), std::string(row.Blob(1)), row.Int(2), row.Int(3), row.Int(4), row.Int(5),
                    row.Int(6)};
  });
}

template <class I, class C>
Result<std::optional<std::string>> SqlReads<I, C>::GetMeta(const std::string& key) {
  STAGEFS_ASSIGN_OR_RETURN(auto query, connection().Prepare("SELECT value FROM meta WHERE key = ?1"));
  query.BindText(1, key);
  return FirstRow(query, [](const auto& row) { return std::string(row.Text(0)); });
}

template <class I, class C>
Result<std::vector<IndexRow>> SqlReads<I, C>::ListRows(size_t table, const std::optional<IndexRow>& after,
                                                       size_t limit) {
  const IndexTable& from = IndexTable::At(table);
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           connection().Prepare(after ? from.next_page.c_str() : from.first_page.c_str()));
  query.BindInt(1, static_cast<int64_t>(limit));
  for (size_t i = 0; after && i < from.keys; ++i) {
    BindValue(query, static_cast<int>(i) + 2, from.IsText(i), (*after)[i]);
  }
  return AllRows(query, [&](const auto& row) {
    IndexRow values(from.columns.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const int column = static_cast<int>(i);
      if (row.IsNull(column)) continue;
      if (from.IsNumber(i)) values[i] = row.Int(column);
      else values[i] = std::string(row.Blob(column));
    }
    return values;
  });
}

template <class I, class C>
Result<std::vector<std::string>> SqlReads<I, C>::ListMeta(const std::string& prefix) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query,
      connection().Prepare("SELECT key FROM meta WHERE substr(key, 1, length(CAST(?1 AS TEXT))) = ?1 ORDER BY key"));
  query.BindText(1, prefix);
  return AllRows(query, [](const auto& row) { return std::string(row.Text(0)); });
}

// A subquery with a LIMIT is asked for each slot by the primary key. A join would be planned by the table's statistics,
// and read the whole workspace for each slot where these are of a time when it was empty.
template <class I, class C>
Result<std::vector<IndexReader::StagedRow>> SqlReads<I, C>::ListStagedAt(WorkspaceId workspace,
                                                                         const std::vector<const Slot*>& slots)
  requires(C::kFarAway)
{
  const auto [folders, names] = SlotArrays<C>(slots);
  STAGEFS_ASSIGN_OR_RETURN(
      auto query, connection().Prepare("SELECT at.folder, at.name, " STAGED_COLUMNS
                                       " FROM unnest(CAST(?2 AS BIGINT[]), CAST(?3 AS BYTEA[])) AS at (folder, name)"
                                       " CROSS JOIN LATERAL (SELECT * FROM staged_entry AS s WHERE workspace = ?1"
                                       " AND s.folder = at.folder AND s.name = at.name LIMIT 1) AS row"));
  query.BindInt(1, workspace).BindBlob(2, folders).BindBlob(3, names);
  return AllRows(query, [](const auto& row) {
    return IndexReader::StagedRow{ReadSlot(row), ReadStaged(row, 2)};
  });
}

template <class I, class C>
Result<std::vector<std::pair<Slot, Entry>>> SqlReads<I, C>::ListBaseAt(const TreeView& view,
                                                                       const std::vector<const Slot*>& slots)
  requires(C::kFarAway)
{
  std::vector<int64_t> lineages, lasts;
  for (const TreeView::Line& line : view.lines) {
    lineages.push_back(line.lineage);
    lasts.push_back(line.last);
  }
  const auto [folders, names] = SlotArrays<C>(slots);
  const std::string lineage_array = C::ArrayOf(lineages), last_array = C::ArrayOf(lasts);
  STAGEFS_ASSIGN_OR_RETURN(
      auto query, connection().Prepare("SELECT at.folder, at.name, " ENTRY_COLUMNS
                                       " FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BYTEA[])) AS at (folder, name)"
                                       " CROSS JOIN LATERAL (SELECT t.* FROM tree_entry AS t"
                                       " JOIN unnest(CAST(?3 AS BIGINT[]), CAST(?4 AS BIGINT[])) AS line (id, last)"
                                       " ON t.lineage = line.id AND t.seq <= line.last"
                                       " WHERE t.folder = at.folder AND t.name = at.name"
                                       " ORDER BY t.seq DESC LIMIT 1) AS row"));
  query.BindBlob(1, folders).BindBlob(2, names).BindBlob(3, lineage_array).BindBlob(4, last_array);
  STAGEFS_ASSIGN_OR_RETURN(auto rows, AllRows(query, [](const auto& row) {
                             return std::pair<Slot, Entry>(ReadSlot(row), ReadEntry(row, 2));
                           }));
  std::erase_if(rows, [](const auto& row) { return row.second.kind == EntryKind::kRemoved; });
  return rows;
}

template class SqlReads<IndexReader, SqliteConnection>;
template class SqlReads<IndexTransaction, SqliteConnection>;
template class SqlReads<IndexReader, PostgresConnection>;
template class SqlReads<IndexTransaction, PostgresConnection>;

}  // namespace stagefs
