// Where two trees differ, found from what was changed since they met.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "stagefs/tree_diff.h"

namespace stagefs {

// std::nullopt: nothing is there.
Result<std::optional<Located>> FindIfThere(Tree& tree, const RepoPath& path);

// For one thread; lives within `index`, which both trees are read with.
class Differ {
 public:
  Differ(IndexReader& index, Tree& before, Tree& after);
  ~Differ();

  // First all that may have made a difference: commits since the trees met, and what is staged.
  Status NoteCommits(CommitSeq before, CommitSeq after);
  Status NoteStaged(WorkspaceId workspace);

  // Then calls `visit` for each file or link at or below `path` that differs, moves aside. Where a file is in the place
  // of a folder, that comes before what was in the folder. kNotFound: neither tree shows the path.
  // Where each tree has it, or would.
  struct Slots {
    Slot before, after;
  };
  using Visit = std::function<Status(const Slots& slots, const TreeChange& change)>;
  Status Run(const RepoPath& path, const Visit& visit);
  // Within `visit`: calls `enter` for the folders from `path` down to what is visited for which it was not yet called.
  Status EnterFolders(const FolderChangeVisit& enter);

 private:
  // The names of a folder that may be different, among them those that lead to such folders.
  struct Names {
    bool all = false;
    std::set<std::string> names;
  };
  class Listing;
  class Pairs;
  // What both trees have at one name.
  struct Pair {
    std::string name;
    std::optional<Entry> before, after;
  };
  struct Folder;

  void Note(const Slot& slot);
  Status LeadToNoted();
  Status LeadTo(FolderId folder, Tree& tree, std::unordered_set<FolderId>* led);
  const Names* NamesIn(FolderId folder) const;
  Status Compare(const Slots& slots, const std::string& path, const Pair& pair, const Visit& visit);

  IndexReader& index_;
  Tree &before_, &after_;
  std::unordered_map<FolderId, Names> noted_;
  bool is_led_to_ = false;
  std::vector<Folder> open_;  // From the path of Run() down.
  size_t entered_ = 0;        // How many of them EnterFolders() called for.
};

// Paths and all below them; of none, everything.
class PathCover {
 public:
  explicit PathCover(std::vector<RepoPath> paths);
  // In order, none below another.
  const std::vector<RepoPath>& tops() const { return tops_; }
  bool Has(std::string_view path) const;

 private:
  std::set<std::string, std::less<>> texts_;
  std::vector<RepoPath> tops_;
};

}  // namespace stagefs
