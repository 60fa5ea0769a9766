// The names of a folder of the tree, for a listing.
#pragma once

#include "directory_stream.h"
#include "open_files.h"
#include "stagefs/tree.h"

namespace stagefs {

// Merged from the tree and from files that are being written, which may be nowhere else. While neither the index nor
// what the kernel knows of the folder changed since a listing in which the kernel knew each name, they come from
// memory.
class TreePages : public FolderPages {
 public:
  // All must outlive it. `with_control`: the control folder is one of the names.
  TreePages(Repository& repository, Tree& tree, Nodes& nodes, OpenFiles& files, std::shared_ptr<Node> folder,
            bool with_control)
      : repository_(repository), tree_(tree), nodes_(nodes), files_(files), folder_(std::move(folder)),
        with_control_(with_control) {}

  Attributes OfFolder() override { return files_.AttributesOf(folder_); }
  void Begin() override;
  Result<ListedPage> After(const std::string& name) override;
  Shown Show(const Listed& listed, bool plus) override;
  void TakeBack(NodeId id) override { nodes_.Forget(id, 1); }
  void End(off_t names) override;

 private:
  std::optional<ListedPage> AllKnownAfter(const std::string& name);
  std::vector<Listed> WrittenHere();
  int64_t AllKnownAt();
  off_t CountNodes();
  std::shared_ptr<Node> Recall(const Listed& listed);

  Repository& repository_;
  Tree& tree_;
  Nodes& nodes_;
  OpenFiles& files_;
  const std::shared_ptr<Node> folder_;
  const bool with_control_;
  // While each name so far is one that the kernel knows: what the index and the folder were at the listing's start.
  bool all_known_ = false;
  int64_t mark_ = -1;
  uint64_t detached_ = 0;
};

}  // namespace stagefs
