#include "index/postgres/postgres.h"
#include "index/sqlite/sqlite.h"
#include "index_tables.h"
#include "sql_changes.h"
#include "sql_rows.h"

namespace stagefs {
namespace {

// So many rows of one name are read before the rest of them is passed over, which costs two look-ups.
constexpr size_t kRowsOfNameMax = 8;
// Rows of one name that are looked at together for the newest visible one.
constexpr int64_t kRowsTogether = 16;

const std::string kFindBranch = Select(kBranchTable) + " WHERE name = ?1";
const std::string kListBranches = Select(kBranchTable) + " ORDER BY name";
const std::string kPutBranch = Insert(kBranchTable) + OrReplace(kBranchTable);
const std::string kFindTag = Select(kTagTable) + " WHERE name = ?1";
const std::string kListTags = Select(kTagTable) + " ORDER BY name";
const std::string kPutTag = Insert(kTagTable) + OrReplace(kTagTable);
const std::string kGetCommit = Select(kCommitTable) + " WHERE seq = ?1";
const std::string kFindCommit = Select(kCommitTable) + " WHERE id = ?1";
const std::string kFindCommits = Select(kCommitTable) + " WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
const std::string kAddCommit = InsertNew(kCommitTable) + " RETURNING seq";
const std::string kAddLineage = InsertNew(kLineageTable) + " RETURNING id";

constexpr const char* kViewOf =
    "WITH RECURSIVE line (id, last) AS (SELECT lineage, seq FROM commit_log WHERE seq = ?1 UNION ALL"
    " SELECT lineage.parent, lineage.fork_seq FROM line JOIN lineage ON lineage.id = line.id"
    " WHERE lineage.parent IS NOT NULL) SELECT id, last FROM line ORDER BY id DESC";

// Rows of one name, newest first; `more` comes after lineage and seq.
std::string NewestFirst(const std::string& more) {
  return "SELECT lineage, seq" + more +
         " FROM tree_entry WHERE folder = ?1 AND name = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4";
}
const std::string kNewestEntries = NewestFirst(", " + ColumnsOf(kTreeEntryTable, kEntryOfTree));
const std::string kNewestCommits = NewestFirst("");
const std::string kListBase = "SELECT name, lineage, seq, " + ColumnsOf(kTreeEntryTable, kEntryOfTree) +
                              " FROM tree_entry WHERE folder = ?1 AND name > ?2 ORDER BY name, seq LIMIT ?3";
const std::string kPutTreeEntry = Insert(kTreeEntryTable) + OrReplace(kTreeEntryTable);
const std::string kMoveStaged =
    "INSERT INTO tree_entry (" + ColumnsOf(kTreeEntryTable) +
    ") SELECT folder, name, CAST(?2 AS BIGINT), CAST(?3 AS BIGINT), CASE state WHEN 3 THEN 0 ELSE kind END,"
    " CASE state WHEN 3 THEN NULL ELSE version END, CASE state WHEN 3 THEN NULL ELSE child END, size, executable,"
    " mtime_ns, CASE state WHEN 3 THEN NULL ELSE target END FROM staged_entry WHERE workspace = ?1 AND state <> 0" +
    OrReplace(kTreeEntryTable);

// Reads rows until `view` shows one.
template <class C, class Read>
auto NewestShown(C& connection, const std::string& newest_first, const TreeView& view, FolderId folder,
                 std::string_view name, Read read)
    -> Result<std::optional<decltype(read(std::declval<typename C::Statement&>()))>> {
  using Answer = std::optional<decltype(read(std::declval<typename C::Statement&>()))>;
  for (CommitSeq before = INT64_MAX;;) {
    STAGEFS_ASSIGN_OR_RETURN(auto query,
                             Prepared(connection, newest_first.c_str(), folder, name, before, kRowsTogether));
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

// A page of ListBase(): rows come oldest first for each name, and the newest visible one counts.
class BasePage {
 public:
  BasePage(const TreeView& view, std::string_view after, size_t limit) : view_(view), from_(after), limit_(limit) {}

  bool IsFull() const { return entries_.size() == limit_; }
  // After which name the next query begins: the rest of one that was cut off is read again.
  const std::string& from() const { return from_; }
  std::vector<Named<Entry>>& entries() { return entries_; }

  // Reads rows of name, lineage, seq and an entry. False: there are none after them.
  template <class Statement>
  Result<bool> TakeRows(Statement& rows, size_t rows_max) {
    rows_of_name_ = 0;
    newest_.reset();
    for (size_t seen = 0; !IsFull() && !IsLong(); ++seen) {
      STAGEFS_ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more && seen < rows_max) TakeName();
      if (!more) return seen == rows_max;
      if (rows.Blob(0) != name_) TakeName();
      if (IsFull()) break;
      if (rows_of_name_++ == 0) name_ = rows.Blob(0);
      if (view_.Shows(rows.Int(1), rows.Int(2))) newest_ = ReadEntry(RowIn(rows, 3));
    }
    return true;
  }
  // Whether the name it stopped at has many rows.
  bool IsLong() const { return rows_of_name_ > kRowsOfNameMax; }
  const std::string& name() const { return name_; }
  // Instead of the rest of its rows.
  void TakeNewest(std::optional<Entry> newest) {
    newest_ = std::move(newest);
    TakeName();
  }

 private:
  void TakeName() {
    if (newest_ && newest_->kind != EntryKind::kRemoved) entries_.push_back({name_, std::move(*newest_)});
    newest_.reset();
    if (rows_of_name_ > 0) from_ = name_;
    rows_of_name_ = 0;
  }

  const TreeView& view_;
  std::string from_, name_;
  const size_t limit_;
  std::vector<Named<Entry>> entries_;
  std::optional<Entry> newest_;
  size_t rows_of_name_ = 0;
};

}  // namespace

template <class I, class C>
Result<std::optional<BranchInfo>> SqlHistoryQuestions<I, C>::FindBranch(const std::string& name) {
  return AskNamed(connection(), ReadBranch, kFindBranch.c_str(), name);
}

template <class I, class C>
Result<std::vector<BranchInfo>> SqlHistoryQuestions<I, C>::ListBranches() {
  return AskAll(connection(), ReadBranch, kListBranches.c_str());
}

template <class I, class C>
Result<std::optional<CommitInfo>> SqlHistoryQuestions<I, C>::GetCommit(CommitSeq seq) {
  return AskFirst(connection(), ReadCommit, kGetCommit.c_str(), seq);
}

template <class I, class C>
Result<std::optional<CommitInfo>> SqlHistoryQuestions<I, C>::FindCommit(const std::string& id) {
  return AskNamed(connection(), ReadCommit, kFindCommit.c_str(), id);
}

// Ids are hex digits, after which comes 'g'.
template <class I, class C>
Result<std::vector<CommitInfo>> SqlHistoryQuestions<I, C>::FindCommits(const std::string& prefix, size_t limit) {
  const std::string end = prefix + 'g';
  return AskAll(connection(), ReadCommit, kFindCommits.c_str(), AsText{prefix}, AsText{end}, limit);
}

template <class I, class C>
Result<std::optional<TagInfo>> SqlHistoryQuestions<I, C>::FindTag(const std::string& name) {
  return AskNamed(connection(), ReadTag, kFindTag.c_str(), name);
}

template <class I, class C>
Result<std::vector<TagInfo>> SqlHistoryQuestions<I, C>::ListTags() {
  return AskAll(connection(), ReadTag, kListTags.c_str());
}

template <class I, class C>
Result<TreeView> SqlHistoryQuestions<I, C>::ViewOf(CommitSeq seq) {
  const auto read = [](auto in) -> TreeView::Line {
    const int64_t lineage = in.Number();
    return {lineage, in.Number()};
  };
  STAGEFS_ASSIGN_OR_RETURN(std::vector<TreeView::Line> lines, AskAll(connection(), read, kViewOf, seq));
  if (lines.empty()) return Error(ErrorCode::kNotFound, "no commit number " + std::to_string(seq));
  return TreeView(std::move(lines));
}

template <class I, class C>
Result<std::optional<Entry>> SqlHistoryQuestions<I, C>::LookUpBase(const TreeView& view, FolderId folder,
                                                                   std::string_view name) {
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry,
                           NewestShown(connection(), kNewestEntries, view, folder, name,
                                       [](const auto& row) { return ReadEntry(RowIn(row, 2)); }));
  if (!entry || entry->kind == EntryKind::kRemoved) return std::optional<Entry>();
  return std::optional<Entry>(std::move(*entry));
}

// Where a name has many rows, its newest is looked up and the rest passed over, so that a folder whose files change
// with each commit lists as quickly as any other.
template <class I, class C>
Result<std::vector<Named<Entry>>> SqlHistoryQuestions<I, C>::ListBase(const TreeView& view, FolderId folder,
                                                                      std::string_view after, size_t limit) {
  BasePage page(view, after, limit);
  // More than those of one name, so that each query gets further.
  const size_t together = std::max(limit, 2 * kRowsOfNameMax) + 1;
  for (bool more = true; more && !page.IsFull();) {
    const std::string began_at = page.from();
    STAGEFS_ASSIGN_OR_RETURN(auto query, Prepared(connection(), kListBase.c_str(), folder, began_at, together));
    STAGEFS_ASSIGN_OR_RETURN(more, page.TakeRows(query, together));
    if (!page.IsLong()) continue;
    STAGEFS_ASSIGN_OR_RETURN(auto newest, LookUpBase(view, folder, page.name()));
    page.TakeNewest(std::move(newest));
  }
  return std::move(page.entries());
}

template <class I, class C>
Result<std::optional<CommitSeq>> SqlHistoryQuestions<I, C>::LastCommitOf(const TreeView& view, const Slot& slot) {
  return NewestShown(connection(), kNewestCommits, view, slot.folder, slot.name,
                     [](const auto& row) { return CommitSeq(row.Int(1)); });
}

template <class I, class C>
Result<bool> SqlHistoryQuestions<I, C>::HasBaseRows(FolderId folder) {
  return AskWhether(connection(), "SELECT 1 FROM tree_entry WHERE folder = ?1 LIMIT 1", folder);
}

template <class I, class C>
Result<std::optional<Slot>> SqlHistoryQuestions<I, C>::PlaceInBase(const TreeView& view, FolderId child) {
  STAGEFS_ASSIGN_OR_RETURN(
      auto query, Prepared(connection(), "SELECT folder, name, lineage, seq FROM tree_entry WHERE child = ?1"
                                         " ORDER BY seq DESC", child));
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const bool more, query.Step());
    if (!more) return std::optional<Slot>();
    if (!view.Shows(query.Int(2), query.Int(3))) continue;
    // The newest placing counts only if its row was not replaced by a later one.
    Slot slot = ReadOneSlot(RowIn(query));
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> now, LookUpBase(view, slot.folder, slot.name));
    if (now && now->child == child) return std::optional<Slot>(std::move(slot));
    return std::optional<Slot>();
  }
}

template <class I, class C>
Result<std::vector<Slot>> SqlHistoryQuestions<I, C>::ListCommitted(CommitSeq seq, const std::optional<Slot>& after,
                                                                   size_t limit) {
  return AskAll(connection(), ReadOneSlot,
                "SELECT folder, name FROM tree_entry WHERE seq = ?1 AND (folder, name) > (?2, ?3)"
                " ORDER BY folder, name LIMIT ?4",
                seq, after.value_or(Slot{0, ""}), limit);
}

template <class C>
Status SqlHistoryChanges<C>::PutBranch(const BranchInfo& branch) {
  return Run(connection(), kPutBranch.c_str(), branch);
}

template <class C>
Status SqlHistoryChanges<C>::EraseBranch(const std::string& name) {
  return Run(connection(), "DELETE FROM branch WHERE name = ?1", AsText{name});
}

template <class C>
Status SqlHistoryChanges<C>::PutTag(const TagInfo& tag) {
  return Run(connection(), kPutTag.c_str(), tag);
}

template <class C>
Status SqlHistoryChanges<C>::EraseTag(const std::string& name) {
  return Run(connection(), "DELETE FROM tag WHERE name = ?1", AsText{name});
}

template <class C>
Result<int64_t> SqlHistoryChanges<C>::LineageOn(CommitSeq parent, const std::string& branch) {
  std::optional<int64_t> line, fork;
  if (parent != 0) {
    STAGEFS_ASSIGN_OR_RETURN(const auto info, this->GetCommit(parent));
    if (!info) return Error(ErrorCode::kNotFound, "the parent commit is gone");
    STAGEFS_ASSIGN_OR_RETURN(
        const bool forks,
        AskWhether(connection(), "SELECT 1 FROM commit_log WHERE lineage = ?1 AND seq > ?2 UNION ALL"
                                 " SELECT 1 FROM branch WHERE line = ?1 AND head = ?2 AND name <> ?3 LIMIT 1",
                   info->lineage, info->seq, AsText{branch}));
    if (!forks) return info->lineage;
    line = info->lineage;
    fork = info->seq;
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto added, RunAndNumber(connection(), kAddLineage.c_str(), line, fork));
  return *added;
}

template <class C>
Result<CommitInfo> SqlHistoryChanges<C>::AddCommit(CommitInfo commit, const std::string& branch) {
  STAGEFS_ASSIGN_OR_RETURN(commit.lineage, LineageOn(commit.parent, branch));
  STAGEFS_ASSIGN_OR_RETURN(const auto added, RunAndNumber(connection(), kAddCommit.c_str(), commit));
  commit.seq = *added;
  return commit;
}

template <class C>
Result<FolderId> SqlHistoryChanges<C>::NewFolder() {
  STAGEFS_ASSIGN_OR_RETURN(const auto added,
                           RunAndNumber(connection(), "INSERT INTO folder DEFAULT VALUES RETURNING id"));
  // The index remembers the largest number ever given; the row itself is not needed.
  STAGEFS_RETURN_IF_ERROR(Run(connection(), "DELETE FROM folder WHERE id = ?1 AND id > 1", *added));
  return *added;
}

template <class C>
Status SqlHistoryChanges<C>::PutTreeEntry(const CommitInfo& commit, const Slot& slot, const Entry& entry) {
  return Run(connection(), kPutTreeEntry.c_str(), slot, commit.seq, commit.lineage, entry);
}

template <class C>
Result<int64_t> SqlHistoryChanges<C>::MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) {
  STAGEFS_ASSIGN_OR_RETURN(
      const int64_t count, RunAndCount(connection(), kMoveStaged.c_str(), workspace, commit.seq, commit.lineage));
  STAGEFS_RETURN_IF_ERROR(Run(
      connection(),
      "DELETE FROM staged_entry WHERE workspace = ?1 AND state <> 0 AND (state <> 3 OR kind = 0)", workspace));
  STAGEFS_RETURN_IF_ERROR(
      Run(connection(), "UPDATE staged_entry SET state = 0 WHERE workspace = ?1 AND state = 3", workspace));
  return count;
}

template class SqlHistoryQuestions<IndexReader, SqliteConnection>;
template class SqlHistoryQuestions<IndexTransaction, SqliteConnection>;
template class SqlHistoryQuestions<IndexReader, PostgresConnection>;
template class SqlHistoryQuestions<IndexTransaction, PostgresConnection>;
template class SqlHistoryChanges<SqliteConnection>;
template class SqlHistoryChanges<PostgresConnection>;

}  // namespace stagefs
