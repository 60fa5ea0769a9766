// The tree of a commit.
#pragma once

#include <map>

#include "stagefs/tree.h"

namespace stagefs {

// What `view` shows. For one thread at a time; lives within its reader.
class CommitTree : public Tree {
 public:
  CommitTree(IndexReader& index, TreeView view) : index_(index), view_(std::move(view)) {}
  static Result<CommitTree> Of(IndexReader& index, CommitSeq commit);

  const TreeView& view() const { return view_; }

  using Tree::PathOf;
  Result<std::optional<Entry>> LookUp(const Slot& slot) override;
  Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit) override;
  Result<std::optional<Slot>> PlaceOf(FolderId folder) override;

  // Whether any commit ever put a row into `folder`; remembered while this lives.
  Result<bool> HasRows(FolderId folder);

 private:
  IndexReader& index_;
  const TreeView view_;
  std::map<FolderId, bool> has_rows_;
};

}  // namespace stagefs
