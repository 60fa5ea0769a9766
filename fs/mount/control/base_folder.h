// .stagefs/base: the tree of the base commit.
#pragma once

#include "mount/control/control_place.h"

namespace stagefs {

// Its folders and files, and the links in it, which show as files.
class BaseFolder : public ControlPlace {
 public:
  using ControlPlace::ControlPlace;
  Result<ListedPage> List(const Node& folder, const std::string& after) override;
  Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags) override;

 protected:
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;
};

}  // namespace stagefs
