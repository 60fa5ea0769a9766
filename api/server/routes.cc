#include "routes.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "handlers/handlers.h"

namespace stagefs {
namespace {

// {name} stands for one segment, {name*} for all that follow the slash, also none. The first route that fits
// counts.
struct Route {
  std::string_view method, pattern;
  HttpResponse (*handle)(Call&);
};

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
    {"GET", REPO "/commits/history/{resource*}", &GetHistory},
    {"POST", REPO "/commits/missing", &NotServed},
    {"POST", REPO "/commits/upload", &NotServed},
    {"POST", REPO "/commits/mark_commits_as_synced", &NotServed},
    {"GET", REPO "/commits/missing_files", &NotServed},
    {"GET", REPO "/commits/{commit_id}", &GetCommit},
    {"POST", REPO "/commits/{commit_id}/complete", &CompleteCommit},
    {"GET", REPO "/merge/{spec*}", &GetMergeable},
    {"POST", REPO "/merge/{spec*}", &MergeBranches},

    {"GET", REPO "/dir/{resource*}", &ListDirectory},
    {"GET", REPO "/meta/{resource*}", &GetEntry},
    {"GET", REPO "/file/{resource*}", &GetFile},
    {"PUT", REPO "/file/{resource*}", &PutFiles},
    {"DELETE", REPO "/file/{resource*}", &DeleteFile},
    {"PATCH", REPO "/file/{resource*}", &MoveFile},
    {"GET", REPO "/chunk/{resource*}", &GetChunk},
    {"GET", REPO "/export/download/{resource*}", &ExportZip},

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
    {"POST", WORKSPACE "/files/batch", &StageBatch},
    {"POST", WORKSPACE "/files/batch/{directory*}", &StageBatch},
    {"POST", WORKSPACE "/versions/{directory*}", &StageBatch},
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
    {"", REPO "/compare/{rest*}", &NotServed},
    {"", REPO "/fork", &NotServed},
    {"", REPO "/prune", &NotServed},
};
#undef REPO
#undef WORKSPACE

struct Match {
  std::vector<std::string> names;
  std::string rest;
};

// The next segment of a pattern, which is shortened by it.
std::string_view NextOf(std::string_view* pattern) {
  pattern->remove_prefix(1);
  const size_t end = std::min(pattern->find('/'), pattern->size());
  const std::string_view segment = pattern->substr(0, end);
  pattern->remove_prefix(end);
  return segment;
}

std::optional<Match> Matches(std::string_view pattern, const std::vector<std::string>& segments) {
  Match match;
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

bool IsLoopbackHost(std::string host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1) == "[::1]";
  host = host.substr(0, host.find(':'));
  return host == "localhost" || host.starts_with("127.");
}

// Oxen/x.y.z older than 0.36.0, or without a version, may send what this server does not understand.
bool IsOutdatedOxen(const std::string& user_agent) {
  if (!user_agent.starts_with("Oxen/")) return false;
  int major = -1, minor = -1, patch = -1;
  if (std::sscanf(user_agent.c_str(), "Oxen/%d.%d.%d", &major, &minor, &patch) != 3) return true;
  return major == 0 && minor < 36;
}

// Opens what the route's path names; an answer if it is not there.
std::optional<HttpResponse> OpenNamed(const Route& route, Call& call) {
  if (!route.pattern.starts_with("/api/repos/")) return std::nullopt;
  const std::string text = call.names[0] + '/' + call.names[1];
  const auto name = RepositoryName::Parse(text);
  auto repository = name ? call.root.Open(*name) : Result<std::shared_ptr<Repository>>(name.error());
  if (!repository) {
    const ErrorCode code = repository.error().code();
    if (code != ErrorCode::kNotFound && code != ErrorCode::kInvalidArgument) {
      return ErrorReply(repository.error());
    }
    return JsonReply(404, NotFoundBody("Repository '" + text + "' not found"));
  }
  call.repository = std::move(*repository);
  if (route.pattern.find("{workspace_id}") == std::string_view::npos) return std::nullopt;
  auto workspace = Workspace::Open(*call.repository, call.names[2]);
  if (!workspace) return ErrorReply(workspace.error());
  call.workspace = std::move(*workspace);
  return std::nullopt;
}

}  // namespace

HttpResponse Router::TooLarge(uint64_t limit) {
  return JsonReply(413,
                   ErrorBody(413, "bad_request", "Payload Too Large",
                             "the body is larger than " + std::to_string(limit) +
                                 " bytes: send less at once, or start the server with a larger --max-body"));
}

std::unique_ptr<HttpResponse> Router::CheckHead(const HttpRequest& request, int64_t content_length) const {
  const auto refuse = [](HttpResponse response) {
    return std::make_unique<HttpResponse>(std::move(response));
  };
  if (options_.loopback && !IsLoopbackHost(request.Header("host"))) {
    return refuse(JsonReply(421, ErrorBody(421, "misdirected_request", "Misdirected Request",
                                           "this server answers to localhost and 127.0.0.1 only")));
  }
  if (options_.authenticate) {
    const std::string& authorization = request.Header("authorization");
    std::string scheme = authorization.substr(0, 7);
    std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (scheme != "bearer " || !tokens_->Check(std::string_view(authorization).substr(7))) {
      HttpResponse response = JsonReply(401, UnauthenticatedBody());
      response.headers["www-authenticate"] = "Bearer";
      return refuse(std::move(response));
    }
  }
  if (content_length >= 0 && static_cast<uint64_t>(content_length) > options_.body_bytes_max) {
    return refuse(TooLarge(options_.body_bytes_max));
  }
  return nullptr;
}

HttpResponse Router::Handle(const HttpRequest& request) {
  const auto target = ParseTarget(request.raw_target);
  if (!target) return BadRequest("the request target has a broken % escape");
  const std::string& method = request.method == "HEAD" ? "GET" : request.method;
  std::string_view pattern;  // The first that fits: what it allows is what Allow says.
  std::set<std::string_view> allowed;
  for (const Route& route : kRoutes) {
    auto match = Matches(route.pattern, target->segments);
    if (!match) continue;
    if (pattern.empty()) pattern = route.pattern;
    if (!route.method.empty() && route.method != method) {
      if (route.pattern == pattern) allowed.insert(route.method);
      continue;
    }
    Call call{
        request, *target, root_, options_.body_bytes_max, std::move(match->names), std::move(match->rest),
        nullptr, nullptr};
    // In the order of Oxen's own checks: the body's kind and the query come before what it is about.
    if (route.handle == &StageBatch) {
      if (auto refused = CheckBatch(call)) return std::move(*refused);
    }
    if (IsOutdatedOxen(request.Header("user-agent"))) {
      return JsonReply(426,
                       ErrorBody(426, "update_required", "Update Required",
                                 "Oxen CLI out of date. Pushing to OxenHub requires version >= 0.36.0."));
    }
    if (auto refused = OpenNamed(route, call)) return std::move(*refused);
    return route.handle(call);
  }
  if (allowed.empty()) return NoSuchRoute();
  HttpResponse response =
      JsonReply(405, ErrorBody(405, "bad_request", "Method Not Allowed", "see the Allow header"));
  std::string& allow = response.headers["allow"];
  for (const std::string_view one : allowed) allow += (allow.empty() ? "" : ", ") + std::string(one);
  if (allowed.contains("GET")) allow += ", HEAD";
  return response;
}

}  // namespace stagefs
