// History in an index: branches, tags, commits, and the trees that commits show.
#pragma once

#include <string_view>

#include "stagefs/index_rows.h"
#include "stagefs/result.h"

namespace stagefs {

// A missing thing is std::nullopt; an Error is trouble with the index itself.
// Listings are in byte order of the name and start after `after`; they return at most `limit` rows.
class HistoryQuestions {
 public:
  virtual ~HistoryQuestions() = default;

  virtual Result<std::optional<BranchInfo>> FindBranch(const std::string& name) = 0;
  virtual Result<std::vector<BranchInfo>> ListBranches() = 0;
  virtual Result<std::optional<CommitInfo>> GetCommit(CommitSeq seq) = 0;
  virtual Result<std::optional<CommitInfo>> FindCommit(const std::string& id) = 0;
  // Those whose ids begin with `prefix`, in order of their ids.
  virtual Result<std::vector<CommitInfo>> FindCommits(const std::string& prefix, size_t limit) = 0;
  virtual Result<std::optional<TagInfo>> FindTag(const std::string& name) = 0;
  virtual Result<std::vector<TagInfo>> ListTags() = 0;
  virtual Result<TreeView> ViewOf(CommitSeq seq) = 0;

  virtual Result<std::optional<Entry>> LookUpBase(const TreeView& view, FolderId folder, std::string_view name) = 0;
  virtual Result<std::vector<Named<Entry>>> ListBase(const TreeView& view, FolderId folder, std::string_view after,
                                                     size_t limit) = 0;
  // The commit that gave the slot what `view` shows there.
  virtual Result<std::optional<CommitSeq>> LastCommitOf(const TreeView& view, const Slot& slot) = 0;
  virtual Result<std::optional<Slot>> PlaceInBase(const TreeView& view, FolderId child) = 0;
  // What commit `seq` itself changed, in order of (folder, name).
  virtual Result<std::vector<Slot>> ListCommitted(CommitSeq seq, const std::optional<Slot>& after, size_t limit) = 0;

  // False only if no commit ever put a row into `folder`: then look-ups can be skipped.
  virtual Result<bool> HasBaseRows(FolderId /*folder*/) { return true; }
};

class HistoryChanges {
 public:
  virtual ~HistoryChanges() = default;

  virtual Status PutBranch(const BranchInfo& branch) = 0;
  virtual Status EraseBranch(const std::string& name) = 0;
  virtual Status PutTag(const TagInfo& tag) = 0;
  virtual Status EraseTag(const std::string& name) = 0;
  // Appends a commit of `branch` on `parent` (0: none). It goes on with the parent's lineage, unless another commit
  // does, or the parent is the head of another branch whose line that is: then a new lineage begins.
  virtual Result<CommitInfo> AddCommit(CommitInfo commit, const std::string& branch) = 0;
  // A number for a folder of a tree or a workspace; none is given twice.
  virtual Result<FolderId> NewFolder() = 0;
  virtual Status PutTreeEntry(const CommitInfo& commit, const Slot& slot, const Entry& entry) = 0;
  // Moves what is staged in `workspace` (states other than kept) into `commit`. Returns how many there were. A removed
  // entry that shows something is kept from then on.
  virtual Result<int64_t> MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) = 0;
};

}  // namespace stagefs
