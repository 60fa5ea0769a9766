// Rows between SQL and the structs of index_rows.h, their columns in the order in which index_tables.h describes them;
// and statements that are asked with values and answer with rows.
#pragma once

#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stagefs/index_move.h"
#include "stagefs/index_rows.h"
#include "stagefs/text.h"

namespace stagefs {

// Where what an entry is begins, and what is staged: after what names the row.
constexpr size_t kEntryOfTree = 4, kStagedOfEntry = 3;
constexpr int64_t kScratchUnfinished = 2;

// The columns of a row, one after the other. NULL reads as 0 and as nothing.
template <class Statement>
class RowIn {
 public:
  explicit RowIn(const Statement& row, int column = 0) : row_(row), column_(column) {}

  int64_t Number() { return row_.Int(column_++); }
  std::optional<int64_t> NumberOrNull() {
    const int column = column_++;
    return row_.IsNull(column) ? std::nullopt : std::optional<int64_t>(row_.Int(column));
  }
  std::string Text() { return std::string(row_.Text(column_++)); }
  std::optional<std::string> TextOrNull() {
    const int column = column_++;
    return row_.IsNull(column) ? std::nullopt : std::optional<std::string>(row_.Text(column));
  }
  std::string Bytes() { return std::string(row_.Blob(column_++)); }
  template <size_t N>
  std::array<uint8_t, N> Array() {
    std::array<uint8_t, N> bytes{};
    const std::string_view blob = row_.Blob(column_++);
    assert(blob.size() == N);
    std::memcpy(bytes.data(), blob.data(), std::min(blob.size(), N));
    return bytes;
  }
  bool IsNull() const { return row_.IsNull(column_); }

 private:
  const Statement& row_;
  int column_;
};

constexpr auto ReadNumber = [](auto in) -> int64_t { return in.Number(); };
constexpr auto ReadText = [](auto in) -> std::string { return in.Text(); };

constexpr auto ReadVersion = [](auto in) -> VersionInfo {
  VersionInfo version;
  version.id = in.Number();
  version.content.sha256 = in.template Array<32>();
  version.content.xxh3 = in.template Array<16>();
  version.size_bytes = static_cast<uint64_t>(in.Number());
  version.stored_ns = in.Number();
  version.renewed_ns = in.Number();
  version.synced = in.Number() != 0;
  return version;
};

constexpr auto ReadSparse = [](auto in) -> SparseVersion {
  SparseVersion sparse;
  sparse.version = in.Number();
  sparse.blocks = in.Number();
  return sparse;
};

constexpr auto ReadCommit = [](auto in) -> CommitInfo {
  CommitInfo commit;
  commit.seq = in.Number();
  commit.id = in.Text();
  commit.lineage = in.Number();
  commit.parent = in.Number();
  commit.message = in.Text();
  commit.author = in.Text();
  commit.email = in.Text();
  commit.time_ns = in.Number();
  commit.merged = in.Number();
  return commit;
};

constexpr auto ReadBranch = [](auto in) -> BranchInfo {
  BranchInfo branch;
  branch.name = in.Text();
  branch.head = in.Number();
  branch.line = in.Number();
  return branch;
};

constexpr auto ReadTag = [](auto in) -> TagInfo {
  TagInfo tag;
  tag.name = in.Text();
  tag.commit = in.Number();
  tag.message = in.Text();
  tag.author = in.Text();
  tag.email = in.Text();
  tag.time_ns = in.Number();
  return tag;
};

constexpr auto ReadWorkspace = [](auto in) -> WorkspaceInfo {
  WorkspaceInfo workspace;
  workspace.id = in.Number();
  workspace.uid = in.Text();
  workspace.name = in.TextOrNull();
  workspace.branch = in.Text();
  workspace.base = in.Number();
  workspace.change_seq = in.Number();
  workspace.report = in.NumberOrNull();
  workspace.created_ns = in.Number();
  return workspace;
};

constexpr auto ReadSlot = [](auto& in) -> Slot {
  Slot slot;
  slot.folder = in.Number();
  slot.name = in.Bytes();
  return slot;
};
constexpr auto ReadOneSlot = [](auto in) -> Slot { return ReadSlot(in); };

constexpr auto ReadWhatItIs = [](auto& in, Entry* entry) {
  entry->version = in.Number();
  entry->child = in.Number();
  entry->size_bytes = static_cast<uint64_t>(in.Number());
  entry->executable = in.Number() != 0;
  entry->mtime_ns = in.Number();
};

constexpr auto ReadEntry = [](auto in) -> Entry {
  Entry entry;
  entry.kind = static_cast<EntryKind>(in.Number());
  ReadWhatItIs(in, &entry);
  entry.target = in.Bytes();
  return entry;
};

constexpr auto ReadStaged = [](auto in) -> StagedEntry {
  StagedEntry staged;
  staged.entry.kind = static_cast<EntryKind>(in.Number());
  staged.state = static_cast<StagedState>(in.Number());
  const int64_t scratch = in.Number();
  staged.entry.scratch = scratch != 0;
  staged.entry.unfinished = scratch == kScratchUnfinished;
  ReadWhatItIs(in, &staged.entry);
  staged.entry.target = in.Bytes();
  if (const auto bits = in.NumberOrNull()) staged.entry.permissions = static_cast<uint16_t>(*bits);
  return staged;
};

// With its slot before it.
constexpr auto ReadStagedRow = [](auto in) -> StagedRow {
  StagedRow row;
  row.slot = ReadSlot(in);
  row.staged = ReadStaged(in);
  return row;
};

constexpr auto ReadUnsynced = [](auto in) -> UnsyncedEntry {
  UnsyncedEntry entry;
  entry.workspace = in.Number();
  entry.slot = ReadSlot(in);
  entry.version = in.Number();
  if (!in.IsNull()) entry.previous = ReadStaged(in);
  return entry;
};

constexpr auto ReadTakenBack = [](auto in) -> TakenBack {
  TakenBack taken;
  taken.workspace = in.Number();
  taken.number = in.Number();
  taken.item = in.Number();
  taken.path = in.Bytes();
  taken.entry.kind = EntryKind::kFile;
  taken.entry.version = in.Number();
  taken.entry.size_bytes = static_cast<uint64_t>(in.Number());
  taken.entry.executable = in.Number() != 0;
  taken.entry.mtime_ns = in.Number();
  taken.taken_ns = in.Number();
  taken.actor = in.Text();
  taken.door = in.Text();
  return taken;
};

// Without its workspace.
constexpr auto ReadInbox = [](auto in) -> InboxFile {
  InboxFile file;
  file.directory = in.Bytes();
  file.name = in.Bytes();
  file.version = in.Number();
  file.size_bytes = static_cast<uint64_t>(in.Number());
  file.mtime_ns = in.Number();
  return file;
};

constexpr auto ReadWorkingCopy = [](auto in) -> WorkingCopyRow {
  WorkingCopyRow row;
  row.file = in.Text();
  row.workspace = in.Number();
  row.slot = ReadSlot(in);
  row.base_version = in.NumberOrNull();
  return row;
};

constexpr auto ReadMount = [](auto in) -> MountRow {
  MountRow row;
  row.host = in.Text();
  row.mountpoint = in.Bytes();
  row.workspace = in.Number();
  row.writer = in.Number();
  row.pid = in.Number();
  row.started = in.Number();
  row.seen_ns = in.Number();
  return row;
};

// The parameters of a statement, one after the other. CopyRows (postgres.h) takes the same.
template <class Statement>
class ParametersOut {
 public:
  explicit ParametersOut(Statement& statement) : statement_(statement) {}

  void AddInt(int64_t value) { statement_.BindInt(next_++, value); }
  void AddBlob(std::string_view bytes) { statement_.BindBlob(next_++, bytes); }
  void AddText(std::string_view text) { statement_.BindText(next_++, text); }
  void AddNull() { ++next_; }

 private:
  Statement& statement_;
  int next_ = 1;
};

// Text as a value; other strings are bytes.
struct AsText {
  std::string_view text;
};

// Adds values, the columns of a struct as its table has them. Strings must live until the statement is stepped.
template <class Out, std::integral T>
void Add(Out& out, T number) {
  out.AddInt(static_cast<int64_t>(number));
}
template <class Out>
void Add(Out& out, std::string_view bytes) {
  out.AddBlob(bytes);
}
template <class Out>
void Add(Out& out, AsText text) {
  out.AddText(text.text);
}
template <class Out>
void Add(Out& out, const std::optional<int64_t>& number) {
  number ? out.AddInt(*number) : out.AddNull();
}
// As a reference: 0 is none.
template <class Out>
void AddReference(Out& out, int64_t number) {
  number != 0 ? out.AddInt(number) : out.AddNull();
}
template <class Out>
void Add(Out& out, const Slot& slot) {
  out.AddInt(slot.folder);
  out.AddBlob(slot.name);
}
// Without the number of the row.
template <class Out>
void Add(Out& out, const VersionInfo& version) {
  out.AddBlob(BytesOf(version.content.sha256));
  out.AddBlob(BytesOf(version.content.xxh3));
  Add(out, version.size_bytes);
  out.AddInt(version.stored_ns);
  out.AddInt(version.renewed_ns);
  Add(out, version.synced);
}
// Without the number of the row.
template <class Out>
void Add(Out& out, const CommitInfo& commit) {
  out.AddText(commit.id);
  out.AddInt(commit.lineage);
  AddReference(out, commit.parent);
  out.AddText(commit.message);
  out.AddText(commit.author);
  out.AddText(commit.email);
  out.AddInt(commit.time_ns);
  AddReference(out, commit.merged);
}
template <class Out>
void Add(Out& out, const BranchInfo& branch) {
  out.AddText(branch.name);
  out.AddInt(branch.head);
  AddReference(out, branch.line);
}
template <class Out>
void Add(Out& out, const TagInfo& tag) {
  out.AddText(tag.name);
  out.AddInt(tag.commit);
  out.AddText(tag.message);
  out.AddText(tag.author);
  out.AddText(tag.email);
  out.AddInt(tag.time_ns);
}
// Without the number of the row.
template <class Out>
void Add(Out& out, const WorkspaceInfo& workspace) {
  out.AddText(workspace.uid);
  workspace.name ? out.AddText(*workspace.name) : out.AddNull();
  out.AddText(workspace.branch);
  out.AddInt(workspace.base);
  out.AddInt(workspace.change_seq);
  Add(out, workspace.report);
  out.AddInt(workspace.created_ns);
}
template <class Out>
void AddWhatItIs(Out& out, const Entry& entry) {
  AddReference(out, entry.version);
  AddReference(out, entry.child);
  Add(out, entry.size_bytes);
  Add(out, entry.executable);
  out.AddInt(entry.mtime_ns);
}
template <class Out>
void AddTarget(Out& out, const Entry& entry) {
  entry.target.empty() ? out.AddNull() : out.AddBlob(entry.target);
}
template <class Out>
void Add(Out& out, const Entry& entry) {
  out.AddInt(static_cast<int64_t>(entry.kind));
  AddWhatItIs(out, entry);
  AddTarget(out, entry);
}
template <class Out>
void Add(Out& out, const StagedEntry& staged) {
  out.AddInt(static_cast<int64_t>(staged.entry.kind));
  out.AddInt(static_cast<int64_t>(staged.state));
  Add(out, staged.entry.unfinished ? kScratchUnfinished : static_cast<int64_t>(staged.entry.scratch));
  AddWhatItIs(out, staged.entry);
  AddTarget(out, staged.entry);
  staged.entry.permissions ? out.AddInt(*staged.entry.permissions) : out.AddNull();
}
template <class Out>
void Add(Out& out, const TakenBack& taken) {
  out.AddInt(taken.workspace);
  out.AddInt(taken.number);
  out.AddInt(taken.item);
  out.AddBlob(taken.path);
  out.AddInt(taken.entry.version);
  Add(out, taken.entry.size_bytes);
  Add(out, taken.entry.executable);
  out.AddInt(taken.entry.mtime_ns);
  out.AddInt(taken.taken_ns);
  out.AddText(taken.actor);
  out.AddText(taken.door);
}
// Without its workspace.
template <class Out>
void Add(Out& out, const InboxFile& file) {
  out.AddBlob(file.directory);
  out.AddBlob(file.name);
  out.AddInt(file.version);
  Add(out, file.size_bytes);
  out.AddInt(file.mtime_ns);
}
template <class Out>
void Add(Out& out, const WorkingCopyRow& row) {
  out.AddText(row.file);
  out.AddInt(row.workspace);
  Add(out, row.slot);
  Add(out, row.base_version);
}
template <class Out>
void Add(Out& out, const MountRow& row) {
  out.AddText(row.host);
  out.AddBlob(row.mountpoint);
  out.AddInt(row.workspace);
  out.AddInt(row.writer);
  out.AddInt(row.pid);
  out.AddInt(row.started);
  out.AddInt(row.seen_ns);
}

// A statement on `connection` with its parameters; `sql` is kept by address.
template <class C, class... Values>
Result<typename C::Statement> Prepared(C& connection, const char* sql, const Values&... values) {
  STAGEFS_ASSIGN_OR_RETURN(auto statement, connection.Prepare(sql));
  ParametersOut out(statement);
  (Add(out, values), ...);
  return statement;
}

// The rows of a statement, each as `read` reads it.
template <class Statement, class Read>
auto AllRows(Statement& statement, Read read) -> Result<std::vector<decltype(read(RowIn(statement)))>> {
  std::vector<decltype(read(RowIn(statement)))> rows;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const bool more, statement.Step());
    if (!more) return rows;
    rows.push_back(read(RowIn(statement)));
  }
}

// Asks for all rows, or for the first one.
template <class C, class Read, class... Values>
auto AskAll(C& connection, Read read, const char* sql, const Values&... values)
    -> Result<std::vector<decltype(read(RowIn(std::declval<typename C::Statement&>())))>> {
  STAGEFS_ASSIGN_OR_RETURN(auto statement, Prepared(connection, sql, values...));
  return AllRows(statement, read);
}

template <class C, class Read, class... Values>
auto AskFirst(C& connection, Read read, const char* sql, const Values&... values)
    -> Result<std::optional<decltype(read(RowIn(std::declval<typename C::Statement&>())))>> {
  using Row = decltype(read(RowIn(std::declval<typename C::Statement&>())));
  STAGEFS_ASSIGN_OR_RETURN(auto statement, Prepared(connection, sql, values...));
  STAGEFS_ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return std::optional<Row>();
  return std::optional<Row>(read(RowIn(statement)));
}

// The row of a name that somebody wrote. Text is UTF-8 without NUL: other bytes name nothing, and PostgreSQL refuses to
// look for them.
template <class C, class Read>
auto AskNamed(C& connection, Read read, const char* sql, const std::string& name)
    -> decltype(AskFirst(connection, read, sql, AsText{name})) {
  if (!IsValidUtf8(name) || name.find('\0') != std::string::npos) return std::nullopt;
  return AskFirst(connection, read, sql, AsText{name});
}

template <class C, class... Values>
Result<bool> AskWhether(C& connection, const char* sql, const Values&... values) {
  STAGEFS_ASSIGN_OR_RETURN(auto statement, Prepared(connection, sql, values...));
  return statement.Step();
}

// For a statement that always answers with one number.
template <class C, class... Values>
Result<int64_t> AskNumber(C& connection, const char* sql, const Values&... values) {
  STAGEFS_ASSIGN_OR_RETURN(auto statement, Prepared(connection, sql, values...));
  STAGEFS_RETURN_IF_ERROR(statement.Step().WithoutValue());
  return statement.Int(0);
}

template <class C, class... Values>
Status Run(C& connection, const char* sql, const Values&... values) {
  STAGEFS_ASSIGN_OR_RETURN(auto statement, Prepared(connection, sql, values...));
  return statement.Run();
}

// Returns how many rows it inserted, changed or deleted.
template <class C, class... Values>
Result<int64_t> RunAndCount(C& connection, const char* sql, const Values&... values) {
  STAGEFS_ASSIGN_OR_RETURN(auto statement, Prepared(connection, sql, values...));
  STAGEFS_RETURN_IF_ERROR(statement.Step().WithoutValue());
  return connection.changes();
}

// Returns the number of the row that a statement with RETURNING inserted; std::nullopt if it inserted none.
template <class C, class... Values>
Result<std::optional<int64_t>> RunAndNumber(C& connection, const char* sql, const Values&... values) {
  STAGEFS_ASSIGN_OR_RETURN(auto statement, Prepared(connection, sql, values...));
  STAGEFS_ASSIGN_OR_RETURN(const bool inserted, statement.Step());
  if (!inserted) return std::optional<int64_t>();
  const int64_t number = statement.Int(0);
  STAGEFS_RETURN_IF_ERROR(statement.Step().WithoutValue());
  return std::optional<int64_t>(number);
}

}  // namespace stagefs
