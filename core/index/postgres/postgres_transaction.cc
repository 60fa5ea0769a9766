#include "postgres_transaction.h"

#include <algorithm>

#include "index/index_tables.h"

namespace stagefs {
namespace {

constexpr size_t kExpectedMax = 65'536;
constexpr int64_t kNewFoldersMax = 1'024;
constexpr size_t kCopyBytes = 8 << 20;

}  // namespace

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
  STAGEFS_RETURN_IF_ERROR(lease_->ExecuteTogether({notify_, "COMMIT"}));
  ended_ = true;
  committed_();
  return {};
}

}  // namespace stagefs
