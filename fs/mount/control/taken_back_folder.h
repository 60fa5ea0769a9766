// .stagefs/taken-back: what each change of the workspace took back.
#pragma once

#include "mount/control/base_folder.h"

namespace stagefs {

// N is a folder with the files that change number N took back, at their paths.
class TakenBackFolder : public TreeFolders {
 public:
  explicit TakenBackFolder(const ControlEnv& env)
      : TreeFolders(env, {NodeKind::kTakenBackTree, NodeKind::kTakenBackFile}) {}
  Result<ListedPage> List(const Node& folder, const std::string& after) override;

 protected:
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;
};

}  // namespace stagefs
