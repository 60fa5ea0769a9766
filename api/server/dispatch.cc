#include "dispatch.h"

#include <arpa/inet.h>

#include <cstdio>

#include "routes.h"
#include "stagefs/text.h"
#include "wire/header_value.h"
#include "wire/media_type.h"
#include "wire/reply.h"
#include "wire/status_bodies.h"

namespace stagefs {
namespace {

// A name may be anybody's, whatever it looks like: only localhost, and addresses in full.
bool IsLoopbackHost(const std::string& header) {
  std::string host = ToLowerAscii(header);
  const size_t colon = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  if (colon != std::string::npos) {
    if (host.find_first_not_of("0123456789", colon + 1) != std::string::npos) return false;
    host.resize(colon);
  }
  if (host == "localhost" || host == "localhost.") return true;
  in_addr four{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
  if (!host.starts_with('[') || !host.ends_with(']')) return false;
  in6_addr six{};
  return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

// Oxen/x.y.z older than 0.36.0, or without a version, may send what this server does not understand.
bool IsOutdatedOxen(const std::string& user_agent) {
  if (!user_agent.starts_with("Oxen/")) return false;
  int major = -1, minor = -1, patch = -1;
  if (std::sscanf(user_agent.c_str(), "Oxen/%d.%d.%d", &major, &minor, &patch) != 3) return true;
  return major == 0 && minor < 36;
}

std::string AllowHeader(const std::set<std::string_view>& allowed) {
  std::string allow;
  for (const std::string_view one : allowed) allow += (allow.empty() ? "" : ", ") + std::string(one);
  if (allowed.contains("GET")) allow += ", HEAD";
  return allow;
}

Refusal MethodNotAllowed(const std::set<std::string_view>& allowed) {
  HttpResponse response =
      JsonReply(405, ErrorBody(405, "bad_request", "Method Not Allowed", "see the Allow header"));
  response.headers["allow"] = AllowHeader(allowed);
  return Refusal(std::move(response));
}

// OPTIONS *: about the server as a whole.
HttpResponse ServerOptions() {
  HttpResponse response;
  response.status = 204;
  response.content_type.clear();
  response.headers["allow"] = AllowHeader(AllMethods()) + ", OPTIONS";
  return response;
}

// Opens what the route's path names.
OrRefusal<> OpenNamed(const Route& route, Call& call) {
  if (!route.NamesRepository()) return {};
  const std::string text = call.names[0] + '/' + call.names[1];
  const auto missing = {ErrorCode::kNotFound, ErrorCode::kInvalidArgument};
  const auto not_found = [&] { return NotHere("Repository '" + text + "' not found"); };
  STAGEFS_ASSIGN_OR_RETURN(const RepositoryName name,
                           Try(RepositoryName::Parse(text)).On(missing, not_found));
  STAGEFS_ASSIGN_OR_RETURN(call.repository, Try(call.root.Open(name)).On(missing, not_found));
  if (!route.NamesWorkspace()) return {};
  STAGEFS_ASSIGN_OR_RETURN(call.workspace, Workspace::Open(*call.repository, call.names[2]));
  call.workspace->SetActor("", "HTTP");
  if (call.request.method == "GET" || call.request.method == "HEAD") call.workspace->AwaitClosed();
  return {};
}

}  // namespace

Refusal Router::TooLarge(uint64_t limit) {
  return Refuse(413, "bad_request", "Payload Too Large",
                "the body is larger than " + std::to_string(limit) +
                    " bytes: send less at once, or start the server with a larger --max-body");
}

OrRefusal<> Router::CheckHead(const HttpRequest& request, int64_t content_length) const {
  if (options_.loopback && !IsLoopbackHost(request.Header("host"))) {
    return Refuse(421, "misdirected_request", "Misdirected Request",
                  "this server answers to localhost and 127.0.0.1 only");
  }
  if (options_.authenticate) {
    const std::string_view authorization = request.Header("authorization");
    constexpr std::string_view kScheme = "bearer ";
    if (!SameInAnyCase(authorization.substr(0, kScheme.size()), kScheme) ||
        !tokens_->Check(authorization.substr(kScheme.size()))) {
      HttpResponse response = JsonReply(401, UnauthenticatedBody());
      response.headers["www-authenticate"] = "Bearer";
      return Refusal(std::move(response));
    }
  }
  if (const auto coding = ContentCodingOf(request); !coding) {
    HttpResponse response =
        JsonReply(415, ErrorBody(415, "bad_request", "Unsupported Media Type", coding.error().message()));
    response.headers["accept-encoding"] = "gzip, zstd";
    return Refusal(std::move(response));
  }
  if (content_length >= 0 && static_cast<uint64_t>(content_length) > options_.body_bytes_max) {
    return TooLarge(options_.body_bytes_max);
  }
  return {};
}

HttpResponse Router::Handle(const HttpRequest& request) const {
  auto reply = Dispatch(request);
  return reply ? std::move(*reply) : reply.error().ToResponse();
}

OrRefusal<HttpResponse> Router::Dispatch(const HttpRequest& request) const {
  if (request.raw_target == "*") return ServerOptions();
  const auto target = ParseTarget(request.raw_target);
  if (!target) return BadRequest("the request target has a broken % escape");
  RouteSearch search = FindRoute(request.method == "HEAD" ? "GET" : request.method, target->segments);
  if (!search.match && search.allowed.empty()) return NoSuchRoute();
  if (!search.match) return MethodNotAllowed(search.allowed);
  const Route& route = *search.match->route;
  Call call{request,
            *target,
            root_,
            options_.body_bytes_max,
            std::move(search.match->names),
            std::move(search.match->rest),
            nullptr,
            nullptr};
  if (route.check != nullptr) STAGEFS_RETURN_IF_ERROR(route.check(call));
  if (IsOutdatedOxen(request.Header("user-agent"))) {
    return Refuse(426, "update_required", "Update Required",
                  "Oxen CLI out of date. Pushing to OxenHub requires version >= 0.36.0.");
  }
  STAGEFS_RETURN_IF_ERROR(OpenNamed(route, call));
  return route.handle(call);
}

}  // namespace stagefs
