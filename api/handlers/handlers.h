// What each route does. A handler gets a request whose target, token, repository and workspace were looked
// at.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wire/reply.h"
#include "stagefs/repository.h"
#include "stagefs/workspace.h"
#include "stagefs/uri.h"
#include "stagefs/repositories.h"
#include "wire/wire.h"
#include "wire/wire_in.h"

namespace stagefs {

// JSON bodies other than manifests are read into memory.
constexpr size_t kJsonBytesMax = 20 << 20;

struct Call {
  const HttpRequest& request;
  const RequestTarget& target;
  Root& root;
  uint64_t body_bytes_max = 0;
  std::vector<std::string> names;          // What stands for each {name} of the route.
  std::string rest;                        // What stands for {…*}, joined by '/'.
  std::shared_ptr<Repository> repository;  // Below /api/repos/{namespace}/{repo_name}/.
  std::unique_ptr<Workspace> workspace;    // Below /workspaces/{workspace_id}/.

  // The query's page and page_size; std::nullopt where they are nonsense.
  std::optional<PageView> Page(int64_t size_default) const;
  Result<std::string> Text() const;
};

// Query parameters. `bad` is set for values that are not what they must be.
std::optional<bool> QueryBool(const RequestTarget& target, const std::string& name, bool* bad);
int64_t QueryInt(const RequestTarget& target, const std::string& name, int64_t otherwise, bool* bad);
// "application/json; charset=utf-8" → "application/json".
std::string MediaType(const HttpRequest& request);
bool IsJson(const std::string& media_type);

Result<CommitView> ViewOf(Repository& repository, const CommitInfo& commit);
Result<std::vector<CommitView>> ViewsOf(Repository& repository, const std::vector<CommitInfo>& commits);
Result<WorkspaceView> ViewOf(Repository& repository, const WorkspaceInfo& workspace);
Result<BranchView> ViewOf(Repository& repository, const BranchInfo& branch);
Result<RevisionView> ViewOf(Repository& repository, const Revision& revision);
std::string BranchNotFound(const std::string& name);

// Bodies that several routes take. An answer where the body is not what it must be.
// A list of paths.
std::optional<HttpResponse> ReadPaths(const Call& call, std::vector<std::string>* paths);
// An object with `new_path`, where something moves to.
std::optional<HttpResponse> ReadMove(const Call& call, std::optional<WireObject>* body, RepoPath* to);

// Parts of a form: files become versions, other fields are kept as text.
struct Form {
  struct File {
    std::string field, filename;
    VersionInfo version;
  };
  std::vector<File> files;
  std::map<std::string, std::string> fields;
};
Result<Form> ReadForm(const Call& call);

// The server (server_handlers.cc).
HttpResponse GetHealth(Call& call);
HttpResponse GetVersion(Call& call);
HttpResponse GetMetrics(Call& call);
HttpResponse GetMinVersion(Call& call);
HttpResponse GetOpenApi(Call& call);
HttpResponse ListNamespaces(Call& call);
HttpResponse GetNamespace(Call& call);
HttpResponse DoAction(Call& call);
HttpResponse NotServed(Call& call);

// Repositories, branches, commits (repository_handlers.cc).
HttpResponse CreateRepository(Call& call);
HttpResponse GetRepository(Call& call);
HttpResponse DeleteRepository(Call& call);
HttpResponse GetRevision(Call& call);
HttpResponse ListBranches(Call& call);
HttpResponse CreateBranch(Call& call);
HttpResponse GetBranch(Call& call);
HttpResponse UpdateBranch(Call& call);
HttpResponse DeleteBranch(Call& call);
HttpResponse GetHistory(Call& call);
HttpResponse GetCommit(Call& call);
HttpResponse CompleteCommit(Call& call);
HttpResponse GetMergeable(Call& call);
HttpResponse MergeBranches(Call& call);

// Files of revisions (file_handlers.cc).
HttpResponse ListDirectory(Call& call);
HttpResponse GetEntry(Call& call);
HttpResponse GetFile(Call& call);
HttpResponse GetChunk(Call& call);
HttpResponse PutFiles(Call& call);
HttpResponse DeleteFile(Call& call);
HttpResponse MoveFile(Call& call);
HttpResponse ExportZip(Call& call);

// Workspaces (workspace_handlers.cc).
HttpResponse ListWorkspaces(Call& call);
HttpResponse CreateWorkspace(Call& call);
HttpResponse ClearWorkspaces(Call& call);
HttpResponse GetWorkspace(Call& call);
HttpResponse DeleteWorkspace(Call& call);
HttpResponse ValidateUpload(Call& call);
HttpResponse GetChanges(Call& call);
HttpResponse UnstagePath(Call& call);
HttpResponse UnstagePaths(Call& call);
HttpResponse CommitWorkspace(Call& call);
HttpResponse GetWorkspaceMergeable(Call& call);

// Files of workspaces (staging_handlers.cc).
// What can be said of a batch before its workspace is looked up: an answer that refuses it, or nothing.
std::optional<HttpResponse> CheckBatch(const Call& call);
HttpResponse StageBatch(Call& call);
HttpResponse StageUpload(Call& call);
HttpResponse GetWorkspaceFile(Call& call);
HttpResponse MoveWorkspaceFile(Call& call);
HttpResponse RemoveFiles(Call& call);

// Versions (version_handlers.cc).
HttpResponse PutVersions(Call& call);
HttpResponse GetVersionMetadata(Call& call);
HttpResponse GetVersions(Call& call);
HttpResponse CleanVersions(Call& call);
HttpResponse CreateUpload(Call& call);
HttpResponse PutChunk(Call& call);
HttpResponse CompleteUpload(Call& call);
HttpResponse BeginUpload(Call& call);
HttpResponse PutPart(Call& call);

}  // namespace stagefs
