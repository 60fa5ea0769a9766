#include "ancestry.h"
#include "stagefs/history.h"
#include "tree/commit_tree.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

// Whether `commit` changed anything at or below `path`.
Result<bool> Changed(IndexReader& index, const CommitInfo& commit, const RepoPath& path) {
  STAGEFS_ASSIGN_OR_RETURN(CommitTree after, CommitTree::Of(index, commit.seq));
  STAGEFS_ASSIGN_OR_RETURN(CommitTree before, commit.parent != 0 ? CommitTree::Of(index, commit.parent)
                                                                 : Result<CommitTree>(CommitTree(index, TreeView())));
  std::optional<Slot> last;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, index.ListCommitted(commit.seq, last, kPage));
    if (page.empty()) return false;
    for (const Slot& slot : page) {
      for (CommitTree* tree : {&after, &before}) {
        const auto at = tree->PathOf(slot);  // A folder that is gone has no path any more.
        if (at && IsAtOrBelow(*at, path.str())) return true;
        // A folder on the way was made, renamed or removed: did the path change with it?
        if (!at || !IsAtOrBelow(path.str(), *at)) continue;
        const auto now_there = after.Find(path);
        const auto then_there = before.Find(path);
        if (now_there.has_value() != then_there.has_value()) return true;
      }
    }
    last = page.back();
  }
}

}  // namespace

Result<CommitPage> History::Log(const std::string& revision, int64_t skip, size_t limit) {
  return LogOf(revision, RepoPath(), skip, limit);
}

Result<CommitPage> History::LogOf(const std::string& revision, const RepoPath& path, int64_t skip,
                                       size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo head, Resolve(revision));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  CommitPage page;
  Status trouble;
  STAGEFS_RETURN_IF_ERROR(WalkBoth(*reader, head.seq, head.seq, [&](const CommitInfo& commit, int) {
    const auto changed = path.is_root() ? Result<bool>(true) : Changed(*reader, commit, path);
    if (!changed) trouble = changed.error();
    if (!changed || !*changed) return trouble.has_value();
    if (page.total >= skip && page.commits.size() < limit) page.commits.push_back(commit);
    ++page.total;
    return true;
  }));
  if (!trouble) return trouble.error();
  return page;
}

Result<std::vector<CommitInfo>> History::CommitsSince(const std::string& revision, CommitSeq base) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo head, Resolve(revision));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  return CommitsOnlyIn(*reader, head.seq, base);
}

Result<std::vector<std::string>> History::ParentsOf(const CommitInfo& commit) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  std::vector<std::string> ids;
  for (const CommitSeq seq : {commit.parent, commit.merged}) {
    if (seq == 0) continue;
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> parent, reader->GetCommit(seq));
    if (parent) ids.push_back(parent->id);
  }
  return ids;
}

}  // namespace stagefs
