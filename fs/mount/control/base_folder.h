// Trees in the control folder; .stagefs/base, the tree of the base commit.
#pragma once

#include <memory>
#include <string>

#include "mount/control/control_place.h"
#include "stagefs/tree.h"

namespace stagefs {

// A tree that never changes, how it is told from others, and the time of folders in it that have none.
struct ShownTree {
  std::unique_ptr<Tree> tree;
  std::string key;
  int64_t folders_ns = 0;
};

// Folders of trees that nobody changes through them, their files, and the links in them.
class TreeFolders : public ControlPlace {
 public:
  // What its nodes are.
  struct Kinds {
    NodeKind folder, file;
  };
  TreeFolders(const ControlEnv& env, Kinds kinds) : ControlPlace(env), kinds_(kinds) {}
  Result<ListedPage> List(const Node& folder, const std::string& after) override;
  Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags) override;

 protected:
  // The tree that a folder is of.
  struct In {
    Tree& tree;
    const std::string& key;
    int64_t folders_ns = 0;
  };
  virtual In TreeOf(const Node& folder);
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;
  // The folder `name`, which is the root of `tree`.
  std::shared_ptr<Node> RootOf(const Node& folder, const std::string& name, ShownTree tree);

 private:
  NodeKind KindIn(const Entry& entry) const;

  const Kinds kinds_;
};

class BaseFolder : public TreeFolders {
 public:
  explicit BaseFolder(const ControlEnv& env) : TreeFolders(env, {NodeKind::kBaseFolder, NodeKind::kBaseFile}) {}

 protected:
  In TreeOf(const Node&) override { return {env_.workspace->base(), key_}; }

 private:
  const std::string key_ = "b";
};

}  // namespace stagefs
