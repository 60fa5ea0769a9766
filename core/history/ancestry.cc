#include "ancestry.h"

#include <algorithm>
#include <map>

namespace stagefs {

namespace {

// Everything that two commits descend from, newest first.
class Descent {
 public:
  Descent(IndexReader& index, CommitSeq left, CommitSeq right) : index_(index) {
    waiting_[left] |= kLeft;
    waiting_[right] |= kRight;
  }

  bool HasMore() const { return !waiting_.empty(); }
  // Whether what is to come may be of one side alone, which is among `sides`.
  bool HasMoreApart(int sides) const {
    return std::any_of(waiting_.begin(), waiting_.end(),
                       [sides](const auto& one) { return one.second != kBoth && (one.second & sides) != 0; });
  }
  Result<std::pair<CommitInfo, int>> Next() {
    const auto [seq, sides] = *waiting_.begin();
    waiting_.erase(waiting_.begin());
    STAGEFS_ASSIGN_OR_RETURN(std::optional<CommitInfo> commit, index_.GetCommit(seq));
    if (!commit) return Error(ErrorCode::kCorrupt, "a commit's parent is gone");
    for (const CommitSeq parent : {commit->parent, commit->merged}) {
      if (parent != 0) waiting_[parent] |= sides;
    }
    return std::pair(std::move(*commit), sides);
  }

 private:
  IndexReader& index_;
  std::map<CommitSeq, int, std::greater<>> waiting_;
};

}  // namespace

Status WalkBoth(IndexReader& index, CommitSeq left, CommitSeq right,
                const std::function<bool(const CommitInfo&, int sides)>& visit) {
  for (Descent descent(index, left, right); descent.HasMore();) {
    STAGEFS_ASSIGN_OR_RETURN(const auto next, descent.Next());
    if (!visit(next.first, next.second)) return {};
  }
  return {};
}

Result<CommitSeq> CommonAncestor(IndexReader& index, CommitSeq left, CommitSeq right) {
  CommitSeq found = 0;
  STAGEFS_RETURN_IF_ERROR(WalkBoth(index, left, right, [&](const CommitInfo& commit, int sides) {
    if (sides == kBoth) found = commit.seq;
    return found == 0;
  }));
  return found;
}

Status WalkApart(IndexReader& index, CommitSeq left, CommitSeq right, int sides,
                 const std::function<void(CommitInfo commit, Side side)>& visit) {
  for (Descent descent(index, left, right); descent.HasMoreApart(sides);) {
    STAGEFS_ASSIGN_OR_RETURN(auto next, descent.Next());
    if (next.second != kBoth && (next.second & sides) != 0) visit(std::move(next.first), Side{next.second});
  }
  return {};
}

Result<std::vector<CommitInfo>> CommitsOnlyIn(IndexReader& index, CommitSeq head, CommitSeq base) {
  std::vector<CommitInfo> commits;
  STAGEFS_RETURN_IF_ERROR(WalkApart(index, base, head, kRight, [&](CommitInfo commit, Side) {
    commits.push_back(std::move(commit));
  }));
  return commits;
}

}  // namespace stagefs
