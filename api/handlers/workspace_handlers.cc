// Workspaces: made, listed, deleted.
#include "handlers.h"
#include "rows.h"
#include "stagefs/workspaces.h"
#include "view_of.h"
#include "wire/reply.h"
#include "wire/requests.h"
#include "wire/status_bodies.h"
#include "wire/workspace_bodies.h"

namespace stagefs {
namespace {

Reply WorkspaceReply(Call& call, std::string_view message, const WorkspaceInfo& workspace) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceView view, ViewOf(*reader, workspace));
  return JsonReply(200, WorkspaceBody(message, view));
}

// Deletes a workspace, unless somebody works in it.
OrRefusal<> Delete(Call& call, const WorkspaceInfo& workspace) {
  const Status deleted = Workspaces(*call.repository).Delete(workspace.uid, /*force=*/false);
  if (!deleted && deleted.error().code() == ErrorCode::kNotFound) return {};
  return Try(deleted).On({ErrorCode::kBusy}, [&] {
    return Conflict("Workspace is mounted",
                    "workspace '" + workspace.name.value_or(workspace.uid) +
                        "' is mounted: unmount it first, or delete it with stagefs workspace "
                        "delete --force");
  });
}

}  // namespace

Reply ListWorkspaces(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto workspaces, reader->ListWorkspaces());
  const auto wanted = call.target.query.find("name");
  std::vector<WorkspaceView> views;
  for (const WorkspaceInfo& workspace : workspaces) {
    if (wanted != call.target.query.end() && workspace.name != wanted->second) continue;
    STAGEFS_ASSIGN_OR_RETURN(WorkspaceView view, ViewOf(*reader, workspace));
    views.push_back(std::move(view));
  }
  return JsonReply(200, WorkspacesBody(views));
}

Reply CreateWorkspace(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const NewWorkspace wanted, OrBadStatus(ReadNewWorkspace(text)));
  for (const std::optional<std::string>& key : {wanted.id, wanted.name}) {
    if (!key) continue;
    STAGEFS_ASSIGN_OR_RETURN(const auto existing, Workspaces(*call.repository).Find(*key));
    if (existing) return WorkspaceReply(call, kFound, *existing);
  }
  STAGEFS_RETURN_IF_ERROR(Try(FindBranch(*call.repository, wanted.branch)).On({ErrorCode::kNotFound}, [&] {
    return BadStatus(
        400, "Branch not found: " + wanted.branch + ". For non-empty repositories, create the branch first.");
  }));
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo created,
                           Workspaces(*call.repository).Create(wanted.branch, wanted.name, wanted.id));
  return WorkspaceReply(call, kCreated, created);
}

Reply ClearWorkspaces(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const auto workspaces, Workspaces(*call.repository).List());
  HttpResponse response = StatusReply(kCreated);  // Sic: what Oxen says here.
  for (const WorkspaceInfo& workspace : workspaces) {
    if (const OrRefusal<> deleted = Delete(call, workspace); !deleted)
      response = deleted.error().ToResponse();
  }
  return response;
}

Reply GetWorkspace(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, call.workspace->Info());
  return WorkspaceReply(call, kFound, info);
}

Reply DeleteWorkspace(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, call.workspace->Info());
  // One that cannot be shown is deleted all the same.
  Reply found = WorkspaceReply(call, kCreated, info);  // Sic.
  STAGEFS_RETURN_IF_ERROR(Delete(call, info));
  return found;
}

}  // namespace stagefs
