// The control folder .stagefs: its names, and which class answers for which kind of node in it.
#pragma once

#include <string>
#include <vector>

#include "mount/control/base_folder.h"
#include "mount/control/command_file.h"
#include "mount/control/commits_folder.h"
#include "mount/control/inbox_folder.h"
#include "mount/control/recovered_files.h"
#include "mount/control/taken_back_folder.h"
#include "mount/control/text_files.h"
#include "mount/control/versions_folder.h"

namespace stagefs {

// Without a workspace it has only what a tree that nobody changes has use for: versions, commits, and what this mount
// is.
class ControlFolder : public ControlPlace {
 public:
  explicit ControlFolder(const ControlEnv& env);

  // The folder itself, a name of the mount's root.
  LookedUp LookUpItself();
  // Who answers for nodes of `kind`, which is not one of the tree's.
  Place& PlaceOf(NodeKind kind);

  Result<ListedPage> List(const Node& folder, const std::string& after) override;

 protected:
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;
  // The folders are always there.
  bool IsFixed(const Node& child) const override { return IsFolder(child.kind); }

 private:
  // Constant after construction.
  struct Name {
    std::string name;
    NodeKind kind = NodeKind::kText;
  };
  std::vector<Name> names_;  // Sorted.
  VersionsFolder versions_;
  InboxFolder inbox_;
  BaseFolder base_;
  CommitsFolder commits_;
  RecoveredFiles recovered_;
  TakenBackFolder taken_back_;
  TextFiles texts_;
  CommandFile commands_;
};

}  // namespace stagefs
