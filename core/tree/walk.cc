#include "walk.h"

#include <algorithm>
#include <set>

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

}  // namespace

Result<StagedFolders> CollectStagedFolders(WorkspaceTree& tree) {
  std::set<FolderId> with_rows;
  std::map<FolderId, Slot> staged;  // The folders that are staged themselves.
  std::optional<Slot> after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, tree.index().ScanStaged(tree.workspace().id, after, kPage));
    for (const auto& row : page) {
      with_rows.insert(row.slot.folder);
      if (row.staged.entry.child != 0) staged[row.staged.entry.child] = row.slot;
    }
    if (page.size() < kPage) break;
    after = page.back().slot;
  }
  StagedFolders children;
  std::set<FolderId> known{kRootFolder};
  for (FolderId folder : with_rows) {
    while (known.insert(folder).second) {
      std::optional<Slot> place;
      if (const auto at = staged.find(folder); at != staged.end()) {
        place = at->second;
      } else {
        STAGEFS_ASSIGN_OR_RETURN(place, tree.base().PlaceOf(folder));
      }
      if (!place) break;  // Rows of a folder that no tree shows any more.
      children[place->folder].emplace(place->name, folder);
      folder = place->folder;
    }
  }
  return children;
}

namespace {

class Walker {
 public:
  Walker(WorkspaceTree& tree, StagedFolders children, const std::function<Status(const StagedAt&)>& visit)
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
      for (const auto& [name, staged] : page) {
        for (; child != below.end() && child->first < name; ++child) {
          STAGEFS_RETURN_IF_ERROR(Walk(child->second, JoinPath(path, child->first)));
        }
        STAGEFS_RETURN_IF_ERROR(visit_({JoinPath(path, name), Slot{folder, name}, staged}));
        STAGEFS_RETURN_IF_ERROR(walk_children_up_to(&name));
        after = name;
      }
      if (page.size() < kPage) break;
    }
    return walk_children_up_to(nullptr);
  }

 private:
  WorkspaceTree& tree_;
  StagedFolders children_;
  const std::function<Status(const StagedAt&)>& visit_;
};

}  // namespace

Status WalkStaged(WorkspaceTree& tree, const std::function<Status(const StagedAt&)>& visit) {
  STAGEFS_ASSIGN_OR_RETURN(StagedFolders folders, CollectStagedFolders(tree));
  return WalkStaged(tree, std::move(folders), visit);
}

Status WalkStaged(WorkspaceTree& tree, StagedFolders folders, const std::function<Status(const StagedAt&)>& visit) {
  return Walker(tree, std::move(folders), visit).Walk(kRootFolder, "");
}

Result<bool> VisitSlotsBetween(IndexReader& index, CommitSeq a, CommitSeq b,
                               const std::function<bool(const Slot&)>& visit) {
  while (a != b) {
    CommitSeq& newer = a > b ? a : b;
    std::optional<Slot> after;
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(const auto page, index.ListCommitted(newer, after, kPage));
      if (!std::all_of(page.begin(), page.end(), visit)) return false;
      if (page.size() < kPage) break;
      after = page.back();
    }
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, index.GetCommit(newer));
    if (!commit) return Error(ErrorCode::kCorrupt, "a commit's parent is gone");
    newer = commit->parent;
  }
  return true;
}

}  // namespace stagefs
