#include "durable/durable_change.h"
#include "stagefs/history.h"
#include "stagefs/revision.h"
#include "stagefs/workspaces.h"

namespace stagefs {

Result<std::vector<BranchInfo>> History::ListBranches() {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  return reader->ListBranches();
}

Result<std::optional<BranchInfo>> History::FindBranch(const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  return reader->FindBranch(name);
}

Status History::CreateBranch(const std::string& name, const std::string& from) {
  STAGEFS_RETURN_IF_ERROR(CheckRevisionName("branch", name));
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit, Resolve(from));
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kPowerLoss, Turn::History()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> existing, transaction.FindBranch(name));
  if (existing) return Error(ErrorCode::kExists, "branch " + name + " exists");
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<TagInfo> tag, transaction.FindTag(name));
  if (tag) return Error(ErrorCode::kExists, "a tag is called " + name);
  STAGEFS_RETURN_IF_ERROR(transaction.PutBranch({name, commit.seq, 0}));
  return change->Commit();
}

Result<CommitInfo> History::MoveBranch(const std::string& name, const std::string& to) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit, Resolve(to));
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kPowerLoss, Turn::History()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> existing, transaction.FindBranch(name));
  if (!existing) return Error(ErrorCode::kNotFound, "Branch '" + name + "' not found");
  STAGEFS_RETURN_IF_ERROR(transaction.PutBranch({name, commit.seq, existing->line}));
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  return commit;
}

Status History::DeleteBranch(const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kPowerLoss, Turn::History()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> existing, transaction.FindBranch(name));
  if (!existing) return Error(ErrorCode::kNotFound, "Branch '" + name + "' not found");
  STAGEFS_ASSIGN_OR_RETURN(const auto branches, transaction.ListBranches());
  if (branches.size() == 1) return Error(ErrorCode::kConflict, "branch " + name + " is the only one");
  STAGEFS_ASSIGN_OR_RETURN(const auto workspaces, transaction.ListWorkspaces());
  for (const WorkspaceInfo& workspace : workspaces) {
    if (workspace.branch == name) {
      return Error(ErrorCode::kBusy, "branch " + name + " is used by workspace " +
                                         workspace.name.value_or(workspace.uid) + ": delete that first");
    }
  }
  STAGEFS_RETURN_IF_ERROR(transaction.EraseBranch(name));
  return change->Commit();
}

Result<CommitInfo> History::Resolve(const std::string& revision) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(Revision found, ResolveRevision(*reader, revision));
  return std::move(found.commit);
}

}  // namespace stagefs
