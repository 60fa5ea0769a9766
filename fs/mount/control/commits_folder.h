// .stagefs/commits: any commit's tree.
#pragma once

#include "mount/control/base_folder.h"

namespace stagefs {

// ID is a folder; whatever else names a commit (revision.h) is a link to it, a slash in it written %2F. Whoever
// resolves the link once reads one commit. Listed are the newest kCommitsListed commits, and all branches and tags.
class CommitsFolder : public TreeFolders {
 public:
  static constexpr size_t kCommitsListed = 100;
  explicit CommitsFolder(const ControlEnv& env)
      : TreeFolders(env, {NodeKind::kCommitFolder, NodeKind::kCommitFile}) {}
  Result<ListedPage> List(const Node& folder, const std::string& after) override;

 protected:
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;
  bool IsFixed(const Node& child) const override { return child.kind != NodeKind::kCommitLink; }
};

}  // namespace stagefs
