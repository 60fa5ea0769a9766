#include "walk.h"

#include <set>

#include "stagefs/work_progress.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

}  // namespace

Result<StagedFolders> CollectStagedFolders(WorkspaceTree& tree,
                                           const std::function<Status(const std::vector<StagedRow>&)>& visit) {
  std::set<FolderId> with_rows;
  std::map<FolderId, Slot> staged;  // The folders that are staged themselves.
  std::optional<Slot> after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, tree.index().ScanStaged(tree.workspace().id, after, kPage));
    for (const auto& row : page) {
      with_rows.insert(row.slot.folder);
      if (row.staged.entry.child != 0) staged[row.staged.entry.child] = row.slot;
    }
    if (visit) STAGEFS_RETURN_IF_ERROR(visit(page));
    NoteSteps(static_cast<int64_t>(page.size()));
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
  Walker(WorkspaceTree& tree, const StagedFolders& children, const std::function<Status(const StagedAt&)>& visit)
      : tree_(tree), children_(children), visit_(visit) {}

  Status Run() {
    Open(kRootFolder, "");
    while (!open_.empty()) STAGEFS_RETURN_IF_ERROR(Step());
    return {};
  }

 private:
  using Children = StagedFolders::mapped_type;
  // A folder that the walk is in: rows and folders below, each in order of the names; a row comes before the folder of
  // its name.
  struct Folder {
    FolderId id = 0;
    std::string path;
    Children::const_iterator child, end;
    std::vector<Named<StagedEntry>> page;
    size_t at = 0;
    bool rows_end = false;
  };

  void Open(FolderId folder, std::string path) {
    static const Children none;
    const auto at = children_.find(folder);
    const Children& below = at == children_.end() ? none : at->second;
    open_.push_back({folder, std::move(path), below.begin(), below.end(), {}, 0, false});
  }

  Status Step() {
    Folder& here = open_.back();
    if (here.at == here.page.size() && !here.rows_end) {
      const std::string after = here.page.empty() ? "" : here.page.back().name;
      STAGEFS_ASSIGN_OR_RETURN(here.page, tree_.index().ListStaged(tree_.workspace().id, here.id, after, kPage));
      here.at = 0;
      here.rows_end = here.page.empty();
      NoteSteps(static_cast<int64_t>(here.page.size()));
      return {};
    }
    const bool row = here.at < here.page.size();
    if (here.child != here.end && (!row || here.child->first < here.page[here.at].name)) {
      const auto& [name, folder] = *here.child++;
      Open(folder, JoinPath(here.path, name));  // `here` is no more.
      return {};
    }
    if (!row) {
      open_.pop_back();
      return {};
    }
    const auto& [name, staged] = here.page[here.at++];
    return visit_({JoinPath(here.path, name), Slot{here.id, name}, staged});
  }

  WorkspaceTree& tree_;
  const StagedFolders& children_;
  const std::function<Status(const StagedAt&)>& visit_;
  std::vector<Folder> open_;
};

}  // namespace

Status WalkStaged(WorkspaceTree& tree, const std::function<Status(const StagedAt&)>& visit) {
  STAGEFS_ASSIGN_OR_RETURN(const StagedFolders folders, CollectStagedFolders(tree));
  return WalkStaged(tree, folders, visit);
}

Status WalkStaged(WorkspaceTree& tree, const StagedFolders& folders,
                  const std::function<Status(const StagedAt&)>& visit) {
  return Walker(tree, folders, visit).Run();
}

Result<bool> VisitSlotsBetween(IndexReader& index, CommitSeq a, CommitSeq b,
                               const std::function<Result<bool>(const std::vector<Slot>&)>& visit) {
  while (a != b) {
    CommitSeq& newer = a > b ? a : b;
    std::optional<Slot> after;
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(const auto page, index.ListCommitted(newer, after, kPage));
      STAGEFS_ASSIGN_OR_RETURN(const bool goes_on, visit(page));
      if (!goes_on) return false;
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
