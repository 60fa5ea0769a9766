// The tables of an index, described once: statements, what is copied, the tables of a new index and the columns that
// upgrades add are made from this, on SQLite and PostgreSQL alike.
//
// Names and paths are bytes: they need not be UTF-8. Times are nanoseconds since 1970. A kind is an EntryKind, a state
// a StagedState. sql_rows.h reads and writes the columns of a row in the order in which they stand here.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "stagefs/index_move.h"

namespace stagefs {

enum class ColumnType : uint8_t { kNumber, kText, kBytes };

struct IndexColumn {
  const char* name;
  ColumnType type;
  const char* about = "";
  bool may_be_null = false;
  bool is_unique = false;
  int since = 1;               // The layout that brought it, and
  const char* default_value = "";  // what rows of before have there.
};

// Numbers that the database gives to rows, in the first column.
enum class Numbering : uint8_t { kNone, kOfRows, kNeverAgain };

struct IndexTable {
  struct Ordered {
    const char* name;
    const char* columns;
    const char* where = "";
    int since = 1;  // The layout that brought it.
  };

  const char* name;
  const char* about;
  size_t keys;  // So many of the columns, the first ones.
  std::span<const IndexColumn> columns;
  Numbering numbering = Numbering::kNone;
  std::span<const Ordered> indexes = {};
  bool moves = true;             // With an index that moves into another database.
  const char* moving_rows = "";  // A condition: other rows do not.
  int since = 1;                 // The layout that brought it.
};

namespace columns {

constexpr IndexColumn Number(const char* name, const char* about = "") { return {name, ColumnType::kNumber, about}; }
constexpr IndexColumn Text(const char* name, const char* about = "") { return {name, ColumnType::kText, about}; }
constexpr IndexColumn Bytes(const char* name, const char* about = "") { return {name, ColumnType::kBytes, about}; }
constexpr IndexColumn OrNull(IndexColumn column) {
  column.may_be_null = true;
  return column;
}
constexpr IndexColumn Unique(IndexColumn column) {
  column.is_unique = true;
  return column;
}
constexpr IndexColumn Since(int version, IndexColumn column, const char* default_value = "") {
  column.since = version;
  column.default_value = default_value;
  return column;
}

inline constexpr IndexColumn kVersion[] = {
    Number("id"),
    Unique(Bytes("sha256", "32 bytes: the identity, and the file name in the version store")),
    Unique(Bytes("xxh3", "16 bytes: an alias; the constraint refuses a second meaning")),
    Number("size"),
    Number("stored_ns", "when its bytes first came; the mtime of entries staged by hash"),
    Number("renewed_ns", "last put, found or unstaged: gc leaves it alone for a while after"),
    Number("synced", "0 until its bytes survive power loss")};
inline constexpr IndexTable::Ordered kVersionOrders[] = {{"version_unsynced", "id", "synced = 0"}};

inline constexpr IndexColumn kSparseVersion[] = {Number("version"), Number("blocks", "of 512 bytes")};

inline constexpr IndexColumn kLineage[] = {
    Number("id"),
    OrNull(Number("parent", "NULL for the first")),
    OrNull(Number("fork_seq", "the last visible commit of the parent"))};

inline constexpr IndexColumn kCommit[] = {
    Number("seq", "grows with time: a child is larger than its parent"),
    Unique(Text("id", "32 hex digits, what users see")),
    Number("lineage"),
    OrNull(Number("parent", "seq")),
    Text("message"),
    Text("author"),
    Text("email"),
    Number("time_ns"),
    Since(2, OrNull(Number("merged", "seq: the second parent of a merge")))};
inline constexpr IndexTable::Ordered kCommitOrders[] = {{"commit_by_lineage", "lineage, seq"}};

inline constexpr IndexColumn kBranch[] = {
    Text("name"), Number("head", "commit seq"),
    Since(5, OrNull(Number("line", "the lineage that its own commits go on with")))};

inline constexpr IndexColumn kTag[] = {Text("name"),   Number("commit_seq"), Text("message"),
                                       Text("author"), Text("email"),        Number("time_ns")};

inline constexpr IndexColumn kFolder[] = {Number("id")};

inline constexpr IndexColumn kTreeEntry[] = {
    Number("folder"),
    Bytes("name"),
    Number("seq", "the commit"),
    Number("lineage"),
    Number("kind"),
    OrNull(Number("version", "files")),
    OrNull(Number("child", "folders")),
    Number("size"),
    Number("executable"),
    Number("mtime_ns"),
    Since(5, OrNull(Bytes("target", "symbolic links")))};
inline constexpr IndexTable::Ordered kTreeEntryOrders[] = {
    {"tree_entry_by_child", "child, seq", "child IS NOT NULL"}, {"tree_entry_by_commit", "seq, folder, name"}};

inline constexpr IndexColumn kWorkspace[] = {
    Number("id"),
    Unique(Text("uid", "what clients call its id")),
    OrNull(Unique(Text("name", "a named workspace continues after a commit"))),
    Text("branch"),
    Number("base", "commit seq"),
    Number("change_seq", "grows with every change, for other processes' mounts"),
    OrNull(Number("report", "version of the newest result report")),
    Number("created_ns")};

inline constexpr IndexColumn kStagedEntry[] = {
    Number("workspace"),
    Number("folder"),
    Bytes("name"),
    Number("kind"),
    Number("state", "0 kept (folder, time, scratch), 1 added, 2 modified, 3 removed"),
    Number("scratch", "1: visible in the mount, never staged; 2: while the finished file is beside it"),
    OrNull(Number("version")),
    OrNull(Number("child")),
    Number("size"),
    Number("executable"),
    Number("mtime_ns"),
    OrNull(Bytes("target", "symbolic links")),
    Since(5, OrNull(Number("permissions", "nine bits that a program set; NULL: as the mount says")))};
inline constexpr IndexTable::Ordered kStagedEntryOrders[] = {
    {"staged_entry_by_child", "workspace, child", "child IS NOT NULL"}};

inline constexpr IndexColumn kUnsyncedEntry[] = {
    Number("workspace"),
    Number("folder"),
    Bytes("name"),
    Number("version", "the version whose sync ends the doubt"),
    OrNull(Number("kind")),
    OrNull(Number("state")),
    OrNull(Number("scratch")),
    OrNull(Number("old", "version")),
    OrNull(Number("child")),
    OrNull(Number("size")),
    OrNull(Number("executable")),
    OrNull(Number("mtime_ns")),
    OrNull(Bytes("target")),
    Since(5, OrNull(Number("permissions")))};
inline constexpr IndexTable::Ordered kUnsyncedEntryOrders[] = {{"unsynced_entry_by_version", "version"}};

inline constexpr IndexColumn kFolderChange[] = {
    Number("workspace"), Number("folder"), Number("writer", "a mount's own number; 0: anybody else"), Number("seq")};
inline constexpr IndexTable::Ordered kFolderChangeOrders[] = {{"folder_change_by_seq", "workspace, seq"}};

inline constexpr IndexColumn kTakenBack[] = {
    Number("workspace"),
    Number("number", "of the change, counted for each workspace"),
    Number("item"),
    Bytes("path"),
    Number("version"),
    Number("size"),
    Number("executable"),
    Number("mtime_ns"),
    Number("taken_ns"),
    Text("actor"),
    Text("door")};
inline constexpr IndexTable::Ordered kTakenBackOrders[] = {{"taken_back_by_time", "taken_ns", "", 5}};

inline constexpr IndexColumn kInboxFile[] = {
    Number("workspace"),
    Bytes("directory", "the folder entries are staged into"),
    Bytes("name"),
    Number("version"),
    Number("size"),
    Number("mtime_ns")};

inline constexpr IndexColumn kWorkingCopy[] = {
    Text("file", "below incoming/"),
    Number("workspace"),
    Number("folder"),
    Bytes("name"),
    OrNull(Number("base_version", "what the path held when it was opened; NULL: nothing"))};

inline constexpr IndexColumn kMount[] = {
    Since(4, Text("host", "whose pids are meant"), "''"),
    Bytes("mountpoint"),
    Number("workspace"),
    // A mount of an older stagefs has no number, and is told of everything.
    Since(3, Number("writer", "the mount's own number"), "-1"),
    Number("pid"),
    Number("started", "of the process, in clock ticks since boot: a pid alone is reused"),
    Since(4, Number("seen_ns", "when it last said that it lives"), "0")};

inline constexpr IndexColumn kMeta[] = {Text("key"), Text("value")};

}  // namespace columns

inline constexpr IndexTable kVersionTable = {
    "version", "", 1, columns::kVersion, Numbering::kNeverAgain, columns::kVersionOrders};
inline constexpr IndexTable kSparseVersionTable = {
    .name = "sparse_version", .about = "Versions with holes, and what their files took when they came.",
    .keys = 1, .columns = columns::kSparseVersion, .since = 5};
inline constexpr IndexTable kLineageTable = {
    "lineage",
    "A lineage is a line of commits without forks. The rows visible from a commit are those of its own lineage up to"
    " it, and those of the parent lineage up to the fork.",
    1, columns::kLineage, Numbering::kOfRows};
inline constexpr IndexTable kCommitTable = {
    "commit_log", "", 1, columns::kCommit, Numbering::kNeverAgain, columns::kCommitOrders};
inline constexpr IndexTable kBranchTable = {"branch", "", 1, columns::kBranch};
inline constexpr IndexTable kTagTable = {
    .name = "tag", .about = "Names of commits that never move.", .keys = 1, .columns = columns::kTag, .since = 5};
inline constexpr IndexTable kFolderTable = {
    .name = "folder",
    .about = "Folders are identities, not paths: renaming one changes one name, whatever is in it. Folder 1 is the"
             " root.",
    .keys = 1, .columns = columns::kFolder, .numbering = Numbering::kNeverAgain, .moves = false};
inline constexpr IndexTable kTreeEntryTable = {
    "tree_entry",
    "What a commit changed. The entry of (folder, name) at a commit is the visible row with the largest seq.",
    3, columns::kTreeEntry, Numbering::kNone, columns::kTreeEntryOrders};
inline constexpr IndexTable kWorkspaceTable = {
    "workspace", "", 1, columns::kWorkspace, Numbering::kNeverAgain};
inline constexpr IndexTable kStagedEntryTable = {
    "staged_entry", "The rows a workspace lays over its base.",
    3, columns::kStagedEntry, Numbering::kNone, columns::kStagedEntryOrders};
inline constexpr IndexTable kUnsyncedEntryTable = {
    "unsynced_entry",
    "What was staged at a path before a close() whose bytes may not survive power loss yet. No row: nothing was.",
    3, columns::kUnsyncedEntry, Numbering::kNone, columns::kUnsyncedEntryOrders, /*moves=*/false};
inline constexpr IndexTable kFolderChangeTable = {
    "folder_change",
    "The newest change of each folder of a workspace, by who made it: what a mount looks at again.",
    3, columns::kFolderChange, Numbering::kNone, columns::kFolderChangeOrders, /*moves=*/false};
inline constexpr IndexTable kInboxFileTable = {
    "inbox_file", "Manifests and reports in .stagefs/inbox.", 3, columns::kInboxFile};
inline constexpr IndexTable kTakenBackTable = {
    .name = "taken_back", .about = "What was staged, and removed, unstaged or replaced before it was committed.",
    .keys = 3, .columns = columns::kTakenBack, .indexes = columns::kTakenBackOrders, .since = 5};
inline constexpr IndexTable kWorkingCopyTable = {
    .name = "working_copy",
    .about = "Working copies that fsync() made durable: after a crash they are staged if their path did not change.",
    .keys = 1, .columns = columns::kWorkingCopy, .moves = false};
inline constexpr IndexTable kMountTable = {
    .name = "mount", .about = "Live mounts. A row whose process is gone is dropped by whoever sees it.",
    .keys = 2, .columns = columns::kMount, .moves = false};
inline constexpr IndexTable kMetaTable = {
    .name = "meta", .about = "", .keys = 1, .columns = columns::kMeta,
    // Where the versions are, which boot was the last, and that it moved are each index's own.
    .moving_rows = "key <> 'versions' AND substr(key, 1, 3) <> 'mov' AND substr(key, 1, 4) <> 'boot'"};

inline constexpr const IndexTable* kIndexTables[] = {
    &kVersionTable,     &kLineageTable,     &kCommitTable,        &kBranchTable,        &kFolderTable,
    &kTreeEntryTable,   &kWorkspaceTable,   &kStagedEntryTable,   &kUnsyncedEntryTable, &kFolderChangeTable,
    &kInboxFileTable,   &kWorkingCopyTable, &kMountTable,         &kMetaTable,          &kSparseVersionTable,
    &kTagTable,         &kTakenBackTable};

// Every column that names a version. What gc must not remove is in one of them.
struct NamingColumn {
  const char *table, *column;
};
inline constexpr NamingColumn kNamingColumns[] = {{"tree_entry", "version"},     {"staged_entry", "version"},
                                                  {"unsynced_entry", "version"}, {"unsynced_entry", "old"},
                                                  {"working_copy", "base_version"}, {"inbox_file", "version"},
                                                  {"workspace", "report"}};
// Takes away what is known of versions that are gone, at a sweep's end.
inline constexpr const char* kForgetSparse =
    "DELETE FROM sparse_version WHERE NOT EXISTS (SELECT 1 FROM version WHERE id = sparse_version.version)";
// Of all rows, in a column that is called version.
std::string SelectNamedVersions();
// The same of `first` to `last`, where rows of trees also meet `of_trees`.
std::string SelectNamedBetween(const std::string& first, const std::string& last, const std::string& of_trees);

// Parts of statements. Names of columns from number `from` on, after commas: "name, head".
std::string ColumnsOf(const IndexTable& table, size_t from = 0);
std::string Select(const IndexTable& table, size_t from = 0);
std::string Insert(const IndexTable& table);
// Without the number that the database gives.
std::string InsertNew(const IndexTable& table);
// What follows an Insert(): " ON CONFLICT (its key) DO ", and " … UPDATE SET" of everything but the key.
std::string OnConflict(const IndexTable& table);
std::string OrReplace(const IndexTable& table);

// How a database says what tables are made of.
struct SqlDialect {
  const char *number, *text, *bytes;
  const char *number_of_rows, *number_never_again;  // Columns by Numbering.
  const char *end, *end_of_numbered;                // What follows a table.
};

// Makes the tables of a new index, and the root folder.
std::string LayOutSql(const SqlDialect& dialect);
// One step of an upgrade: tables, columns and indexes whose `since` is `version`, to those of the layout before.
std::string StepSql(const SqlDialect& dialect, int version);
// The same for one table by making it anew, as where its key changed.
std::string RebuildSql(const SqlDialect& dialect, const IndexTable& table, int version);

// The statements that copy a table that moves; kept, as connections keep them by address.
struct MovingTable {
  const IndexTable* table;
  std::string first_page, next_page, insert;
  std::string copy;  // COPY's, in binary: PostgreSQL's.

  // `table` is less than kMovedTables.
  static const MovingTable& At(size_t table);
};

// As a literal of SQL.
std::string SqlText(std::string_view text);

}  // namespace stagefs
