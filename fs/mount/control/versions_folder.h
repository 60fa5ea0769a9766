// .stagefs/versions: every version of the repository, by any spelling of its hash.
#pragma once

#include "mount/control/control_place.h"

namespace stagefs {

// The folder and the versions in it.
class VersionsFolder : public ControlPlace {
 public:
  using ControlPlace::ControlPlace;
  Result<ListedPage> List(const Node& folder, const std::string& after) override;
  Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags) override;

 protected:
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;
  bool IsFixed(const Node&) const override { return true; }
};

}  // namespace stagefs
