// What every kind of node in the control folder has in common.
#pragma once

#include "mount/place.h"
#include "mount/staging_worker.h"

namespace stagefs {

// What they know of the mount; all of it outlives them.
struct ControlEnv {
  Repository& repository;
  Nodes& nodes;
  OpenFiles& files;
  const MountOptions& options;
  Workspace* workspace = nullptr;  // nullptr where nothing may be staged; then `behind` and `worker` are, too.
  Workspace* behind = nullptr;     // Changes through it the kernel must be told of.
  StagingWorker* worker = nullptr;
  const CommitInfo* commit = nullptr;  // Where there is no workspace: what is shown.
};

// A folder lists its names and knows the node of each; a file opens.
class ControlPlace : public Place {
 public:
  explicit ControlPlace(const ControlEnv& env) : env_(env) {}

  Result<LookedUp> LookUp(const std::shared_ptr<Node>& folder, const std::string& name) final;
  Result<std::unique_ptr<FolderPages>> OpenFolder(const std::shared_ptr<Node>& folder) override;

  // The names after `after`. kNotDirectory for files.
  virtual Result<ListedPage> List(const Node& folder, const std::string& after);

 protected:
  // The node of a name. kNotFound; kNotDirectory for files.
  virtual Result<std::shared_ptr<Node>> Child(const Node& folder, const std::string& name);
  // Whether what Child() found never changes; whatever else is here may change behind the kernel's back.
  virtual bool IsFixed(const Node& child) const;
  // `node`, which Child() found, looked up once more.
  LookedUp CountLookup(const std::shared_ptr<Node>& node, bool fixed);
  // The bytes of the version that `node` is. kPermission for whoever wants to write.
  Result<std::unique_ptr<FileHandle>> OpenVersionOf(const std::shared_ptr<Node>& node, int flags);

  const ControlEnv env_;
};

Error NoSuchName(const std::string& name);
Error NeverChanges();

}  // namespace stagefs
