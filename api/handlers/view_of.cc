#include "view_of.h"

#include "rows.h"
#include "stagefs/status.h"

namespace stagefs {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

// Where a line is printed; null for kinds that are not.
ChangesView::List* ListFor(ChangesView& view, StatusLine::Kind kind) {
  switch (kind) {
    case StatusLine::Kind::kAdded: return &view.added;
    case StatusLine::Kind::kModified: return &view.modified;
    case StatusLine::Kind::kRemoved: return &view.removed;
    case StatusLine::Kind::kRenamed:
    case StatusLine::Kind::kScratch:
    case StatusLine::Kind::kSymlink:
    case StatusLine::Kind::kEmptyFolder: break;
  }
  return nullptr;
}

// A link shows the hash and size of the file that it leads to; of another one both stay its own.
Status FollowLinks(Workspace& workspace, ChangesView* changes) {
  std::unique_ptr<RevisionTree> tree;
  for (ChangesView::List* list : {&changes->added, &changes->modified}) {
    for (ChangesView::Change& change : list->entries) {
      if (change.version != 0) continue;
      if (!tree) {
        STAGEFS_ASSIGN_OR_RETURN(const Revision now, RevisionOf(workspace));
        STAGEFS_ASSIGN_OR_RETURN(tree, RevisionTree::Open(workspace.repository(), now, LinksAre::kFollowed));
      }
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(change.path));
      const auto at = tree->Find(path);
      if (!at || at->entry.kind != EntryKind::kFile) continue;
      STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, tree->VersionOf(at->entry));
      change.hash = ToHex(version.content.xxh3);
      change.size_bytes = version.size_bytes;
    }
  }
  return {};
}

}  // namespace

Result<CommitView> ViewOf(IndexReader& index, const CommitInfo& commit) {
  CommitView view{commit, {}};
  for (const CommitSeq seq : {commit.parent, commit.merged}) {
    if (seq == 0) continue;
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> parent, index.GetCommit(seq));
    if (parent) view.parents.push_back(parent->id);
  }
  return view;
}

Result<std::vector<CommitView>> ViewsOf(IndexReader& index, const std::vector<CommitInfo>& commits) {
  std::vector<CommitView> views;
  for (const CommitInfo& commit : commits) {
    STAGEFS_ASSIGN_OR_RETURN(CommitView view, ViewOf(index, commit));
    views.push_back(std::move(view));
  }
  return views;
}

Result<BranchView> ViewOf(IndexReader& index, const BranchInfo& branch) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo head,
                           CommitAt(index, branch.head, "the head of branch " + branch.name));
  return BranchView{branch.name, head.id};
}

Result<TagView> ViewOf(IndexReader& index, const TagInfo& tag) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit, CommitAt(index, tag.commit, "the commit of tag " + tag.name));
  return TagView{tag, commit.id};
}

Result<WorkspaceView> ViewOf(IndexReader& index, const WorkspaceInfo& workspace) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo base,
                           CommitAt(index, workspace.base, "the base commit of a workspace"));
  STAGEFS_ASSIGN_OR_RETURN(CommitView view, ViewOf(index, base));
  return WorkspaceView{workspace, std::move(view)};
}

Result<RevisionView> ViewOf(IndexReader& index, const Revision& revision) {
  RevisionView view;
  view.name = revision.name;
  STAGEFS_ASSIGN_OR_RETURN(view.commit, ViewOf(index, revision.commit));
  if (revision.branch) view.branch = BranchView{revision.branch->name, revision.commit.id};
  if (revision.workspace) view.workspace = WorkspaceView{*revision.workspace, view.commit};
  return view;
}

Result<ChangesView> ViewChanges(Workspace& workspace, const RepoPath& path, const PageView& page) {
  ChangesView view;
  view.added.page = view.modified.page = view.removed.page = page;
  STAGEFS_RETURN_IF_ERROR(ForEachChange(workspace, [&](const StatusLine& line) -> Status {
    ChangesView::List* list = ListFor(view, line.kind);
    if (list == nullptr || !IsAtOrBelow(line.path, path.str())) return {};
    if (list != &view.removed) ++view.folders[ParentOf(line.path)];
    if (page.Shows(list->page.total_entries++)) {
      list->entries.push_back({line.path, line.version, "", line.size_bytes});
    }
    return {};
  }));
  STAGEFS_RETURN_IF_ERROR(FindHashes(workspace.repository(), &view));
  STAGEFS_RETURN_IF_ERROR(FollowLinks(workspace, &view));
  return view;
}

}  // namespace stagefs
