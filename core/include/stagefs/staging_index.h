// The metadata of one repository: versions, commits, trees, workspaces and what is staged in them.
//
// The index keeps rows and answers questions; what a row means is decided by the callers (core/tree/overlay.cc,
// core/history/commit.cc), so that SQLite here and PostgreSQL later give the same answers to the same contract suite.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "stagefs/content_hash.h"
#include "stagefs/result.h"

namespace stagefs {

using VersionId = int64_t;
using FolderId = int64_t;
using WorkspaceId = int64_t;
using CommitSeq = int64_t;

constexpr FolderId kRootFolder = 1;

// The layout of schema.sql. An index of a newer layout is refused, never guessed at.
constexpr int kSchemaVersion = 4;

struct VersionInfo {
  VersionId id = 0;
  ContentId content;
  uint64_t size_bytes = 0;
  int64_t stored_ns = 0;
  int64_t renewed_ns = 0;
  bool synced = false;
};

enum class EntryKind : uint8_t { kRemoved = 0, kFile = 1, kFolder = 2, kSymlink = 3 };

// What is at one name of one folder.
struct Entry {
  EntryKind kind = EntryKind::kRemoved;
  VersionId version = 0;  // Files.
  FolderId child = 0;     // Folders.
  uint64_t size_bytes = 0;
  bool executable = false;
  int64_t mtime_ns = 0;
  std::string target;    // Symbolic links.
  bool scratch = false;  // Visible in the mount, never staged.

  bool operator==(const Entry&) const = default;

  static Entry OfFile(VersionId version, uint64_t size_bytes, int64_t mtime_ns) {
    Entry entry;
    entry.kind = EntryKind::kFile;
    entry.version = version;
    entry.size_bytes = size_bytes;
    entry.mtime_ns = mtime_ns;
    return entry;
  }
  static Entry OfFolder(FolderId child) {
    Entry entry;
    entry.kind = EntryKind::kFolder;
    entry.child = child;
    return entry;
  }
};

enum class StagedState { kKept = 0, kAdded = 1, kModified = 2, kRemoved = 3 };

// A path's pending change, or (kKept) something a workspace remembers without committing it. A folder or a symbolic
// link that lies where the base has something else is kRemoved: what was there goes with the next commit, it stays.
struct StagedEntry {
  Entry entry;
  StagedState state = StagedState::kKept;
};

// One name in one folder.
struct Slot {
  FolderId folder = kRootFolder;
  std::string name;
  auto operator<=>(const Slot&) const = default;
};

template <class T>
struct Named {
  std::string name;
  T value;
};

// A tree as one commit shows it: which rows of which lineages are visible. Newest lineage first.
struct TreeView {
  struct Line {
    int64_t lineage = 0;
    CommitSeq last = 0;
  };
  std::vector<Line> lines;

  bool Shows(int64_t lineage, CommitSeq seq) const {
    for (const Line& line : lines) {
      if (line.lineage == lineage) return seq <= line.last;
    }
    return false;
  }
};

struct CommitInfo {
  CommitSeq seq = 0;
  std::string id;
  int64_t lineage = 0;
  CommitSeq parent = 0;  // 0: none.
  CommitSeq merged = 0;  // The second parent of a merge. 0: none.
  std::string message, author, email;
  int64_t time_ns = 0;
};

struct BranchInfo {
  std::string name;
  CommitSeq head = 0;
};

struct WorkspaceInfo {
  WorkspaceId id = 0;
  std::string uid;
  std::optional<std::string> name;
  std::string branch;
  CommitSeq base = 0;
  int64_t change_seq = 0;
  std::optional<VersionId> report;
  int64_t created_ns = 0;
};

struct InboxFile {
  std::string directory, name;
  VersionId version = 0;
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;
};

struct WorkingCopyRow {
  std::string file;
  WorkspaceId workspace = 0;
  Slot slot;
  std::optional<VersionId> base_version;
};

// The entry to fall back to where a version's bytes were lost with the power.
struct UnsyncedEntry {
  WorkspaceId workspace = 0;
  Slot slot;
  VersionId version = 0;
  std::optional<StagedEntry> previous;
};

// Who made a change: a mount by its own number, so that it need not look at its own changes again;
// everybody else is kNoMount.
using WriterId = int64_t;
constexpr WriterId kNoMount = 0;

struct MountRow {
  std::string host;  // HostOfPids() of the process; empty: an older stagefs on this host.
  std::string mountpoint;
  WorkspaceId workspace = 0;
  int64_t pid = 0;
  int64_t started = 0;  // Of the process, in clock ticks since boot: a pid alone is reused.
  WriterId writer = 0;  // The mount's own number.
  int64_t seen_ns = 0;  // When it last said that it lives, by ClockNs().
};

// A row of one of the tables that make up an index, as it is copied into another one: its key first.
using IndexValue = std::variant<std::monostate, int64_t, std::string>;
using IndexRow = std::vector<IndexValue>;
// What IndexReader::ListRows() counts to. Live mounts, working copies and other machines' marks are no part of it.
constexpr size_t kIndexTables = 9;

// Questions. A missing thing is std::nullopt; an Error is trouble with the index itself.
// All answers of one reader are of one moment: that of its first question.
// Listings are in byte order of the name and start after `after`; they return at most `limit` rows.
class IndexReader {
 public:
  virtual ~IndexReader() = default;

  virtual Result<std::optional<VersionInfo>> FindVersion(const HashRef& hash) = 0;
  // The same for many, in one round trip where each would be one.
  virtual Result<std::vector<std::optional<VersionInfo>>> FindVersions(const std::vector<HashRef>& hashes) = 0;
  virtual Result<std::optional<VersionInfo>> GetVersion(VersionId id) = 0;
  // In order of SHA-256; std::nullopt starts at the beginning.
  virtual Result<std::vector<VersionInfo>> ListVersions(const std::optional<Sha256>& after, size_t limit) = 0;
  // In order of id, from `first` on.
  virtual Result<std::vector<VersionInfo>> ListVersionsFrom(VersionId first, size_t limit) = 0;
  virtual Result<std::vector<VersionInfo>> ListUnsynced(size_t limit) = 0;
  // Versions that nothing names and that were last renewed before `before_ns`.
  virtual Result<std::vector<VersionInfo>> ListUnused(int64_t before_ns, size_t limit) = 0;
  virtual Result<std::vector<UnsyncedEntry>> UnsyncedEntriesOf(VersionId version) = 0;
  // Rows of trees and workspaces that name a version that has no row: always 0, or the index is damaged.
  virtual Result<int64_t> CountDangling() = 0;

  virtual Result<std::optional<BranchInfo>> FindBranch(const std::string& name) = 0;
  virtual Result<std::vector<BranchInfo>> ListBranches() = 0;
  virtual Result<std::optional<CommitInfo>> GetCommit(CommitSeq seq) = 0;
  virtual Result<std::optional<CommitInfo>> FindCommit(const std::string& id) = 0;
  virtual Result<TreeView> ViewOf(CommitSeq seq) = 0;

  virtual Result<std::optional<Entry>> LookUpBase(const TreeView& view, FolderId folder,
                                                  std::string_view name) = 0;
  virtual Result<std::vector<Named<Entry>>> ListBase(const TreeView& view, FolderId folder,
                                                     std::string_view after, size_t limit) = 0;
  // The commit that gave the slot what `view` shows there.
  virtual Result<std::optional<CommitSeq>> LastCommitOf(const TreeView& view, const Slot& slot) = 0;
  // Whether any commit ever put a row into `folder`. False means that look-ups can be skipped.
  virtual Result<bool> HasBaseRows(FolderId folder) = 0;
  virtual Result<std::optional<Slot>> PlaceInBase(const TreeView& view, FolderId child) = 0;
  // What commit `seq` itself changed, in order of (folder, name).
  virtual Result<std::vector<Slot>> ListCommitted(CommitSeq seq, const std::optional<Slot>& after,
                                                  size_t limit) = 0;

  virtual Result<std::optional<WorkspaceInfo>> FindWorkspace(const std::string& id_or_name) = 0;
  virtual Result<std::optional<WorkspaceInfo>> GetWorkspace(WorkspaceId id) = 0;
  virtual Result<std::vector<WorkspaceInfo>> ListWorkspaces() = 0;
  virtual Result<std::optional<StagedEntry>> LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                          std::string_view name) = 0;
  virtual Result<std::vector<Named<StagedEntry>>> ListStaged(WorkspaceId workspace, FolderId folder,
                                                             std::string_view after, size_t limit) = 0;
  // All rows of a workspace in order of (folder, name), after `after`.
  struct StagedRow {
    Slot slot;
    StagedEntry staged;
  };
  virtual Result<std::vector<StagedRow>> ScanStaged(WorkspaceId workspace, const std::optional<Slot>& after,
                                                    size_t limit) = 0;
  // Rows with a state other than kept.
  virtual Result<int64_t> CountStaged(WorkspaceId workspace) = 0;
  virtual Result<std::optional<Slot>> PlaceInStaged(WorkspaceId workspace, FolderId child) = 0;
  // Whether a mount other than `except` shows the workspace.
  virtual Result<bool> IsMounted(WorkspaceId workspace, WriterId except) = 0;
  // Folders that somebody other than `except` changed after `after_seq`.
  virtual Result<std::vector<FolderId>> ChangedFolders(WorkspaceId workspace, int64_t after_seq,
                                                       WriterId except) = 0;

  virtual Result<std::optional<InboxFile>> LookUpInbox(WorkspaceId workspace, std::string_view directory,
                                                       std::string_view name) = 0;
  virtual Result<std::vector<InboxFile>> ListInbox(WorkspaceId workspace, std::string_view directory) = 0;
  virtual Result<std::vector<WorkingCopyRow>> ListWorkingCopies() = 0;
  virtual Result<std::vector<MountRow>> ListMounts() = 0;
  // Nanoseconds since 1970 by the one clock that all who use the index share.
  virtual Result<int64_t> ClockNs() = 0;
  virtual Result<std::optional<std::string>> GetMeta(const std::string& key) = 0;
  // Rows of table number `table` in order of their keys, after `after`.
  virtual Result<std::vector<IndexRow>> ListRows(size_t table, const std::optional<IndexRow>& after, size_t limit) = 0;
  // The keys that begin with `prefix`.
  virtual Result<std::vector<std::string>> ListMeta(const std::string& prefix) = 0;
};

// A unit of work: everything or nothing. Destroyed without Commit() it rolls back. Reads see its own writes. An index
// that is far away says with a later question, or at the commit, that a change failed.
class IndexTransaction : public IndexReader {
 public:
  virtual Status Commit() = 0;

  // The row of a version that has none, or got one a moment ago. kConflict if another content has the same XXH3.
  virtual Result<VersionId> AddVersion(const VersionInfo& version) = 0;
  virtual Status RenewVersion(VersionId id, int64_t now_ns) = 0;
  virtual Status SetSynced(VersionId id) = 0;
  virtual Status EraseVersion(VersionId id) = 0;

  virtual Status PutBranch(const BranchInfo& branch) = 0;
  virtual Status EraseBranch(const std::string& name) = 0;
  // Appends a commit on `parent` (0: none), opening a new lineage where the parent has a child already.
  virtual Result<CommitInfo> AddCommit(CommitInfo commit) = 0;
  virtual Status PutTreeEntry(const CommitInfo& commit, const Slot& slot, const Entry& entry) = 0;
  // Moves what is staged in `workspace` (states other than kept) into `commit`. Returns how many there were. A removed
  // entry that shows something is kept from then on.
  virtual Result<int64_t> MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) = 0;

  virtual Result<FolderId> NewFolder() = 0;
  virtual Result<WorkspaceInfo> AddWorkspace(const WorkspaceInfo& workspace) = 0;
  virtual Status PutWorkspace(const WorkspaceInfo& workspace) = 0;
  virtual Status EraseWorkspace(WorkspaceId id) = 0;

  // Where the caller is about to look and to stage files, one by one. An index that is far away reads it in one round
  // trip, and writes later, together, what is staged there; answers are the same as without.
  virtual Status Expect(WorkspaceId /*workspace*/, const TreeView& /*base*/, const std::vector<Slot>& /*slots*/) {
    return {};
  }
  // Only where the slot has no row: false if it has one.
  virtual Result<bool> AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) = 0;
  virtual Status PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) = 0;
  virtual Status EraseStaged(WorkspaceId workspace, const Slot& slot) = 0;
  virtual Status EraseAllStaged(WorkspaceId workspace) = 0;
  // Without `previous` nothing is kept of the slot: there was nothing, as where no row was ever put.
  virtual Status PutUnsyncedEntry(const UnsyncedEntry& entry) = 0;
  // Notes that something in `folder` changed, for mounts other than `writer`.
  virtual Status NoteChange(WorkspaceId workspace, FolderId folder, WriterId writer) = 0;
  // Staged entries, inbox files and reports that name `version`, which is lost, are erased; counts them.
  virtual Result<int64_t> EraseEntriesOf(VersionId version) = 0;

  virtual Status PutInbox(WorkspaceId workspace, const InboxFile& file) = 0;
  virtual Status EraseInbox(WorkspaceId workspace, std::string_view directory, std::string_view name) = 0;
  virtual Status PutWorkingCopy(const WorkingCopyRow& row) = 0;
  virtual Status EraseWorkingCopy(const std::string& file) = 0;
  virtual Status PutMount(const MountRow& row) = 0;
  virtual Status EraseMount(const std::string& host, const std::string& mountpoint) = 0;
  virtual Status PutMeta(const std::string& key, const std::string& value) = 0;
  virtual Status EraseMeta(const std::string& key) = 0;

  // Copies another index into this one, which has nothing: every row, table by table, then the end.
  virtual Status PutRow(size_t table, const IndexRow& row) = 0;
  virtual Status EndRows() = 0;
  // From the commit of this transaction on every other change is refused, saying `why`; questions are answered.
  virtual Status Freeze(const std::string& why) = 0;
};

// What a transaction changes, for an index that lets others run beside it. Every one may also add and renew versions
// and make folders.
struct Turn {
  enum class Of { kEverything, kHistory, kWorkspace, kWorkspaceAndHistory, kNothingElse };
  Of of = Of::kEverything;
  WorkspaceId workspace = 0;

  // Also removes: nobody runs beside it.
  static Turn Everything() { return {}; }
  // Branches, commits, and workspaces that it makes itself.
  static Turn History() { return {Of::kHistory, 0}; }
  static Turn Workspace(WorkspaceId id) { return {Of::kWorkspace, id}; }
  static Turn Commit(WorkspaceId id) { return {Of::kWorkspaceAndHistory, id}; }
  // Rows that no two transactions want at once: versions, mounts, working copies.
  static Turn NothingElse() { return {Of::kNothingElse, 0}; }
};

// What a committed transaction survives.
enum class Durability {
  kProcessDeath,  // kill -9
  kPowerLoss,     // this one and every one before it
};

// Safe for concurrent use from any number of threads and processes.
class StagingIndex {
 public:
  virtual ~StagingIndex() = default;

  // A reader for a few questions on one thread, short-lived: it holds back the clean-up of the log.
  virtual Result<std::unique_ptr<IndexReader>> Read() = 0;
  // The same for one quick question: cheaper, but transactions may have to wait while it lives.
  // REQUIRES: this thread begins no transaction meanwhile.
  virtual Result<std::unique_ptr<IndexReader>> Glance() = 0;

  // Waits for others to end that want the same, up to a minute, then kBusy.
  virtual Result<std::unique_ptr<IndexTransaction>> Begin(Durability durability, Turn turn = Turn::Everything()) = 0;

  // Changes when another process (or this one) committed something. Cheap enough to ask often.
  virtual Result<int64_t> ChangeMark() = 0;

  // Changes when anybody's change of `workspace` is heard of, a moment after its commit; while the connection that
  // tells is lost nothing is heard, and once it is back this changes, too. std::nullopt: nobody tells, so ask.
  virtual std::optional<int64_t> HeardMark(WorkspaceId workspace) = 0;

  // Makes everything committed so far survive power loss.
  virtual Status Sync() = 0;

  // Whether other machines may use it, too: whose processes cannot be looked at, and who have clocks of their own.
  virtual bool IsShared() const = 0;
  // What whoever runs it should change, a sentence each.
  virtual Result<std::vector<std::string>> Advice() = 0;
  // Removes the whole index, which nobody uses any more. REQUIRES: it is only destroyed afterwards.
  virtual Status Erase() = 0;
};

// The embedded default: SQLite in WAL mode at `path`, created where there is none.
//
// Errors: kCorrupt if the file is not an index; kUnsupported if a newer stagefs made it; kReadOnly; kIo.
Result<std::unique_ptr<StagingIndex>> OpenSqliteStagingIndex(const std::string& path);

// PostgreSQL, for teams that outgrow one machine: the index of `repository` in the database that `url` names. `url` is
// what libpq takes (postgresql://HOST/DATABASE?sslmode=verify-full); libpq's environment and files say the rest, such
// as passwords. A commit is flushed before it is answered, whatever its Durability.
//
// While the database cannot be reached, Read() and Begin() try for $STAGEFS_INDEX_WAIT seconds (30), questions wait as
// long for their answers, changes for ten minutes; then they fail with kIo, as does what was in progress. A transaction
// whose Commit() fails with kIo may have been committed nevertheless.
// Errors: kNotFound if it is not there and shall not be made; kUnsupported if a newer stagefs made it; kPermission;
// kIo.
enum class WhereMissing { kRefuse, kMake };
Result<std::unique_ptr<StagingIndex>> OpenPostgresStagingIndex(const std::string& url, const std::string& repository,
                                                               WhereMissing missing);

}  // namespace stagefs
