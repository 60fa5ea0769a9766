// Lays a workspace's rows over another base.
#pragma once

#include <string>
#include <vector>

#include "tree/overlay.h"
#include "tree/walk.h"

namespace stagefs {

// Of conflicts so many are listed, the first ones.
constexpr size_t kConflictsListed = 10'000;

// Moves the rows of `from` onto the base of `to`, path by path. Both are the same workspace in one
// transaction. Rows are read by pages, as often as needed: what is kept in memory are the folders that hold some, the
// folders that were renamed, and those that were removed.
class Rebaser {
 public:
  Rebaser(Overlay& from, Overlay& to) : from_(from), to_(to), before_(from.base()), theirs_(to.base()) {}

  // The paths that both sides changed, in order, the first kConflictsListed of them. Changes nothing.
  Result<std::vector<std::string>> Conflicts();
  // Errors: kConflict, listing them; nothing is changed then.
  Status Run();

 private:
  // Finds paths in a tree that does not change, most of them in the folder of the one before.
  class Finder {
   public:
    explicit Finder(Tree& tree) : tree_(tree) {}
    Result<std::optional<Entry>> Find(const std::string& path);

   private:
    Tree& tree_;
    std::optional<std::string> parent_;  // Of the last path, and the folder that is there.
    std::optional<FolderId> folder_;
  };

  // Whether the bases differ only beside the rows and the folders that hold them: then these mean the same on both.
  Result<bool> AreApart();
  Status LookAt(const std::vector<StagedRow>& page);
  // Notes conflicts, at most `listed` of them by their paths, and goes on to the end only to count them.
  Status Check(size_t listed, bool count_all);
  Result<bool> IsConflict(const StagedAt& at);
  Result<bool> IsInTheWay(const StagedAt& at, const std::optional<Entry>& before, const std::optional<Entry>& theirs);
  Result<bool> IsAboveInTheWay(const RepoPath& parent);
  Result<std::string> HashOf(const std::optional<Entry>& entry);
  // Of a conflict: its path, and what the base, the workspace and the branch have there.
  Result<std::string> ThreeHashes(const StagedAt& at);
  Error Conflict() const;
  Status LayAll();
  Result<Slot> SlotAt(const std::string& path);
  Status StepAside(const StagedAt& at);
  Status Clear(const StagedAt& at, std::vector<Slot>* emptied);
  Status Lay(const StagedAt& at);

  Overlay& from_;
  Overlay& to_;
  Finder before_, theirs_;  // In the two bases.
  StagedFolders folders_;
  size_t rows_ = 0;
  bool removes_ = false, removes_folders_ = false;
  std::vector<StagedAt> renamed_;  // Folders.
  std::vector<std::string> conflicts_;
  std::vector<std::string> conflict_lines_;  // Of the first few, with their hashes.
  size_t conflicts_total_ = 0;
  std::optional<std::string> above_;  // The folder whose way was looked at last, and
  bool above_in_the_way_ = false;     // whether theirs is in it.
  std::optional<std::string> laid_in_;  // The folder of the last row that was laid, and
  FolderId laid_folder_ = 0;            // what it is in `to`.
};

// The same workspace as if its base were `base`.
Result<Overlay> OnTopOf(Overlay& overlay, CommitSeq base);

}  // namespace stagefs
