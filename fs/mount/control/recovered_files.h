// .stagefs/recovered: files that a crash left and that could not be staged.
#pragma once

#include "mount/control/control_place.h"

namespace stagefs {

// Read, and removed by `rm`, which dismisses them.
class RecoveredFiles : public ControlPlace {
 public:
  using ControlPlace::ControlPlace;
  Result<ListedPage> List(const Node& folder, const std::string& after) override;
  Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags) override;
  Status Remove(const std::shared_ptr<Node>& folder, const std::string& name) override;

 protected:
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;
};

}  // namespace stagefs
