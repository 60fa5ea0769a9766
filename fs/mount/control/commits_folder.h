// .stagefs/commits: any commit's tree.
#pragma once

#include <vector>

#include "mount/control/base_folder.h"
#include "stagefs/tree.h"

namespace stagefs {

struct ShownCommit {
  CommitInfo commit;
  std::unique_ptr<Tree> tree;
};

// ID is a folder; whatever else names a commit (revision.h) is a link to it, a slash in it written %2F. Whoever resolves
// the link once reads one commit. Listed are the newest kCommitsListed commits, and all branches and tags.
class CommitsFolder : public TreeFolders {
 public:
  static constexpr size_t kCommitsListed = 100;
  explicit CommitsFolder(const ControlEnv& env)
      : TreeFolders(env, {NodeKind::kCommitFolder, NodeKind::kCommitFile}) {}
  Result<ListedPage> List(const Node& folder, const std::string& after) override;

 protected:
  Shown ShownIn(const Node& folder) override;
  void Adopt(const Node& folder, Node* child) override;
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;
  bool IsFixed(const Node& child) const override { return child.kind != NodeKind::kCommitLink; }

 private:
  Result<std::shared_ptr<Node>> FolderOf(const Node& commits, const CommitInfo& commit);
};

}  // namespace stagefs
