#include "rows.h"

#include "stagefs/history.h"

namespace stagefs {
namespace {

template <class Row>
Result<Row> Known(Result<std::optional<Row>> found, const char* what) {
  if (!found) return found.error();
  if (!*found) return Error(ErrorCode::kNotFound, what);
  return std::move(**found);
}

}  // namespace

Result<BranchInfo> FindBranch(Repository& repository, const std::string& name) {
  return Known(History(repository).FindBranch(name), "no such branch");
}

Result<TagInfo> FindTag(IndexReader& index, const std::string& name) {
  return Known(index.FindTag(name), "no such tag");
}

Result<CommitInfo> FindCommit(IndexReader& index, const std::string& id) {
  return Known(index.FindCommit(id), "no such commit");
}

Result<CommitInfo> CommitAt(IndexReader& index, CommitSeq seq, const std::string& whose) {
  STAGEFS_ASSIGN_OR_RETURN(auto commit, index.GetCommit(seq));
  if (!commit) return Error(ErrorCode::kCorrupt, whose + " is gone");
  return std::move(*commit);
}

Result<std::vector<std::pair<WorkspaceInfo, int64_t>>> CountStaged(Repository& repository) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto workspaces, reader->ListWorkspaces());
  std::vector<std::pair<WorkspaceInfo, int64_t>> counts;
  for (const WorkspaceInfo& workspace : workspaces) {
    if (const auto count = reader->CountStaged(workspace.id)) counts.emplace_back(workspace, *count);
  }
  return counts;
}

Status FindHashes(Repository& repository, ChangesView* changes) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  for (ChangesView::List* list : {&changes->added, &changes->modified}) {
    for (ChangesView::Change& change : list->entries) {
      if (change.version == 0) continue;
      STAGEFS_ASSIGN_OR_RETURN(const auto version, reader->GetVersion(change.version));
      if (version) change.hash = ToHex(version->content.xxh3);
    }
  }
  return {};
}

}  // namespace stagefs
