#include "ancestry.h"

#include <map>

namespace stagefs {

Status WalkBoth(IndexReader& index, CommitSeq left, CommitSeq right,
                const std::function<bool(const CommitInfo&, int sides)>& visit) {
  std::map<CommitSeq, int, std::greater<>> waiting;
  waiting[left] |= kLeft;
  waiting[right] |= kRight;
  while (!waiting.empty()) {
    const auto [seq, sides] = *waiting.begin();
    waiting.erase(waiting.begin());
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, index.GetCommit(seq));
    if (!commit) return Error(ErrorCode::kCorrupt, "a commit's parent is gone");
    if (!visit(*commit, sides)) return {};
    for (const CommitSeq parent : {commit->parent, commit->merged}) {
      if (parent != 0) waiting[parent] |= sides;
    }
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

Result<std::vector<CommitInfo>> CommitsOnlyIn(IndexReader& index, CommitSeq head, CommitSeq base) {
  std::vector<CommitInfo> commits;
  STAGEFS_RETURN_IF_ERROR(WalkBoth(index, base, head, [&](const CommitInfo& commit, int sides) {
    if (sides == kRight) commits.push_back(commit);
    return true;
  }));
  return commits;
}

}  // namespace stagefs
