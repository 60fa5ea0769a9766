// What bodies speak of, with everything they print.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/line_diff.h"
#include "stagefs/revision.h"
#include "stagefs/tree_diff.h"

namespace stagefs {

struct CommitView {
  CommitInfo info;
  std::vector<std::string> parents;
};

struct BranchView {
  std::string name, commit_id;
};

struct TagView {
  TagInfo info;
  std::string commit_id;
};

struct WorkspaceView {
  WorkspaceInfo info;
  CommitView commit;
};

// A file or folder of a revision.
struct EntryView {
  std::string path;
  bool folder = false;
  uint64_t size_bytes = 0;
  std::string hash;  // XXH3; "" for folders.
  std::optional<CommitView> latest;
  std::string change;  // "Added", "Modified", or "" where nothing is staged.
};

struct RevisionView {
  std::string name;
  CommitView commit;
  std::optional<BranchView> branch;
  std::optional<WorkspaceView> workspace;
};

struct RepositoryView {
  RepositoryName name;
  uint64_t size_bytes = 0;
  std::map<std::string, int64_t> data_types;  // How many files of each.
  bool empty = false;
};

struct PageView {
  int64_t number = 1, size = 0, total_entries = 0;

  int64_t pages() const { return std::max<int64_t>(1, (total_entries + size - 1) / size); }
  // Whether the entry after `before` others is on it.
  bool Shows(int64_t before) const { return before >= (number - 1) * size && before < number * size; }
};

// One page of a folder; folders come before files.
struct ListingView {
  EntryView folder;
  std::vector<EntryView> entries;
  std::map<std::string, int64_t> data_types;
  std::map<std::string, std::string> left_out_links;  // Path and why.
  PageView page;
};

// What is staged: one page of each list.
struct ChangesView {
  struct Change {
    std::string path;
    VersionId version = 0;
    std::string hash;  // XXH3, or "".
    uint64_t size_bytes = 0;
  };
  struct List {
    std::vector<Change> entries;
    PageView page;
  };
  List added, modified, removed;
  std::map<std::string, int64_t>
      folders;  // How many files of each are there now that were not, or otherwise.
};

struct ApartView {
  CommitView commit;
  bool of_base = false;  // Or of the head.
};

// How many files differ.
struct FileCounts {
  int64_t added = 0, modified = 0, removed = 0;

  int64_t total() const { return added + modified + removed; }
};

// A file or folder that two revisions show differently; a file that moved was removed and added.
struct DifferenceView {
  std::string path;
  TreeChange::Kind kind = TreeChange::Kind::kModified;
  std::optional<EntryView> base, head;
  std::optional<FileCounts> files;             // Below a folder.
  std::optional<std::vector<DiffLine>> lines;  // Of a file, where they were asked for and it is text.

  const EntryView& newest() const { return head ? *head : *base; }
};

// One page of what two revisions show differently below a folder; folders come before files.
struct ComparisonView {
  RevisionView base, head;
  FileCounts files;
  std::optional<DifferenceView> folder;  // std::nullopt: nothing differs below it.
  std::vector<DifferenceView> entries;
  PageView page;
};

struct FileComparisonView {
  RevisionView base, head;
  DifferenceView file;
};

// A folder that something differs below, and the first of those in it that are so, too.
struct ChangedFolderView {
  static constexpr int64_t kChildrenMax = 10;
  struct Child {
    std::string path;
    TreeChange::Kind kind = TreeChange::Kind::kModified;
  };
  std::string path;
  TreeChange::Kind kind = TreeChange::Kind::kModified;
  int64_t folders = 0;  // In it.
  std::vector<Child> children;
};

// What checking all versions found and did.
struct CleanedView {
  int64_t scanned = 0, corrupted = 0, cleaned = 0, errors = 0;
  double elapsed_s = 0;
};

}  // namespace stagefs
