// The mount without FUSE: every operation in the project's own types. fuse_ops.cc translates.
//
// Here an operation only finds its node and who answers for nodes of that kind: TreePlace, or a class of the control
// folder. What they share is in pieces of their own: Nodes (what the kernel knows), OpenFiles, ChangeNotifier (what the
// kernel must be told), StagingWorker.
#pragma once

#include <fcntl.h>

#include <memory>
#include <string>

#include "control/control_folder.h"
#include "tree_place.h"

namespace stagefs {

// One method for each request that names a node, and what the session needs; requests that name something open go to
// FileHandle and DirectoryStream. Safe for concurrent use.
class StageFs {
 public:
  // Shows a workspace, by its id or name, and stages what is written. kNotFound.
  static Result<std::unique_ptr<StageFs>> OfWorkspace(Repository& repository, const std::string& workspace,
                                                      MountOptions options);
  // Shows a commit, which never changes; every change is kReadOnly.
  static Result<std::unique_ptr<StageFs>> OfCommit(Repository& repository, const CommitInfo& commit,
                                                   MountOptions options);
  ~StageFs();

  Result<LookedUp> LookUp(NodeId parent, const std::string& name);
  void Forget(NodeId id, uint64_t count) { nodes_.Forget(id, count); }
  // What others change reaches the nodes by the notifier.
  Result<Attributes> GetAttributes(NodeId id);
  // `handle`: by which the file was named, or nullptr.
  Result<Attributes> SetAttributesOf(NodeId id, const SetAttributes& set, FileHandle* handle);
  Result<std::string> ReadLink(NodeId id);
  // user.stagefs.*; kNotFound for others, kUnsupported for ACLs.
  Result<std::string> GetXattr(NodeId id, const std::string& name);

  Result<std::unique_ptr<DirectoryStream>> OpenFolder(NodeId id);
  Result<std::unique_ptr<FileHandle>> Open(NodeId id, int flags);
  // `flags` as open(2) has them: without O_EXCL a file that others made meanwhile is opened. kStale: it is no file, so
  // that the kernel looks it up again.
  Result<Created> CreateFile(NodeId parent, const std::string& name, mode_t mode, int flags = O_EXCL);
  Result<LookedUp> MakeFolder(NodeId parent, const std::string& name, mode_t mode = 0777);
  Result<LookedUp> MakeSymlink(NodeId parent, const std::string& name, const std::string& target);
  Result<LookedUp> Link(NodeId id, NodeId parent, const std::string& name);
  Status RemoveFolder(NodeId parent, const std::string& name);
  Status Remove(NodeId parent, const std::string& name);
  Status Rename(NodeId parent, const std::string& name, NodeId new_parent, const std::string& new_name,
                RenameMode mode);

  const MountOptions& options() const { return options_; }
  Repository& repository() { return repository_; }
  Tree& tree() { return *tree_; }
  Nodes& nodes() { return nodes_; }
  ChangeNotifier& notifier() { return *notifier_; }
  MountRegistration& registration() { return *registration_; }

  // Nobody waits any more, and no manifest is begun.
  void Stop();
  // Before the process ends: what is not staged is kept for the next start.
  void KeepUnstaged() { files_->KeepUnstaged(); }
  // Once it is registered as a mount: what others closed and keep back, as nobody followed them, is there soon.
  void AwaitClosed() {
    if (workspace_) workspace_->AwaitClosed();
  }

 private:
  StageFs(Repository& repository, MountOptions options);
  Status OpenWorkspace(const std::string& workspace, WriterId writer);
  void AssemblePlaces();
  Place& PlaceOf(const Node& node);
  // The one place where a mount that may not stage refuses. Otherwise the node.
  Result<std::shared_ptr<Node>> GetToChange(NodeId id);

  // Constant after construction; each knows those above it.
  Repository& repository_;
  const MountOptions options_;
  MountCounters counters_;  // Synchronizes itself, as all that follows.
  std::unique_ptr<WorkingCopies> copies_;  // Outlives the files of the nodes.
  Nodes nodes_;
  std::unique_ptr<Workspace> workspace_;  // Changes through it are known to the kernel.
  std::unique_ptr<Workspace> behind_;     // Changes through it are not: manifests.
  std::optional<CommitInfo> commit_;      // Where there is no workspace.
  std::unique_ptr<Tree> commit_tree_;
  Tree* tree_ = nullptr;
  std::unique_ptr<MountRegistration> registration_;
  std::unique_ptr<ChangeNotifier> notifier_;
  std::unique_ptr<FileHome> tree_home_, inbox_home_;
  std::unique_ptr<OpenFiles> files_;
  std::unique_ptr<StagingWorker> worker_;
  std::unique_ptr<TreePlace> tree_place_;
  std::unique_ptr<ControlFolder> control_;
};

}  // namespace stagefs
