#include "walk.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

}  // namespace

Result<StagedFolders> CollectStagedFolders(OverlayReader& tree) {
  StagedFolders children;
  std::set<FolderId> known{kRootFolder};
  std::optional<Slot> after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, tree.index().ScanStaged(tree.workspace().id, after, kPage));
    if (page.empty()) return children;
    for (const auto& row : page) {
      for (FolderId folder = row.slot.folder; known.insert(folder).second;) {
        STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, tree.PlaceOf(folder));
        if (!place) break;  // Rows of a folder that no tree shows any more.
        children[place->folder].emplace(place->name, folder);
        folder = place->folder;
      }
    }
    after = page.back().slot;
  }
}

namespace {

class Walker {
 public:
  Walker(OverlayReader& tree, StagedFolders children, const std::function<Status(const StagedAt&)>& visit)
      : tree_(tree), children_(std::move(children)), visit_(visit) {}

  Status Walk(FolderId folder, const std::string& path) {
    const auto& below = children_[folder];
    auto child = below.begin();
    const auto walk_children_up_to = [&](const std::string* name) -> Status {
      for (; child != below.end() && (name == nullptr || child->first <= *name); ++child) {
        STAGEFS_RETURN_IF_ERROR(Walk(child->second, JoinPath(path, child->first)));
      }
      return {};
    };
    std::string after;
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(const auto page,
                               tree_.index().ListStaged(tree_.workspace().id, folder, after, kPage));
      if (page.empty()) break;
      for (const auto& [name, staged] : page) {
        for (; child != below.end() && child->first < name; ++child) {
          STAGEFS_RETURN_IF_ERROR(Walk(child->second, JoinPath(path, child->first)));
        }
        STAGEFS_RETURN_IF_ERROR(visit_({JoinPath(path, name), Slot{folder, name}, staged}));
        STAGEFS_RETURN_IF_ERROR(walk_children_up_to(&name));
        after = name;
      }
    }
    return walk_children_up_to(nullptr);
  }

 private:
  OverlayReader& tree_;
  StagedFolders children_;
  const std::function<Status(const StagedAt&)>& visit_;
};

}  // namespace

Status WalkStaged(OverlayReader& tree, const std::function<Status(const StagedAt&)>& visit) {
  STAGEFS_ASSIGN_OR_RETURN(StagedFolders children, CollectStagedFolders(tree));
  return Walker(tree, std::move(children), visit).Walk(kRootFolder, "");
}

Result<std::string> BasePathOf(OverlayReader& tree, FolderId folder) {
  std::string path;
  while (folder != kRootFolder) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, tree.index().PlaceInBase(tree.base(), folder));
    if (!place) return Error(ErrorCode::kStale, "the folder is not in the base");
    path = path.empty() ? place->name : place->name + '/' + path;
    folder = place->folder;
  }
  return path;
}

}  // namespace stagefs
