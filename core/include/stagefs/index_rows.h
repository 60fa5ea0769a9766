// What an index keeps: versions, commits, trees, workspaces and what is staged in them, as rows.
//
// The index keeps rows and answers questions; what a row means is decided by the callers (core/tree/overlay.cc,
// core/history/commit.cc).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/content_hash.h"

namespace stagefs {

using VersionId = int64_t;
using FolderId = int64_t;
using WorkspaceId = int64_t;
using CommitSeq = int64_t;

constexpr FolderId kRootFolder = 1;

struct VersionInfo {
  VersionId id = 0;
  ContentId content;
  uint64_t size_bytes = 0;
  int64_t stored_ns = 0;
  int64_t renewed_ns = 0;
  bool synced = false;
  // Somebody put, found, linked or unstaged it: not only a close() brought it, which sets both times alike.
  bool IsWanted() const { return renewed_ns != stored_ns; }
};

// A version with holes: how many blocks of 512 bytes its file took when it came. Small ones count as if they had none.
constexpr uint64_t kSparseBytesMin = 64 << 10;
struct SparseVersion {
  VersionId version = 0;
  int64_t blocks = 0;
  bool operator==(const SparseVersion&) const = default;
};

enum class EntryKind : uint8_t { kRemoved = 0, kFile = 1, kFolder = 2, kSymlink = 3 };

// Who may read, write and execute: of a folder, the bits alone.
// INVARIANT: of a file that has bits, they say whether it is executable.
struct FileMode {
  bool executable = false;
  // The nine bits that a program set: kept in the workspace, never committed. None: as the mount says.
  std::optional<uint16_t> permissions;
  bool operator==(const FileMode&) const = default;
};

// What is at one name of one folder.
struct Entry {
  EntryKind kind = EntryKind::kRemoved;
  VersionId version = 0;  // Files.
  FolderId child = 0;     // Folders.
  uint64_t size_bytes = 0;
  bool executable = false;
  std::optional<uint16_t> permissions;  // As FileMode has them.
  int64_t mtime_ns = 0;
  std::string target;    // Symbolic links.
  bool scratch = false;  // Visible in the mount, never staged; where it is
  bool unfinished = false;  // only while the finished file is beside it: Tree::IsScratch() says.

  bool operator==(const Entry&) const = default;

  FileMode mode() const { return {executable, permissions}; }
  void SetMode(const FileMode& mode) {
    executable = mode.executable;
    permissions = mode.permissions;
  }

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
  static Entry OfSymlink(std::string target, int64_t mtime_ns) {
    Entry entry;
    entry.kind = EntryKind::kSymlink;
    entry.size_bytes = target.size();
    entry.target = std::move(target);
    entry.mtime_ns = mtime_ns;
    return entry;
  }
};

// What commits record: a file or a symbolic link.
inline bool IsFileOrLink(const Entry& entry) {
  return entry.kind == EntryKind::kFile || entry.kind == EntryKind::kSymlink;
}
// Files with the same content and executable bit, or links to the same target.
inline bool IsSameFile(const Entry& a, const Entry& b) {
  return IsFileOrLink(a) && a.kind == b.kind && a.version == b.version && a.executable == b.executable &&
         a.target == b.target;
}

enum class StagedState { kKept = 0, kAdded = 1, kModified = 2, kRemoved = 3 };

// A path's pending change, or (kKept) something a workspace remembers without committing it. A folder that lies where
// the base has something else is kRemoved: what was there goes with the next commit, it stays. So may be symbolic links
// that 0.1.0 kept, which staged none: WorkspaceTree::IsUnstagedLink() tells them.
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

struct StagedRow {
  Slot slot;
  StagedEntry staged;
};

template <class T>
struct Named {
  std::string name;
  T value;
};

// A tree as one commit shows it: which rows of which lineages are visible. Copies share the lines that do not change.
class TreeView {
 public:
  struct Line {
    int64_t lineage = 0;
    CommitSeq last = 0;
  };

  // Shows nothing.
  TreeView() = default;
  // `lines` begin with the commit's own lineage. A lineage's number is larger than its parent's, so they descend.
  explicit TreeView(std::vector<Line> lines) : lines_(std::make_shared<const std::vector<Line>>(std::move(lines))) {}

  const std::vector<Line>& lines() const { return *lines_; }
  // In time that grows with the logarithm of the number of lines.
  bool Shows(int64_t lineage, CommitSeq seq) const {
    const auto line = std::lower_bound(lines_->begin(), lines_->end(), lineage,
                                       [](const Line& a, int64_t b) { return a.lineage > b; });
    return line != lines_->end() && line->lineage == lineage && seq <= line->last;
  }

 private:
  std::shared_ptr<const std::vector<Line>> lines_ = std::make_shared<const std::vector<Line>>();
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
  // The lineage that its own commits go on with: other branches that begin at its head leave it to them, so that a
  // branch into which others are merged stays one line. 0: none yet.
  int64_t line = 0;
};

// A name for a commit that never moves.
struct TagInfo {
  std::string name;
  CommitSeq commit = 0;
  std::string message, author, email;
  int64_t time_ns = 0;
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

// A file that was staged, and was removed, unstaged or replaced before it was committed: one item of what one change
// took back.
struct TakenBack {
  WorkspaceId workspace = 0;
  int64_t number = 0;  // Of the change, counted for each workspace; none is given twice.
  int64_t item = 0;
  std::string path;
  Entry entry;
  int64_t taken_ns = 0;
  std::string actor, door;
};
// Where a listing of them goes on.
struct TakenBackPlace {
  int64_t number = 0, item = 0;
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

}  // namespace stagefs
