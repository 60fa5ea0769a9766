// The folders, files and links of the tree.
#pragma once

#include "change_notifier.h"
#include "look_ahead.h"
#include "place.h"
#include "staging_worker.h"

namespace stagefs {

// Changes go to the workspace at once; what they do to nodes and open files follows while these are held.
class TreePlace : public Place {
 public:
  // Where something may be staged; both nullptr where not. Changes through `workspace` the kernel knows.
  struct Staging {
    Workspace* workspace = nullptr;
    StagingWorker* worker = nullptr;
  };
  // All must outlive it.
  TreePlace(Tree& tree, Nodes& nodes, OpenFiles& files, ChangeNotifier& notifier, const MountOptions& options,
            Staging staging)
      : tree_(tree), nodes_(nodes), files_(files), notifier_(notifier), options_(options),
        workspace_(staging.workspace), worker_(staging.worker), look_ahead_(tree) {}

  Result<LookedUp> LookUp(const std::shared_ptr<Node>& folder, const std::string& name) override;
  Result<std::unique_ptr<FolderPages>> OpenFolder(const std::shared_ptr<Node>& folder) override;
  // kStale: another process replaced what the kernel still takes for the file, so that it looks the path up again.
  Result<std::unique_ptr<FileHandle>> Open(const std::shared_ptr<Node>& node, int flags) override;

  // REQUIRES of these: there is a workspace.
  Result<LookedUp> MakeFolder(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode) override;
  Result<Created> MakeFile(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode) override;
  Result<LookedUp> MakeSymlink(const std::shared_ptr<Node>& folder, const std::string& name,
                               const std::string& target) override;
  Result<LookedUp> Link(const std::shared_ptr<Node>& source, const std::shared_ptr<Node>& folder,
                        const std::string& name) override;
  Status RemoveFolder(const std::shared_ptr<Node>& folder, const std::string& name) override;
  Status Remove(const std::shared_ptr<Node>& folder, const std::string& name) override;
  Status Rename(const std::shared_ptr<Node>& from, const std::string& name, const std::shared_ptr<Node>& to,
                const std::string& new_name, RenameMode mode) override;
  Result<Attributes> SetAttributesOf(const std::shared_ptr<Node>& node, const SetAttributes& set,
                                     FileHandle* handle) override;

 private:
  // What is at one end of a rename, or was until then.
  struct RenameEnd {
    Slot slot;
    std::shared_ptr<Node> node;
    std::shared_ptr<OpenFile> file;
  };
  enum class Use { kRead, kWrite, kLink };
  std::shared_ptr<Node> FindWritten(const Slot& slot);
  Status CheckCurrent(const std::shared_ptr<Node>& node, Use use);
  Status UseReplaced(InodeTable& table, const std::shared_ptr<Node>& node, Use use);
  Status CheckNewName(const Node& parent, const std::string& name) const;
  Status RenameHeld(const RenameEnd& from, const RenameEnd& to, RenameMode mode);
  void Arrive(const std::shared_ptr<Node>& node, const Slot& slot);
  Status StageBeforeLink(const std::shared_ptr<Node>& source);
  Result<bool> SetOnFile(const std::shared_ptr<Node>& node, const SetAttributes& set, FileHandle* handle);
  Status SetTraits(const std::shared_ptr<Node>& node, const SetAttributes& set);

  // Constant after construction.
  Tree& tree_;
  Nodes& nodes_;
  OpenFiles& files_;
  ChangeNotifier& notifier_;
  const MountOptions& options_;
  Workspace* const workspace_;
  StagingWorker* const worker_;
  // Synchronize themselves.
  LookAhead look_ahead_;
  // Names whose nodes were stale lately: the first of these, and when.
  struct ToldStale {
    NodeId first = 0;
    int64_t at_ns = 0;
  };
  Guarded<std::map<Slot, ToldStale>> told_stale_;
};

}  // namespace stagefs
