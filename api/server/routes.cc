#include "routes.h"

#include <algorithm>
#include <optional>

namespace stagefs {
namespace {

#define REPO "/api/repos/{namespace}/{repo_name}"
#define WORKSPACE REPO "/workspaces/{workspace_id}"

constexpr Route kRoutes[] = {
    {"GET", "/api/health", &GetHealth},
    {"GET", "/api/version", &GetVersion},
    {"GET", "/metrics", &GetMetrics},
    {"GET", "/api/min_version", &GetMinVersion},
    {"GET", "/api/_spec/oxen_server_openapi.json", &GetOpenApi},
    {"GET", "/api/namespaces", &ListNamespaces},
    {"GET", "/api/namespaces/{namespace}", &GetNamespace},

    {"POST", "/api/repos", &CreateRepository},
    {"GET", REPO, &GetRepository},
    {"DELETE", REPO, &DeleteRepository},
    {"POST", REPO "/action/{state}/{action}", &DoAction},
    {"GET", REPO "/revisions/{resource*}", &GetRevision},
    {"GET", REPO "/branches", &ListBranches},
    {"POST", REPO "/branches", &CreateBranch},
    {"GET", REPO "/branches/{branch*}", &GetBranch},
    {"PUT", REPO "/branches/{branch*}", &UpdateBranch},
    {"DELETE", REPO "/branches/{branch*}", &DeleteBranch},
    {"GET", REPO "/tags", &ListTags},
    {"POST", REPO "/tags", &CreateTag},
    {"GET", REPO "/tags/{tag*}", &GetTag},
    {"DELETE", REPO "/tags/{tag*}", &DeleteTag},
    {"GET", REPO "/commits/history/{resource*}", &GetHistory},
    {"POST", REPO "/commits/missing", &NotServed},
    {"POST", REPO "/commits/upload", &NotServed},
    {"POST", REPO "/commits/mark_commits_as_synced", &NotServed},
    {"GET", REPO "/commits/missing_files", &NotServed},
    {"GET", REPO "/commits/{commit_id}", &GetCommit},
    {"POST", REPO "/commits/{commit_id}/complete", &CompleteCommit},
    {"GET", REPO "/merge/{spec*}", &GetMergeable},
    {"POST", REPO "/merge/{spec*}", &MergeBranches},

    {"GET", REPO "/compare/commits/{base_head*}", &CompareCommits},
    {"GET", REPO "/compare/dir_tree/{base_head*}", &CompareFolders},
    {"GET", REPO "/compare/entries/{base_head*}", &CompareEntries},
    {"GET", REPO "/compare/file/{base_head*}", &CompareFile},

    {"GET", REPO "/dir/{resource*}", &ListDirectory},
    {"GET", REPO "/meta/{resource*}", &GetEntry},
    {"GET", REPO "/file/{resource*}", &GetFile},
    {"PUT", REPO "/file/{resource*}", &PutFiles},
    {"DELETE", REPO "/file/{resource*}", &DeleteFile},
    {"PATCH", REPO "/file/{resource*}", &MoveFile},
    {"GET", REPO "/chunk/{resource*}", &GetChunk},
    {"GET", REPO "/export/download/{resource*}", &ExportZip},
    {"GET", REPO "/manifest/{resource*}", &GetManifest},

    {"POST", REPO "/versions", &PutVersions},
    {"QUERY", REPO "/versions", &GetVersions},
    {"DELETE", REPO "/versions", &CleanVersions},
    {"POST", REPO "/versions/uploads", &BeginUpload},
    {"PUT", REPO "/versions/uploads/{upload_id}/parts/{number}", &PutPart},
    {"GET", REPO "/versions/{hash}/metadata", &GetVersionMetadata},
    {"POST", REPO "/versions/{hash}/create", &CreateUpload},
    {"PUT", REPO "/versions/{hash}/chunks", &PutChunk},
    {"POST", REPO "/versions/{hash}/complete", &CompleteUpload},

    {"GET", REPO "/workspaces", &ListWorkspaces},
    {"PUT", REPO "/workspaces", &CreateWorkspace},
    {"POST", REPO "/workspaces", &CreateWorkspace},
    {"DELETE", REPO "/workspaces", &ClearWorkspaces},
    {"GET", WORKSPACE, &GetWorkspace},
    {"DELETE", WORKSPACE, &DeleteWorkspace},
    {"POST", WORKSPACE "/validate", &ValidateUpload},
    {"POST", WORKSPACE "/files/batch", &StageBatch, &CheckBatch},
    {"POST", WORKSPACE "/files/batch/{directory*}", &StageBatch, &CheckBatch},
    {"POST", WORKSPACE "/versions/{directory*}", &StageBatch, &CheckBatch},
    {"DELETE", WORKSPACE "/versions", &RemoveFiles},
    {"DELETE", WORKSPACE "/files", &RemoveFiles},
    {"GET", WORKSPACE "/files/{path*}", &GetWorkspaceFile},
    {"POST", WORKSPACE "/files/{path*}", &StageUpload},
    {"PATCH", WORKSPACE "/files/{path*}", &MoveWorkspaceFile},
    {"DELETE", WORKSPACE "/files/{path*}", &UnstagePath},
    {"DELETE", WORKSPACE "/changes", &UnstagePaths},
    {"DELETE", WORKSPACE "/staged", &UnstagePaths},
    {"GET", WORKSPACE "/changes", &GetChanges},
    {"GET", WORKSPACE "/changes/{path*}", &GetChanges},
    {"DELETE", WORKSPACE "/changes/{path*}", &UnstagePath},
    {"POST", WORKSPACE "/commit/{branch*}", &CommitWorkspace},
    {"GET", WORKSPACE "/merge/{branch*}", &GetWorkspaceMergeable},
    {"POST", WORKSPACE "/merge/{branch*}", &CommitWorkspace},

    // What Oxen's server has beyond this: any method.
    {"", WORKSPACE "/data_frames/{rest*}", &NotServed},
    {"", REPO "/tree/{rest*}", &NotServed},
    {"", REPO "/data_frames/{rest*}", &NotServed},
    {"", REPO "/schemas/{rest*}", &NotServed},
    {"", REPO "/compare/data_frames", &NotServed},
    {"", REPO "/compare/data_frames/{rest*}", &NotServed},
    {"", REPO "/fork", &NotServed},
    {"", REPO "/prune", &NotServed},
};
#undef REPO
#undef WORKSPACE

// The next segment of a pattern, which is shortened by it.
std::string_view NextOf(std::string_view* pattern) {
  pattern->remove_prefix(1);
  const size_t end = std::min(pattern->find('/'), pattern->size());
  const std::string_view segment = pattern->substr(0, end);
  pattern->remove_prefix(end);
  return segment;
}

std::optional<RouteMatch> Match(std::string_view pattern, const std::vector<std::string>& segments) {
  RouteMatch match;
  size_t i = 0;
  while (!pattern.empty()) {
    const std::string_view wanted = NextOf(&pattern);
    if (i == segments.size()) return std::nullopt;
    if (wanted.ends_with("*}")) {
      for (size_t first = i; i < segments.size(); ++i) match.rest += (i == first ? "" : "/") + segments[i];
      return match;
    }
    if (wanted.starts_with('{')) {
      if (segments[i].empty()) return std::nullopt;
      match.names.push_back(segments[i]);
    } else if (segments[i] != wanted) {
      return std::nullopt;
    }
    ++i;
  }
  return i == segments.size() ? std::optional(std::move(match)) : std::nullopt;
}

}  // namespace

bool Route::NamesRepository() const { return pattern.starts_with("/api/repos/"); }
bool Route::NamesWorkspace() const { return pattern.find("{workspace_id}") != std::string_view::npos; }

std::set<std::string_view> AllMethods() {
  std::set<std::string_view> methods;
  for (const Route& route : kRoutes) {
    if (!route.method.empty()) methods.insert(route.method);
  }
  return methods;
}

RouteSearch FindRoute(std::string_view method, const std::vector<std::string>& segments) {
  RouteSearch search;
  std::string_view pattern;  // The first that fits: what it allows is what Allow says.
  for (const Route& route : kRoutes) {
    auto match = Match(route.pattern, segments);
    if (!match) continue;
    if (pattern.empty()) pattern = route.pattern;
    if (route.method.empty() || route.method == method) {
      match->route = &route;
      search.match = std::move(match);
      return search;
    }
    if (route.pattern == pattern) search.allowed.insert(route.method);
  }
  return search;
}

}  // namespace stagefs
