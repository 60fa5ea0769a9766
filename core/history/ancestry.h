// What commits descend from.
#pragma once

#include <functional>
#include <vector>

#include "stagefs/staging_index.h"

namespace stagefs {

// Which of two commits descend from a third one.
enum Side : int { kLeft = 1, kRight = 2, kBoth = 3 };

// Calls `visit` for everything that `left` or `right` descends from, newest first, until it returns false. A
// parent's number is smaller than its child's, so all children of a commit were visited before it.
Status WalkBoth(IndexReader& index, CommitSeq left, CommitSeq right,
                const std::function<bool(const CommitInfo&, int sides)>& visit);

// The newest commit that both descend from: there is one, the first of the repository.
Result<CommitSeq> CommonAncestor(IndexReader& index, CommitSeq left, CommitSeq right);

// Calls `visit` for what one of the two descends from and the other does not, newest first: where that one is among
// `sides`.
Status WalkApart(IndexReader& index, CommitSeq left, CommitSeq right, int sides,
                 const std::function<void(CommitInfo commit, Side side)>& visit);

// What `head` descends from and `base` does not, newest first.
Result<std::vector<CommitInfo>> CommitsOnlyIn(IndexReader& index, CommitSeq head, CommitSeq base);

}  // namespace stagefs
