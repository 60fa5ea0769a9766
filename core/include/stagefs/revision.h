// What a client calls a revision: a commit, a branch, or a workspace; and the tree it shows.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/repository.h"
#include "stagefs/tree.h"

namespace stagefs {

struct Revision {
  std::string name;                        // As the client wrote it.
  CommitInfo commit;                       // Of a workspace: its base.
  std::optional<BranchInfo> branch;        // If the name is a branch's.
  std::optional<WorkspaceInfo> workspace;  // If it is a workspace's id or name.
};

struct Resource {
  Revision revision;
  RepoPath path;
};

// Reads `text` as REVISION[/PATH]. Names may have slashes: a commit's id comes first, then the longest branch
// name, then the longest workspace.
// Errors: kNotFound if no revision begins it; kInvalidArgument for a path that is none.
Result<Resource> ResolveResource(Repository& repository, std::string_view text);

// The whole tree of a commit, which never changes. For one thread at a time; outlived by the repository.
Result<std::unique_ptr<Tree>> OpenTree(Repository& repository, const CommitInfo& commit);

// The tree of a revision as clients see it: files and folders, without scratch and symbolic links. A moment of it, for
// a few questions on one thread. Outlived by the repository.
class RevisionTree : public Tree {
 public:
  static Result<std::unique_ptr<RevisionTree>> Open(Repository& repository, const Revision& revision);
  ~RevisionTree() override;

  using Tree::PathOf;
  Result<std::optional<Entry>> LookUp(const Slot& slot) override;
  Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit) override;
  Result<std::optional<Slot>> PlaceOf(FolderId folder) override;
  Result<Located> Find(const RepoPath& path) override;

  // What it reads from: this thread's only reader of the index while the tree lives.
  IndexReader& index();
  Result<VersionInfo> VersionOf(const Entry& file);
  // The commit that gave a file its content; std::nullopt for what is only staged.
  Result<std::optional<CommitInfo>> LastCommitOf(const Slot& slot);
  // "Added" or "Modified" where the revision is a workspace, else "".
  Result<std::string> ChangeOf(const Slot& slot);
  Result<std::unique_ptr<VersionReader>> OpenVersion(const VersionInfo& version);

 private:
  struct Moment;
  explicit RevisionTree(std::unique_ptr<Moment> moment);
  const std::unique_ptr<Moment> moment_;
};

}  // namespace stagefs
