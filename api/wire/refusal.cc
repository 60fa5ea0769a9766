#include "refusal.h"

#include "http_status.h"
#include "reply.h"
#include "status_bodies.h"
#include "stagefs/daemon_log.h"
#include "stagefs/text.h"

namespace stagefs {
namespace {

// A file of ours that is missing or refused is no fault of the client's.
unsigned StatusOf(const Error& error) {
  const unsigned status = ToHttpStatus(error.code());
  return error.of_system() && status < 500 ? 500 : status;
}

HttpResponse ResponseTo(const Error& error) {
  const unsigned status = StatusOf(error);
  if (status == 404) return JsonReply(404, NotFoundBody(error.message()));
  if (status < 500) {
    return JsonReply(status, ErrorBody(status, StatusMessageOf(status), "Request refused", error.message()));
  }
  Log(status == 503 ? LogLevel::kWarning : LogLevel::kError, "http: " + error.message());
  const char* detail = status == 507   ? "the disk is full"
                       : status == 503 ? "busy, try again"
                                       : "see the server's log";
  HttpResponse response =
      JsonReply(status, ErrorBody(status, StatusMessageOf(status), "Server trouble", detail));
  if (status == 503) response.headers["retry-after"] = "5";
  return response;
}

}  // namespace

bool IsTrouble(const Error& error) { return StatusOf(error) >= 500; }

HttpResponse Refusal::ToResponse() const {
  if (const Error* why = error()) return ResponseTo(*why);
  return std::get<HttpResponse>(why_);
}

Refusal Refuse(unsigned status, std::string_view type, std::string_view title, std::string_view detail) {
  return Refusal(JsonReply(status, ErrorBody(status, type, title, detail)));
}

Refusal BadRequest(std::string_view detail) { return Refuse(400, "bad_request", "Bad Request", detail); }

Refusal Conflict(std::string_view title, std::string_view detail) {
  return Refuse(409, "conflict", title, detail);
}

Refusal NotFound(std::string_view title, std::string_view detail) {
  return Refuse(404, "resource_not_found", title, detail);
}

Refusal NoBranch(std::string_view name) {
  return NotFound("Branch does not exist",
                  "Could not find branch: Branch '" + ToDisplayUtf8(name) + "' not found");
}

Refusal NoTag(std::string_view name) {
  return NotFound("Tag does not exist", "Could not find tag: Tag '" + ToDisplayUtf8(name) + "' not found");
}

Refusal NoRevision(std::string_view name) {
  return NotFound("Revision not found", "Could not find branch or commit: " + std::string(name));
}

Refusal NoPath(std::string_view path) {
  return NotFound("Path does not exist", "Could not find path: " + std::string(path));
}

Refusal NotHere(std::string_view description) { return Refusal(JsonReply(404, NotFoundBody(description))); }

Refusal BadStatus(unsigned status, std::string_view message) {
  return Refusal(JsonReply(status, StatusBody("error", message)));
}

Refusal NoSuchRoute() { return BadStatus(404, "resource_not_found"); }

}  // namespace stagefs
