// Trees in the control folder; .stagefs/base, the tree of the base commit.
#pragma once

#include "mount/control/control_place.h"

namespace stagefs {

// Folders of trees that nobody changes through them, their files, and the links in them, which show as files.
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
  // The tree that a folder is of, how it is told from others, and the time of folders in it that have none.
  struct Shown {
    Tree& tree;
    std::string key;
    int64_t folders_ns = 0;
  };
  virtual Shown ShownIn(const Node& folder) = 0;
  // Before anybody knows it.
  virtual void Adopt(const Node& folder, Node* child) { (void)folder, (void)child; }
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;

 private:
  const Kinds kinds_;
};

class BaseFolder : public TreeFolders {
 public:
  explicit BaseFolder(const ControlEnv& env) : TreeFolders(env, {NodeKind::kBaseFolder, NodeKind::kBaseFile}) {}

 protected:
  Shown ShownIn(const Node&) override { return {env_.workspace->base(), "b"}; }
};

}  // namespace stagefs
