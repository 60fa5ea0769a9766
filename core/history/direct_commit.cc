// Commits without a workspace that anybody sees: to a branch by path, and the files a repository begins with.
#include "committer.h"
#include "stagefs/posix_env.h"
#include "stagefs/history.h"

namespace stagefs {
namespace {

Status StageAt(Overlay& overlay, const RepoPath& path, VersionId version) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> info, overlay.index().GetVersion(version));
  if (!info) return Error(ErrorCode::kNotFound, "the version is gone");
  STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, overlay.EnsureFolders(path.parent()));
  return overlay.StageVersion({folder, std::string(path.name())}, *info, StageHow()).WithoutValue();
}

Status Apply(Overlay& overlay, const History::PathChange& change) {
  if (change.version) return StageAt(overlay, change.path, *change.version);
  STAGEFS_ASSIGN_OR_RETURN(const Located at, overlay.Find(change.path));
  if (!change.moved_to) return overlay.RemoveRecursively(at.slot, at.entry);
  STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, overlay.EnsureFolders(change.moved_to->parent()));
  return overlay.Rename(at.slot, {folder, std::string(change.moved_to->name())}, RenameMode::kNoReplace);
}

}  // namespace

Result<std::optional<CommitInfo>> History::CommitPaths(const std::string& branch,
                                                          const std::vector<PathChange>& changes,
                                                          const std::string& message, const Author& author) {
  STAGEFS_ASSIGN_OR_RETURN(const auto change, DurableChange::Begin(repository_, Durability::kPowerLoss,
                                                                   Turn::History(), Earlier::kSynced));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> found, transaction.FindBranch(branch));
  if (!found) return Error(ErrorCode::kNotFound, "Branch '" + branch + "' not found");
  STAGEFS_ASSIGN_OR_RETURN(Overlay overlay, AddHiddenWorkspace(*change, branch, found->head));
  for (const PathChange& path : changes) STAGEFS_RETURN_IF_ERROR(Apply(overlay, path));
  STAGEFS_ASSIGN_OR_RETURN(CommitInfo commit, NewCommit(found->head, message, author));
  STAGEFS_ASSIGN_OR_RETURN(commit, transaction.AddCommit(commit, branch));
  LeftOut left_out;
  STAGEFS_ASSIGN_OR_RETURN(const int64_t entries, Committer(overlay, commit).Run(&left_out));
  if (entries == 0) return std::optional<CommitInfo>();
  STAGEFS_RETURN_IF_ERROR(transaction.EraseWorkspace(overlay.workspace().id));
  STAGEFS_RETURN_IF_ERROR(transaction.PutBranch({branch, commit.seq, commit.lineage}));
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  return std::optional<CommitInfo>(std::move(commit));
}

Result<CommitInfo> History::Seed(const std::vector<std::pair<RepoPath, VersionId>>& files) {
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kPowerLoss, Turn::History()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const auto branch, transaction.FindBranch(std::string(kDefaultBranch)));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> first,
                           transaction.GetCommit(branch ? branch->head : 0));
  if (!first || first->parent != 0) {
    return Error(ErrorCode::kConflict, "only a repository without commits is seeded");
  }
  STAGEFS_ASSIGN_OR_RETURN(Overlay overlay, AddHiddenWorkspace(*change, branch->name, first->seq));
  for (const auto& [path, version] : files) {
    STAGEFS_RETURN_IF_ERROR(StageAt(overlay, path, version));
  }
  LeftOut left_out;
  STAGEFS_RETURN_IF_ERROR(Committer(overlay, *first).Run(&left_out).WithoutValue());
  STAGEFS_RETURN_IF_ERROR(transaction.EraseWorkspace(overlay.workspace().id));
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  return *first;
}

}  // namespace stagefs
