// What is staged in a workspace: looked at, unstaged, committed.
#include "handlers.h"
#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "view_of.h"
#include "wire/history_bodies.h"
#include "wire/query.h"
#include "wire/reply.h"
#include "wire/requests.h"
#include "wire/status_bodies.h"
#include "wire/workspace_bodies.h"

namespace stagefs {
namespace {

constexpr int64_t kPageSizeDefault = 100;

}  // namespace

Reply GetChanges(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const PageView page, QueryPage(call.target, kPageSizeDefault));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, call.Directory());
  STAGEFS_ASSIGN_OR_RETURN(const ChangesView changes, ViewChanges(*call.workspace, path, page));
  return JsonReply(200, ChangesBody(changes));
}

Reply UnstagePath(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, call.Path());
  STAGEFS_RETURN_IF_ERROR(
      Try(call.workspace->Unstage({path})).On({ErrorCode::kNotFound}, [] { return NoSuchRoute(); }));
  return StatusReply(kDeleted);
}

Reply UnstagePaths(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const NamedPaths paths, call.Paths());
  std::vector<Status> outcomes;
  STAGEFS_RETURN_IF_ERROR(call.workspace->Unstage(paths.parsed(), &outcomes).WithoutValue());
  const auto failed = paths.Failed(outcomes, ErrorCode::kNotFound);
  if (failed.empty()) return StatusReply(kDeleted);
  return JsonReply(206, PathsBody("error", "resource_not_found", failed));
}

Reply CommitWorkspace(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const NewCommit wanted, OrBadStatus(ReadNewCommit(text)));
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, call.workspace->Info());
  STAGEFS_ASSIGN_OR_RETURN(
      const CommitResult result,
      Try(CommitStaged(*call.workspace, wanted.message, wanted.author, call.rest))
          .On({ErrorCode::kNotFound}, [&] { return NotHere(call.rest); })
          .On({ErrorCode::kInvalidArgument},
              [](const Error& error) { return BadStatus(422, "Basic(" + error.message() + ")"); })
          .On({ErrorCode::kConflict}, [&](const Error& error) {
            return Conflict("Workspace is behind", "This workspace '" + info.name.value_or(info.uid) +
                                                       "' is behind on branch '" + call.rest +
                                                       "': " + error.message());
          }));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const CommitView view, ViewOf(*reader, result.commit));
  return JsonReply(200, CommitBody(kCreated, view));
}

Reply GetWorkspaceMergeable(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const auto conflicts,
                           Try(FindConflicts(*call.workspace, call.rest)).On({ErrorCode::kNotFound}, [&] {
                             return NotHere(call.rest);
                           }));
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, call.workspace->Info());
  STAGEFS_ASSIGN_OR_RETURN(const auto ahead, History(*call.repository).CommitsSince(call.rest, info.base));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto commits, ViewsOf(*reader, ahead));
  return JsonReply(200, MergeableBody(conflicts, commits));
}

}  // namespace stagefs
