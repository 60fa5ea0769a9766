#include "postgres_transaction.h"

#include <algorithm>

#include "index/index_tables.h"
#include "index/sql_rows.h"
#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr size_t kExpectedMax = 65'536;
constexpr int64_t kNewFoldersMax = 1'024;
constexpr size_t kCopyBytes = 8 << 20;

const std::string kFindTogether =
    Select(kVersionTable) + " WHERE sha256 = ANY(?1) UNION ALL " + Select(kVersionTable) + " WHERE xxh3 = ANY(?2)";
// A subquery with a LIMIT is asked for each slot by the primary key. A join would be planned by the table's statistics,
// and read the whole workspace for each slot where these are of a time when it was empty.
const std::string kStagedAt =
    "SELECT at.folder, at.name, " + ColumnsOf(kStagedEntryTable, kStagedOfEntry) +
    " FROM unnest(CAST(?2 AS BIGINT[]), CAST(?3 AS BYTEA[])) AS at (folder, name)"
    " CROSS JOIN LATERAL (SELECT * FROM staged_entry AS s WHERE workspace = ?1"
    " AND s.folder = at.folder AND s.name = at.name LIMIT 1) AS row";
const std::string kBaseAt =
    "SELECT at.folder, at.name, " + ColumnsOf(kTreeEntryTable, kEntryOfTree) +
    " FROM unnest(CAST(?1 AS BIGINT[]), CAST(?2 AS BYTEA[])) AS at (folder, name)"
    " CROSS JOIN LATERAL (SELECT t.* FROM tree_entry AS t"
    " JOIN unnest(CAST(?3 AS BIGINT[]), CAST(?4 AS BIGINT[])) AS line (id, last)"
    " ON t.lineage = line.id AND t.seq <= line.last"
    " WHERE t.folder = at.folder AND t.name = at.name ORDER BY t.seq DESC LIMIT 1) AS row";
const std::string kCopyStaged =
    std::string("COPY staged_entry (") + ColumnsOf(kStagedEntryTable) + ") FROM STDIN (FORMAT binary)";

// The folders and the names of `slots`, each as one parameter.
struct SlotArrays {
  explicit SlotArrays(const std::vector<const Slot*>& slots) {
    std::vector<int64_t> all_folders;
    std::vector<std::string_view> all_names;
    for (const Slot* slot : slots) {
      all_folders.push_back(slot->folder);
      all_names.push_back(slot->name);
    }
    folders = PostgresConnection::ArrayOf(all_folders);
    names = PostgresConnection::ArrayOf(all_names);
  }
  std::string folders, names;
};

constexpr auto ReadBaseRow = [](auto in) -> std::pair<Slot, Entry> {
  Slot slot = ReadSlot(in);
  return {std::move(slot), ReadEntry(in)};
};

std::string SweepTrigger(const NamingColumn& column, const std::string& event) {
  return std::string("sweep_") + column.table + '_' + column.column + '_' + event;
}

// Of this process, as a row among the versions that were noted: less than any number of a version.
int64_t SweepMark() {
  static const int64_t mark = -1 - static_cast<int64_t>(std::stoull(RandomHex().substr(0, 15), nullptr, 16));
  return mark;
}

}  // namespace

Result<std::vector<std::optional<VersionInfo>>> FindVersionsTogether(PostgresConnection& connection,
                                                                     const std::vector<HashRef>& hashes) {
  const auto bytes_of = [](const HashRef& hash) {
    return hash.sha256() != nullptr ? BytesOf(*hash.sha256()) : BytesOf(*hash.xxh3());
  };
  std::vector<std::string_view> sha256, xxh3;
  for (const HashRef& hash : hashes) (hash.sha256() != nullptr ? sha256 : xxh3).push_back(bytes_of(hash));
  STAGEFS_ASSIGN_OR_RETURN(const auto rows,
                           AskAll(connection, ReadVersion, kFindTogether.c_str(), PostgresConnection::ArrayOf(sha256),
                                  PostgresConnection::ArrayOf(xxh3)));
  std::unordered_map<std::string_view, const VersionInfo*> found;
  for (const VersionInfo& version : rows) {
    found[BytesOf(version.content.sha256)] = found[BytesOf(version.content.xxh3)] = &version;
  }
  std::vector<std::optional<VersionInfo>> versions;
  versions.reserve(hashes.size());
  for (const HashRef& hash : hashes) {
    const auto at = found.find(bytes_of(hash));
    versions.push_back(at == found.end() ? std::nullopt : std::optional<VersionInfo>(*at->second));
  }
  return versions;
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
  const TreeView::Line& newest = base.lines().front();
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
  STAGEFS_RETURN_IF_ERROR(LookAtStaged(workspace, perhaps_staged));
  return LookAtBase(base, perhaps_in_base);
}

Status PostgresTransaction::LookAtStaged(WorkspaceId workspace, const std::vector<const Slot*>& slots) {
  if (slots.empty()) return {};
  const SlotArrays at(slots);
  STAGEFS_ASSIGN_OR_RETURN(const auto rows,
                           AskAll(*lease_, ReadStagedRow, kStagedAt.c_str(), workspace, at.folders, at.names));
  for (const auto& [slot, staged] : rows) {
    Expected& known = expected_[slot];
    known.staged = staged;
    known.was_staged = true;
  }
  return {};
}

Status PostgresTransaction::LookAtBase(const TreeView& view, const std::vector<const Slot*>& slots) {
  if (slots.empty()) return {};
  std::vector<int64_t> lineages, lasts;
  for (const TreeView::Line& line : view.lines()) {
    lineages.push_back(line.lineage);
    lasts.push_back(line.last);
  }
  const SlotArrays at(slots);
  STAGEFS_ASSIGN_OR_RETURN(
      const auto rows, AskAll(*lease_, ReadBaseRow, kBaseAt.c_str(), at.folders, at.names,
                              PostgresConnection::ArrayOf(lineages), PostgresConnection::ArrayOf(lasts)));
  for (const auto& [slot, entry] : rows) {
    if (entry.kind != EntryKind::kRemoved) expected_[slot].base = entry;
  }
  return {};
}

Status PostgresTransaction::EraseStagedAt(WorkspaceId workspace, const std::vector<const Slot*>& slots) {
  const SlotArrays at(slots);
  return Run(*lease_,
             "DELETE FROM staged_entry WHERE ctid = ANY (ARRAY(SELECT row.ctid"
             " FROM unnest(CAST(?2 AS BIGINT[]), CAST(?3 AS BYTEA[])) AS at (folder, name)"
             " CROSS JOIN LATERAL (SELECT s.ctid FROM staged_entry AS s WHERE workspace = ?1"
             " AND s.folder = at.folder AND s.name = at.name LIMIT 1) AS row))",
             workspace, at.folders, at.names);
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
  const auto& lines = view.lines();
  if (!lines.empty() && lines.front().lineage == expected_lineage_ && lines.front().last == expected_seq_) {
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
    rows.BeginRow(static_cast<int>(kStagedEntryTable.columns.size()));
    Add(rows, expected_workspace_);
    Add(rows, slot);
    Add(rows, *known.staged);  // Without a child: folders are written at once.
  }
  const auto expected = std::exchange(expected_, {});  // What `replaced` points into.
  if (!replaced.empty()) STAGEFS_RETURN_IF_ERROR(EraseStagedAt(expected_workspace_, replaced));
  if (rows.rows() == 0) return {};
  return lease_->Copy(kCopyStaged.c_str(), rows);
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
  STAGEFS_RETURN_IF_ERROR(lease_->Copy(MovingTable::At(copied_table_).copy.c_str(), copied_));
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

// Triggers note what comes to be named while they are enabled, which costs nobody anything at other times: they stay,
// as removing them would wait for readers, and enabling waits for nobody in this turn. Each note is a row of its own,
// so that nobody waits for another's. A sweep on another machine ends this one: its mark is gone then.
Status PostgresTransaction::BeginSweep() {
  std::string sql =
      "CREATE TABLE IF NOT EXISTS sweep_named (version BIGINT NOT NULL);"
      "CREATE INDEX IF NOT EXISTS sweep_named_by_version ON sweep_named (version);"
      "CREATE OR REPLACE FUNCTION sweep_note() RETURNS trigger LANGUAGE plpgsql AS $note$ BEGIN"
      " EXECUTE format('INSERT INTO sweep_named SELECT DISTINCT %1$I FROM named WHERE %1$I IS NOT NULL', TG_ARGV[0]);"
      " RETURN NULL; END $note$;"
      "DELETE FROM sweep_named; INSERT INTO sweep_named VALUES (" + std::to_string(SweepMark()) + ");";
  for (const NamingColumn& column : kNamingColumns) {
    for (const std::string event : {"insert", "update"}) {
      const std::string name = SweepTrigger(column, event), table = column.table;
      sql += "DO $make$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = '" + table +
             "'::regclass AND tgname = '" + name + "') THEN CREATE TRIGGER " + name + " AFTER " + event + " ON " +
             table + " REFERENCING NEW TABLE AS named FOR EACH STATEMENT EXECUTE FUNCTION sweep_note('" +
             column.column + "'); END IF; END $make$;ALTER TABLE " + table + " ENABLE TRIGGER " + name + ';';
    }
  }
  return lease_->Execute(sql);
}

Result<bool> PostgresTransaction::SweepVersion(VersionId id, int64_t before_ns) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto erase, lease_->Prepare("DELETE FROM version WHERE id = ?1 AND renewed_ns < ?2 AND synced = 1"
                                  " AND NOT EXISTS (SELECT 1 FROM sweep_named WHERE version = ?1)"
                                  " AND EXISTS (SELECT 1 FROM sweep_named WHERE version = ?3) RETURNING id"));
  erase.BindInt(1, id).BindInt(2, before_ns).BindInt(3, SweepMark());
  return erase.Step();
}

Status PostgresTransaction::EndSweep() {
  std::string sql = "DO $end$ BEGIN IF EXISTS (SELECT 1 FROM sweep_named WHERE version = " +
                    std::to_string(SweepMark()) + ") THEN ";
  for (const NamingColumn& column : kNamingColumns) {
    for (const char* event : {"insert", "update"}) {
      sql += std::string("ALTER TABLE ") + column.table + " DISABLE TRIGGER " + SweepTrigger(column, event) + ';';
    }
  }
  return lease_->Execute(sql + "DELETE FROM sweep_named;" + kForgetSparse + "; END IF; END $end$");
}

Status PostgresTransaction::Commit() {
  CarryThrough();  // Else nobody knows whether it was committed.
  STAGEFS_RETURN_IF_ERROR(WriteExpected());
  STAGEFS_RETURN_IF_ERROR(WriteRenewed());
  STAGEFS_RETURN_IF_ERROR(lease_->ExecuteTogether({notify_, "COMMIT"}));
  ended_ = true;
  lease_.End();
  turn_.End();
  committed_();
  return {};
}

}  // namespace stagefs
