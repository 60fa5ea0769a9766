// Moves staged rows into a commit.
#pragma once

#include <map>
#include <set>
#include <string>

#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "tree/overlay.h"
#include "tree/walk.h"

namespace stagefs {

// Moves the staged rows of `tree`, whose base is the commit's parent, into `commit`.
class Committer {
 public:
  Committer(Overlay& tree, const CommitInfo& commit) : tree_(tree), commit_(commit) {}

  // Returns how many entries that was; paths that are never staged are noted in `left_out`.
  Result<int64_t> Run(LeftOut* left_out);

 private:
  Status Survey(LeftOut* left_out);
  Status Settle(FolderId folder);
  Status DropIfEmpty(FolderId folder);

  Overlay& tree_;
  const CommitInfo& commit_;
  std::set<FolderId> filled_, thinned_, settled_;
  std::vector<StagedAt> unfinished_;  // By their names, and with nothing finished beside them: ordinary files.
  std::map<FolderId, Located> kept_;  // Folders with a row that stays in the workspace.
  TreeView view_;
};

// kInvalidArgument for what is not text.
Status CheckIsText(const std::string& message, const Author& author);

// Not added yet, and of this moment. kInvalidArgument for what is not text.
Result<CommitInfo> NewCommit(CommitSeq parent, const std::string& message, const Author& author);

// A workspace that lives and dies in one transaction, which erases it before it ends.
Result<Overlay> AddHiddenWorkspace(DurableChange& change, const std::string& branch, CommitSeq base);

}  // namespace stagefs
