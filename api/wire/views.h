// What bodies speak of, with everything they print.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/revision.h"

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

// What checking all versions found and did.
struct CleanedView {
  int64_t scanned = 0, corrupted = 0, cleaned = 0, errors = 0;
  double elapsed_s = 0;
};

}  // namespace stagefs
