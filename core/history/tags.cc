#include "committer.h"
#include "durable/durable_change.h"
#include "stagefs/history.h"
#include "stagefs/posix_env.h"
#include "stagefs/workspaces.h"

namespace stagefs {

Result<std::vector<TagInfo>> History::ListTags() {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  return reader->ListTags();
}

Result<TagInfo> History::CreateTag(const std::string& name, const std::string& revision, const std::string& message,
                                   const Author& author) {
  STAGEFS_RETURN_IF_ERROR(CheckRevisionName("tag", name));
  STAGEFS_RETURN_IF_ERROR(CheckIsText(message, author));
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit, Resolve(revision));
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kPowerLoss, Turn::History()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<TagInfo> existing, transaction.FindTag(name));
  if (existing) return Error(ErrorCode::kExists, "tag " + name + " exists, and tags never move");
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> branch, transaction.FindBranch(name));
  if (branch) return Error(ErrorCode::kExists, "a branch is called " + name);
  const TagInfo tag{name, commit.seq, message, author.name, author.email, NowNs()};
  STAGEFS_RETURN_IF_ERROR(transaction.PutTag(tag));
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  return tag;
}

Status History::DeleteTag(const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kPowerLoss, Turn::History()));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<TagInfo> existing, change->index().FindTag(name));
  if (!existing) return Error(ErrorCode::kNotFound, "no tag '" + ToDisplayUtf8(name) + "'");
  STAGEFS_RETURN_IF_ERROR(change->index().EraseTag(name));
  return change->Commit();
}

}  // namespace stagefs
