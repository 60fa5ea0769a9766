// Workspaces: made, listed, looked into, committed.
#include "handlers.h"
#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "stagefs/workspaces.h"

namespace stagefs {
namespace {

constexpr int64_t kPageSizeDefault = 100;

HttpResponse WorkspaceReply(Call& call, std::string_view message, const WorkspaceInfo& workspace) {
  const auto view = ViewOf(*call.repository, workspace);
  return view ? JsonReply(200, WorkspaceBody(message, *view)) : ErrorReply(view.error());
}

// Deletes a workspace, unless somebody works in it.
std::optional<HttpResponse> Delete(Call& call, const WorkspaceInfo& workspace) {
  const Status deleted = Workspaces(*call.repository).Delete(workspace.uid, /*force=*/false);
  if (deleted || deleted.error().code() == ErrorCode::kNotFound) return std::nullopt;
  if (deleted.error().code() != ErrorCode::kBusy) return ErrorReply(deleted.error());
  return JsonReply(409, ErrorBody(409, "conflict", "Workspace is mounted",
                                  "workspace '" + workspace.name.value_or(workspace.uid) +
                                      "' is mounted: unmount it first, or delete it with stagefs workspace "
                                      "delete --force"));
}

}  // namespace

HttpResponse ListWorkspaces(Call& call) {
  const auto reader = call.repository->index().Read();
  if (!reader) return ErrorReply(reader.error());
  const auto workspaces = (*reader)->ListWorkspaces();
  if (!workspaces) return ErrorReply(workspaces.error());
  const auto wanted = call.target.query.find("name");
  std::vector<WorkspaceView> views;
  for (const WorkspaceInfo& workspace : *workspaces) {
    if (wanted != call.target.query.end() && workspace.name != wanted->second) continue;
    auto view = ViewOf(*call.repository, workspace);
    if (!view) return ErrorReply(view.error());
    views.push_back(std::move(*view));
  }
  return JsonReply(200, WorkspacesBody(views));
}

HttpResponse CreateWorkspace(Call& call) {
  const auto text = call.Text();
  if (!text) return ErrorReply(text.error());
  const auto wanted = WireObject::Parse(*text);
  if (!wanted) return BadStatus(400, wanted.error().message());
  const auto branch = wanted->Text("branch_name");
  if (!branch) return BadStatus(400, branch.error().message());
  const auto id = wanted->OptionalText("workspace_id");
  if (!id) return BadStatus(400, id.error().message());
  auto name = wanted->OptionalText("name");
  if (!name) return BadStatus(400, name.error().message());
  if (*name && (*name)->empty()) name->reset();
  {
    const auto reader = call.repository->index().Read();
    if (!reader) return ErrorReply(reader.error());
    for (const std::optional<std::string>& key : {*id, *name}) {
      if (!key) continue;
      const auto existing = (*reader)->FindWorkspace(*key);
      if (!existing) return ErrorReply(existing.error());
      if (*existing) return WorkspaceReply(call, kFound, **existing);
    }
    const auto head = (*reader)->FindBranch(*branch);
    if (!head) return ErrorReply(head.error());
    if (!*head) {
      return BadStatus(
          400, "Branch not found: " + *branch + ". For non-empty repositories, create the branch first.");
    }
  }
  const auto created = Workspaces(*call.repository).Create(*branch, *name, *id);
  return created ? WorkspaceReply(call, kCreated, *created) : ErrorReply(created.error());
}

HttpResponse ClearWorkspaces(Call& call) {
  const auto reader = call.repository->index().Read();
  if (!reader) return ErrorReply(reader.error());
  const auto workspaces = (*reader)->ListWorkspaces();
  if (!workspaces) return ErrorReply(workspaces.error());
  std::optional<HttpResponse> refused;
  for (const WorkspaceInfo& workspace : *workspaces) {
    if (auto reply = Delete(call, workspace)) refused = std::move(reply);
  }
  return refused ? std::move(*refused) : StatusReply(kCreated);  // Sic: what Oxen says here.
}

HttpResponse GetWorkspace(Call& call) {
  const auto info = call.workspace->Info();
  return info ? WorkspaceReply(call, kFound, *info) : ErrorReply(info.error());
}

HttpResponse DeleteWorkspace(Call& call) {
  const auto info = call.workspace->Info();
  if (!info) return ErrorReply(info.error());
  HttpResponse found = WorkspaceReply(call, kCreated, *info);  // Sic.
  auto refused = Delete(call, *info);
  return refused ? std::move(*refused) : std::move(found);
}

HttpResponse ValidateUpload(Call&) { return StatusReply(kFound); }

HttpResponse GetChanges(Call& call) {
  const auto page = call.Page(kPageSizeDefault);
  if (!page) return BadRequest("page counts from 1 and page_size from 1 to 10000");
  const auto path = RepoPath::ParseDirectory(call.rest);
  if (!path) return BadRequest(path.error().message());
  auto body = ChangesBody(*call.workspace, path->str(), page->number, page->size);
  return body ? JsonReply(200, std::move(*body)) : ErrorReply(body.error());
}

HttpResponse UnstagePath(Call& call) {
  const auto path = RepoPath::Parse(call.rest);
  if (!path) return BadRequest(path.error().message());
  const auto unstaged = call.workspace->Unstage(*path);
  if (unstaged) return StatusReply(kDeleted);
  return unstaged.error().code() == ErrorCode::kNotFound ? NoSuchRoute() : ErrorReply(unstaged.error());
}

HttpResponse UnstagePaths(Call& call) {
  std::vector<std::string> paths;
  if (auto refused = ReadPaths(call, &paths)) return std::move(*refused);
  std::vector<std::string> failed;
  for (const std::string& raw : paths) {
    const auto path = RepoPath::Parse(raw);
    const Status unstaged = path ? call.workspace->Unstage(*path).WithoutValue() : Status(path.error());
    if (!unstaged && unstaged.error().code() != ErrorCode::kNotFound) failed.push_back(raw);
  }
  if (failed.empty()) return StatusReply(kDeleted);
  return JsonReply(206, PathsBody("error", "resource_not_found", failed));
}

HttpResponse CommitWorkspace(Call& call) {
  const auto text = call.Text();
  if (!text) return ErrorReply(text.error());
  const auto wanted = WireObject::Parse(*text);
  if (!wanted) return BadStatus(400, wanted.error().message());
  Author author;
  std::string message;
  for (const auto& [key, value] : {std::pair("message", &message), std::pair("author", &author.name),
                                   std::pair("email", &author.email)}) {
    const auto field = wanted->Text(key);
    if (!field) return BadStatus(400, field.error().message());
    *value = *field;
  }
  const auto info = call.workspace->Info();
  if (!info) return ErrorReply(info.error());
  const auto result = CommitStaged(*call.workspace, message, author, call.rest);
  if (result) {
    const auto view = ViewOf(*call.repository, result->commit);
    return view ? JsonReply(200, CommitBody(kCreated, *view)) : ErrorReply(view.error());
  }
  const Error& error = result.error();
  switch (error.code()) {
    case ErrorCode::kNotFound: return JsonReply(404, NotFoundBody(call.rest));
    case ErrorCode::kInvalidArgument: return BadStatus(422, "Basic(" + error.message() + ")");
    case ErrorCode::kConflict:
      return JsonReply(409, ErrorBody(409, "conflict", "Workspace is behind",
                                      "This workspace '" + info->name.value_or(info->uid) +
                                          "' is behind on branch '" + call.rest + "': " + error.message()));
    default: return ErrorReply(error);
  }
}

HttpResponse GetWorkspaceMergeable(Call& call) {
  const auto conflicts = FindConflicts(*call.workspace, call.rest);
  if (!conflicts && conflicts.error().code() == ErrorCode::kNotFound) {
    return JsonReply(404, NotFoundBody(call.rest));
  }
  if (!conflicts) return ErrorReply(conflicts.error());
  const auto info = call.workspace->Info();
  if (!info) return ErrorReply(info.error());
  const auto ahead = History(*call.repository).CommitsSince(call.rest, info->base);
  if (!ahead) return ErrorReply(ahead.error());
  const auto commits = ViewsOf(*call.repository, *ahead);
  return commits ? JsonReply(200, MergeableBody(*conflicts, *commits)) : ErrorReply(commits.error());
}

}  // namespace stagefs
