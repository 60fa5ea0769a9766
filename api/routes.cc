#include "routes.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "http_status.h"
#include "stagefs/posix_env.h"
#include "stagefs/workspace.h"
#include "uri.h"
#include "wire.h"

namespace stagefs {
namespace {

constexpr char kOpenApi[] =
#include "openapi_json.inc"
    ;

constexpr int64_t kPageSizeDefault = 100;
constexpr int64_t kPageSizeMax = 10'000;
// Longer answers go through a file instead of memory.
constexpr size_t kBodyInMemoryMax = 1 << 20;

HttpResponse Json(unsigned status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

HttpResponse BadRequest(std::string_view detail) {
  return Json(400, ErrorBody(400, "bad_request", "Bad Request", detail));
}

HttpResponse NoSuchRoute() { return Json(404, StatusBody("error", "resource_not_found")); }

HttpResponse Failed(const Error& error) {
  const unsigned status = ToHttpStatus(error.code());
  if (status == 404) return Json(404, NotFoundBody(error.message()));
  if (status < 500)
    return Json(status, ErrorBody(status, StatusMessageOf(status), "Request refused", error.message()));
  // What went wrong inside may name paths of this machine: that goes to the log, not to the client.
  std::fprintf(stderr, "stagefs: http: %s\n", error.message().c_str());
  HttpResponse response = Json(status, ErrorBody(status, StatusMessageOf(status), "Server trouble",
                                                 status == 507   ? "the disk is full"
                                                 : status == 503 ? "busy, try again"
                                                                 : "see the server's log"));
  if (status == 503) response.headers["retry-after"] = "5";
  return response;
}

std::string HeaderOf(const HttpRequest& request, const std::string& name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? "" : found->second;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// "application/json; charset=utf-8" → "application/json".
std::string MediaType(const HttpRequest& request) {
  std::string type = Lower(HeaderOf(request, "content-type"));
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  return type;
}

bool IsJson(const std::string& media_type) {
  const size_t slash = media_type.find('/');
  if (slash == std::string::npos) return false;
  const std::string subtype = media_type.substr(slash + 1);
  return subtype == "json" || subtype.ends_with("+json");
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

std::optional<bool> BoolOf(const Target& target, const std::string& name, bool* bad) {
  const auto found = target.query.find(name);
  if (found == target.query.end()) return std::nullopt;
  if (found->second == "true") return true;
  if (found->second == "false") return false;
  *bad = true;
  return std::nullopt;
}

int64_t IntOf(const Target& target, const std::string& name, int64_t otherwise, bool* bad) {
  const auto found = target.query.find(name);
  if (found == target.query.end()) return otherwise;
  int64_t value = 0;
  const char* end = found->second.data() + found->second.size();
  const auto parsed = std::from_chars(found->second.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < 0) *bad = true;
  return value;
}

std::string JoinFrom(const std::vector<std::string>& segments, size_t first) {
  std::string path;
  for (size_t i = first; i < segments.size(); ++i) path += (i == first ? "" : "/") + segments[i];
  return path;
}

}  // namespace

// /api/repos/{namespace}/{repo_name}/workspaces/{workspace_id}/KIND/PATH
struct Router::Route {
  Target target;
  std::shared_ptr<Repository> repository;
  std::unique_ptr<Workspace> workspace;
  std::string path;
};

HttpResponse Router::TooLarge(uint64_t limit) {
  return Json(413, ErrorBody(413, "bad_request", "Payload Too Large",
                             "the body is larger than " + std::to_string(limit) +
                                 " bytes: split the manifest, or start the server with a larger --max-body"));
}

std::unique_ptr<HttpResponse> Router::CheckHead(const HttpRequest& request, int64_t content_length) const {
  const auto refuse = [](HttpResponse response) {
    return std::make_unique<HttpResponse>(std::move(response));
  };
  if (options_.loopback && !IsLoopbackHost(HeaderOf(request, "host"))) {
    return refuse(Json(421, ErrorBody(421, "misdirected_request", "Misdirected Request",
                                      "this server answers to localhost and 127.0.0.1 only")));
  }
  if (options_.authenticate) {
    const std::string authorization = HeaderOf(request, "authorization");
    const bool bearer = Lower(authorization.substr(0, 7)) == "bearer ";
    if (!bearer || !tokens_->Check(std::string_view(authorization).substr(7))) {
      HttpResponse response = Json(401, UnauthenticatedBody());
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
  const std::vector<std::string>& s = target->segments;
  const bool get = request.method == "GET" || request.method == "HEAD";
  if (s.size() == 2 && s[0] == "api" && get) {
    if (s[1] == "version") return Json(200, VersionBody(false));
    if (s[1] == "min_version") return Json(200, VersionBody(true));
    if (s[1] == "health") {
      VersionStore::Space space;
      if (const auto disk = SpaceOf(root_.folder())) space = *disk;
      return Json(200, HealthBody(space));
    }
  }
  if (s.size() == 3 && s[0] == "api" && s[1] == "_spec" && s[2] == "oxen_server_openapi.json" && get) {
    return Json(200, kOpenApi);
  }
  if (s.size() < 7 || s[0] != "api" || s[1] != "repos" || s[4] != "workspaces") return NoSuchRoute();

  const bool batch = request.method == "POST" && s[6] == "files" && s.size() >= 8 && s[7] == "batch";
  const bool versions = request.method == "POST" && s[6] == "versions" && s.size() >= 8;
  const bool changes = get && s[6] == "changes";
  const bool file = get && s[6] == "files" && s.size() >= 8;
  if (!batch && !versions && !changes && !file) return NoSuchRoute();

  if (batch || versions) {
    // In the order of Oxen's own checks: the body's kind and the query come before what it is about.
    const std::string type = MediaType(request);
    if (type.starts_with("multipart/")) {
      return Json(415,
                  ErrorBody(415, "bad_request", "Unsupported Media Type",
                            "uploads are not taken here: stagefs put the files, then post their hashes"));
    }
    if (!IsJson(type)) return BadRequest("Content type error: send application/json");
    bool bad = false;
    (void)BoolOf(*target, "update_timestamp", &bad);
    (void)BoolOf(*target, "atomic", &bad);
    if (bad) return BadRequest("Query deserialize error: update_timestamp and atomic are `true` or `false`");
  }
  if (IsOutdatedOxen(HeaderOf(request, "user-agent"))) {
    return Json(426, ErrorBody(426, "update_required", "Update Required",
                               "Oxen CLI out of date. Pushing to OxenHub requires version >= 0.36.0."));
  }
  Route route;
  route.target = *target;
  const auto name = RepositoryName::Parse(s[2] + '/' + s[3]);
  const auto repository = name ? root_.Open(*name) : Result<std::shared_ptr<Repository>>(name.error());
  if (!repository) {
    const ErrorCode code = repository.error().code();
    if (code != ErrorCode::kNotFound && code != ErrorCode::kInvalidArgument)
      return Failed(repository.error());
    return Json(404, NotFoundBody("Repository '" + s[2] + '/' + s[3] + "' not found"));
  }
  route.repository = *repository;
  auto workspace = Workspace::Open(**repository, s[5]);
  if (!workspace) return Failed(workspace.error());
  route.workspace = std::move(*workspace);
  route.path = JoinFrom(s, batch ? 8 : 7);
  if (batch || versions) return StageBatch(request, route);
  if (changes) return GetChanges(route);
  return GetFile(request, route);
}

HttpResponse Router::StageBatch(const HttpRequest& request, const Route& route) {
  if (!IsValidUtf8(route.path)) return BadRequest("the directory is not UTF-8");
  const auto directory = RepoPath::ParseDirectory(route.path);
  if (!directory) return BadRequest(directory.error().message());
  bool bad = false;
  Workspace::ManifestRequest manifest;
  manifest.source = request.body;
  manifest.format = ManifestFormat::kJson;
  manifest.directory = *directory;
  manifest.options.update_timestamp = BoolOf(route.target, "update_timestamp", &bad).value_or(false);
  manifest.options.atomic = BoolOf(route.target, "atomic", &bad).value_or(false);
  const auto report = route.workspace->StageManifest(manifest);
  if (!report) {
    if (report.error().code() == ErrorCode::kInvalidArgument) {
      return BadRequest("Json deserialize error: " + report.error().message());
    }
    return Failed(report.error());
  }
  HttpResponse response;
  response.status = report->Withdrawn() ? 422 : 200;
  UniqueFd spill;
  const auto write = [&](std::string_view text) -> Status {
    response.body += text;
    if (response.body.size() < kBodyInMemoryMax) return {};
    if (!spill.valid()) {
      STAGEFS_ASSIGN_OR_RETURN(spill, OpenUnnamed(route.repository->incoming()));
    }
    STAGEFS_RETURN_IF_ERROR(WriteAll(spill.get(), response.body.data(), response.body.size()));
    response.size_bytes += response.body.size();
    response.body.clear();
    return {};
  };
  if (const Status written = WriteErrFiles(*report, write); !written) return Failed(written.error());
  if (spill.valid()) {
    if (const Status written = WriteAll(spill.get(), response.body.data(), response.body.size()); !written) {
      return Failed(written.error());
    }
    response.size_bytes += response.body.size();
    response.body.clear();
    response.fd = dup(spill.get());
  }
  return response;
}

HttpResponse Router::GetChanges(const Route& route) {
  bool bad = false;
  // Page 0 is how Oxen's command line asks for the first one.
  const int64_t page = std::max<int64_t>(1, IntOf(route.target, "page", 1, &bad));
  const int64_t page_size = IntOf(route.target, "page_size", kPageSizeDefault, &bad);
  if (bad || page_size == 0 || page_size > kPageSizeMax || page > INT32_MAX) {
    return BadRequest("page counts from 1 and page_size from 1 to 10000");
  }
  const auto path = RepoPath::ParseDirectory(route.path);
  if (!path) return BadRequest(path.error().message());
  auto body = ChangesBody(*route.workspace, path->str(), page, page_size);
  return body ? Json(200, std::move(*body)) : Failed(body.error());
}

HttpResponse Router::GetFile(const HttpRequest&, const Route& route) {
  const auto path = RepoPath::Parse(route.path);
  if (!path) return BadRequest(path.error().message());
  const auto missing = [&] {
    return Json(404, ErrorBody(404, "resource_not_found", "Resource not found",
                               "Could not find path: " + route.path));
  };
  const auto located = route.workspace->Find(*path);
  if (!located || located->entry.kind != EntryKind::kFile) {
    const bool trouble = !located && located.error().code() != ErrorCode::kNotFound &&
                         located.error().code() != ErrorCode::kNotDirectory;
    return trouble ? Failed(located.error()) : missing();
  }
  const auto reader = route.repository->index().Read();
  if (!reader) return Failed(reader.error());
  const auto version = (*reader)->GetVersion(located->entry.version);
  if (!version || !*version) return missing();
  const auto bytes = route.repository->versions().Open((*version)->content.sha256);
  if (!bytes) return Failed(Error(ErrorCode::kCorrupt, bytes.error().message()));
  HttpResponse response;
  response.content_type = "application/octet-stream";
  response.fd = fcntl((*bytes)->fd(), F_DUPFD_CLOEXEC, 0);
  response.size_bytes = (*bytes)->size_bytes();
  response.headers["etag"] = '"' + ToHex((*version)->content.sha256) + '"';
  response.headers["oxen-revision-id"] = ToHex((*version)->content.xxh3);
  response.headers["access-control-expose-headers"] = "content-length";
  response.headers["x-content-type-options"] = "nosniff";
  return response;
}

}  // namespace stagefs
