#include "reply.h"

#include <fcntl.h>

#include <charconv>
#include <cstdio>
#include <optional>

#include "server/http_status.h"
#include "wire.h"
#include "stagefs/version_source.h"

namespace stagefs {
namespace {

struct Range {
  uint64_t first = 0, last = 0;  // Both included.
};
enum class RangeKind { kWhole, kPart, kUnsatisfiable };

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// What is malformed or asks for several ranges is answered with everything, as the RFC allows.
RangeKind ParseRange(std::string_view header, uint64_t size_bytes, Range* range) {
  if (!header.starts_with("bytes=")) return RangeKind::kWhole;
  header.remove_prefix(6);
  const size_t dash = header.find('-');
  if (dash == std::string_view::npos || header.find(',') != std::string_view::npos) return RangeKind::kWhole;
  const auto first = Number(header.substr(0, dash));
  const auto last = Number(header.substr(dash + 1));
  if (!first && !last) return RangeKind::kWhole;
  if (!first) {
    if (dash != 0) return RangeKind::kWhole;
    if (*last == 0 || size_bytes == 0) return RangeKind::kUnsatisfiable;
    *range = {size_bytes - std::min(*last, size_bytes), size_bytes - 1};
    return RangeKind::kPart;
  }
  if (!last && dash + 1 != header.size()) return RangeKind::kWhole;
  if (last && *last < *first) return RangeKind::kWhole;
  if (*first >= size_bytes) return RangeKind::kUnsatisfiable;
  *range = {*first, last ? std::min(*last, size_bytes - 1) : size_bytes - 1};
  return RangeKind::kPart;
}

bool NamesTag(const std::string& header, const std::string& tag) {
  return header == "*" || header.find(tag) != std::string::npos;
}

}  // namespace

HttpResponse JsonReply(unsigned status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

HttpResponse StatusReply(std::string_view message) { return JsonReply(200, StatusBody("success", message)); }

HttpResponse BadRequest(std::string_view detail) {
  return JsonReply(400, ErrorBody(400, "bad_request", "Bad Request", detail));
}

HttpResponse BadStatus(unsigned status, std::string_view message) {
  return JsonReply(status, StatusBody("error", message));
}

HttpResponse NoSuchRoute() { return BadStatus(404, "resource_not_found"); }

HttpResponse NotFoundReply(std::string_view title, std::string_view detail) {
  return JsonReply(404, ErrorBody(404, "resource_not_found", title, detail));
}

HttpResponse ErrorReply(const Error& error) {
  unsigned status = ToHttpStatus(error.code());
  // A file of ours that is missing or refused is no fault of the client's.
  if (error.of_system() && status < 500) status = 500;
  if (status == 404) return JsonReply(404, NotFoundBody(error.message()));
  if (status < 500) {
    return JsonReply(status, ErrorBody(status, StatusMessageOf(status), "Request refused", error.message()));
  }
  // What went wrong inside may name paths of this machine: that goes to the log, not to the client.
  std::fprintf(stderr, "stagefs: http: %s\n", error.message().c_str());
  HttpResponse response = JsonReply(status, ErrorBody(status, StatusMessageOf(status), "Server trouble",
                                                      status == 507   ? "the disk is full"
                                                      : status == 503 ? "busy, try again"
                                                                      : "see the server's log"));
  if (status == 503) response.headers["retry-after"] = "5";
  return response;
}

HttpResponse FileReply(int fd, uint64_t offset, uint64_t size_bytes, std::string_view content_type) {
  HttpResponse response;
  response.content_type = content_type;
  response.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (response.fd < 0) return ErrorReply(Error(ErrorCode::kIo, "too many open files"));
  response.offset = offset;
  response.size_bytes = size_bytes;
  return response;
}

HttpResponse BytesReply(const HttpRequest& request, const VersionInfo& version, const VersionReader& bytes,
                        std::string_view content_type) {
  const std::string tag = '"' + ToHex(version.content.sha256) + '"';
  const std::string& wanted = request.Header("if-none-match");
  const std::string& only_if = request.Header("if-range");
  Range range;
  const RangeKind kind = only_if.empty() || only_if == tag
                             ? ParseRange(request.Header("range"), bytes.size_bytes(), &range)
                             : RangeKind::kWhole;
  HttpResponse response;
  if (!wanted.empty() && NamesTag(wanted, tag)) {
    response.status = 304;
    response.content_type.clear();
  } else if (kind == RangeKind::kUnsatisfiable) {
    response = JsonReply(416, ErrorBody(416, "bad_request", "Range Not Satisfiable",
                                        "the file has " + std::to_string(bytes.size_bytes()) + " bytes"));
    response.headers["content-range"] = "bytes */" + std::to_string(bytes.size_bytes());
  } else if (kind == RangeKind::kPart) {
    response = FileReply(bytes.fd(), range.first, range.last - range.first + 1, content_type);
    response.status = 206;
    response.headers["content-range"] = "bytes " + std::to_string(range.first) + '-' +
                                        std::to_string(range.last) + '/' + std::to_string(bytes.size_bytes());
  } else {
    response = FileReply(bytes.fd(), 0, bytes.size_bytes(), content_type);
  }
  response.headers["accept-ranges"] = "bytes";
  response.headers["etag"] = tag;
  response.headers["oxen-revision-id"] = ToHex(version.content.xxh3);
  response.headers["access-control-expose-headers"] = "content-length";
  response.headers["x-content-type-options"] = "nosniff";
  return response;
}

}  // namespace stagefs
