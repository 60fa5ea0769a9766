// A tree: what a commit, a workspace or the base of a workspace shows, as folders with names in them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stagefs/repo_path.h"
#include "stagefs/staging_index.h"

namespace stagefs {

struct Located {
  Slot slot;
  Entry entry;
};

// So many symbolic links are followed one to the other, as Linux does.
constexpr int kLinkHopsMax = 40;

// A place in a tree is a Slot: a name in a folder. Folders are identities, so a renamed folder keeps its FolderId.
//
// A tree shows one moment, or what is newest at each question: whoever opens it says which. Use by several threads at
// once is for the trees that say so.
class Tree {
 public:
  virtual ~Tree();

  // std::nullopt if the tree shows nothing there.
  virtual Result<std::optional<Entry>> LookUp(const Slot& slot) = 0;
  // What is in a folder, in byte order of the name, after `after`; at most `limit` names, and fewer only at the end.
  virtual Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit) = 0;
  // The slot that shows `folder`. std::nullopt: the root, or a folder that the tree does not show.
  virtual Result<std::optional<Slot>> PlaceOf(FolderId folder) = 0;

  // The path of a folder, "" for the root. kStale if the tree does not show it.
  virtual Result<std::string> PathOf(FolderId folder);
  // kNotFound; kNotDirectory where a file is on the way. The root is a folder without a slot's name.
  virtual Result<Located> Find(const RepoPath& path);

  Result<std::string> PathOf(const Slot& slot);
  Result<bool> IsEmpty(FolderId folder);
  // Whether what `slot` shows, `entry`, is left out of commits: scratch and, if unfinished, with the finished file
  // beside it.
  Result<bool> IsScratch(const Slot& slot, const Entry& entry);

  // Calls `visit` for everything below `folder`, whose path is `path`: what is in a folder right after the folder, in
  // byte order of the names. Its error ends the walk and is returned. However deep folders are nested, the stack does
  // not grow with them.
  struct Walked {
    const std::string& path;
    const Slot& slot;
    const Entry& entry;
  };
  Status Walk(FolderId folder, const std::string& path, const std::function<Status(const Walked&)>& visit);
};

}  // namespace stagefs
