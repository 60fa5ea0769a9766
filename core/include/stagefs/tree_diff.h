// What two trees of a repository show differently.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/revision.h"

namespace stagefs {

struct TreeChange {
  enum class Kind { kAdded, kModified, kRemoved, kMoved };
  Kind kind = Kind::kAdded;
  std::string path;        // Of what was removed: where it was.
  std::string moved_from;  // kMoved.
  std::optional<Entry> before, after;
};
// "added", "modified", "removed", "moved".
std::string_view ToString(TreeChange::Kind kind);

// `index` is the reader that both trees are read with: this thread opens no other meanwhile.
using TreeChangeVisit = std::function<Status(const TreeChange& change, IndexReader& index)>;

// `path` is that of a folder below which something differs: added, removed, or modified, which is in both trees.
using FolderChangeVisit = std::function<Status(const std::string& path, TreeChange::Kind kind)>;

struct DiffRequest {
  Revision before, after;
  std::vector<RepoPath> paths;  // Only what is at or below these; none: everything.
  bool find_moves = true;       // A file whose content came at one path and went at another is one change, not two.
  // Followed, a link changes where it leads elsewhere, not with the file that it leads to.
  LinksAre links = LinksAre::kLinks;
};

// Calls `visit` for each file that the trees show differently, in order of the paths, folder by folder; and `enter`, if
// there is one, for each folder before the first such file below it, from those that were asked for on ("" is the
// root). Of a workspace counts what a commit would take. Costs what was changed on either side since they met, and what
// is below folders that are other folders now; memory grows with the number of files that were added, removed or moved.
// Errors: kNotFound for a path that neither tree shows.
Status DiffTrees(Repository& repository, const DiffRequest& request, const TreeChangeVisit& visit,
                 const FolderChangeVisit& enter = nullptr);

}  // namespace stagefs
