// .stagefs/inbox: manifests, in folders that stand for those of the tree.
#pragma once

#include <set>

#include "mount/control/control_place.h"
#include "stagefs/inbox.h"

namespace stagefs {

// Its folders and files. A folder is there if the tree has it, if mkdir made it, or if its name looks like no
// manifest's: then it is taken for one that a manifest is about to be written into.
class InboxFolder : public ControlPlace {
 public:
  using ControlPlace::ControlPlace;
  Result<ListedPage> List(const Node& folder, const std::string& after) override;
  Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags) override;
  Result<LookedUp> MakeFolder(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode) override;
  Status RemoveFolder(const std::shared_ptr<Node>& folder, const std::string& name) override;
  Result<Created> MakeFile(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode) override;
  Status Remove(const std::shared_ptr<Node>& folder, const std::string& name) override;
  Status Rename(const std::shared_ptr<Node>& from, const std::string& name, const std::shared_ptr<Node>& to,
                const std::string& new_name, RenameMode mode) override;
  Result<Attributes> SetAttributesOf(const std::shared_ptr<Node>& node, const SetAttributes& set,
                                     FileHandle* handle) override;

 protected:
  Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name) override;

 private:
  Guarded<std::set<std::string>> made_folders_;  // By mkdir, until unmounted.
};

}  // namespace stagefs
