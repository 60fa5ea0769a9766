// Branches, tags, commits and merges of a repository.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stagefs/repo_path.h"
#include "stagefs/repository.h"

namespace stagefs {

constexpr std::string_view kDefaultBranch = "main";
// Who commits.
struct Author {
  std::string name, email;
};

struct CommitPage {
  std::vector<CommitInfo> commits;
  int64_t total = 0;
};

// Commits that one of two descends from and the other does not.
struct ApartPage {
  struct Apart {
    CommitInfo commit;
    bool of_base = false;  // Or of the head.
  };
  std::vector<Apart> commits;
  int64_t total = 0;
};

struct MergePreview {
  std::vector<CommitInfo> commits;     // Of the head, not of the base; newest first.
  std::vector<std::string> conflicts;  // Paths that both sides changed, the first 10,000 of them.
};

struct MergeResult {
  CommitInfo base, head;  // As they were.
  CommitInfo merge;       // The head of the base branch now.
};

// What a merge says of itself unless somebody knows better.
std::string MergeMessage(const std::string& base, const std::string& head);

// The history of a repository, which outlives it. Safe for concurrent use.
class History {
 public:
  explicit History(Repository& repository) : repository_(repository) {}

  Result<std::vector<BranchInfo>> ListBranches();
  // std::nullopt if there is none of that name.
  Result<std::optional<BranchInfo>> FindBranch(const std::string& name);
  Status CreateBranch(const std::string& name, const std::string& from);
  Status DeleteBranch(const std::string& name);
  // Returns the commit that is its head now.
  Result<CommitInfo> MoveBranch(const std::string& name, const std::string& to);

  // A tag is a name of a commit that never moves; its commit, message and author, and when it was made. kExists where a
  // tag or branch is called so; kNotFound; kInvalidArgument.
  Result<std::vector<TagInfo>> ListTags();
  Result<TagInfo> CreateTag(const std::string& name, const std::string& revision, const std::string& message,
                            const Author& author);
  Status DeleteTag(const std::string& name);

  // As ResolveRevision() of revision.h.
  Result<CommitInfo> Resolve(const std::string& revision);
  // The ids of a commit's parents: none for the first, two for a merge.
  Result<std::vector<std::string>> ParentsOf(const CommitInfo& commit);
  // What `revision` descends from, itself included, newest first: the page after `skip` commits.
  Result<CommitPage> Log(const std::string& revision, int64_t skip, size_t limit);
  // Only those that changed something at or below `path`. That takes time for each commit that `revision` descends
  // from, for each change of what is at the path or above it, and for each folder that a commit changed, if a folder is
  // at the path; not for what else commits changed.
  Result<CommitPage> LogOf(const std::string& revision, const RepoPath& path, int64_t skip, size_t limit);
  // What `revision` descends from and `base` does not, newest first.
  Result<std::vector<CommitInfo>> CommitsSince(const std::string& revision, CommitSeq base);
  // The same of two commits, and with `both_sides` also what `base` descends from and `head` does not: the page after
  // `skip` commits. Time goes with how many there are since the two met, memory with the page.
  Result<ApartPage> LogApart(CommitSeq base, CommitSeq head, bool both_sides, int64_t skip, size_t limit);
  // The newest commit that both descend from. kNotFound where they have none.
  Result<CommitInfo> MergeBase(CommitSeq base, CommitSeq head);

  // What Merge() would do. kNotFound.
  Result<MergePreview> PreviewMerge(const std::string& base, const std::string& head);
  // Brings what `head` (a branch or commit) changed into the branch `base`; where that branch has nothing of
  // its own it moves forward without a new commit. kConflict, listing the paths, and nothing is changed.
  Result<MergeResult> Merge(const std::string& base, const std::string& head, const std::string& message,
                            const Author& author);
  // Changes paths of a branch in one commit, without a workspace that anybody sees. No commit if the branch
  // has all of it already. Errors: kNotFound for the branch or a path that is not there; kExists where
  // something is moved to; what staging refuses. Nothing is changed then.
  struct PathChange {
    RepoPath path;
    std::optional<VersionId> version;  // Put this there;
    std::optional<RepoPath> moved_to;  // or move the path;
  };                                   // or, with neither, remove it.
  Result<std::optional<CommitInfo>> CommitPaths(const std::string& branch,
                                                const std::vector<PathChange>& changes,
                                                const std::string& message, const Author& author);
  // Puts `files` into the repository's first commit, which must be the only one (else kConflict).
  Result<CommitInfo> Seed(const std::vector<std::pair<RepoPath, VersionId>>& files);

 private:
  Repository& repository_;
};

}  // namespace stagefs
