#include "file_reply.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "reply.h"
#include "status_bodies.h"

namespace stagefs {
namespace {

// What a browser shows and does not run. Whatever else there is is saved, never opened as a page of this server: HTML,
// SVG, XML, scripts; PDF, which may have scripts of its own, and whose viewer a sandbox keeps out anyway.
bool IsInert(std::string_view content_type) {
  if (content_type == "text/html" || content_type.ends_with("xml")) return false;
  for (const std::string_view kind : {"image/", "audio/", "video/", "text/"}) {
    if (content_type.starts_with(kind)) return true;
  }
  return content_type == "application/json";
}

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

HttpResponse Unsatisfiable(uint64_t size_bytes) {
  const std::string size = std::to_string(size_bytes);
  HttpResponse response = JsonReply(
      416, ErrorBody(416, "bad_request", "Range Not Satisfiable", "the file has " + size + " bytes"));
  response.headers["content-range"] = "bytes */" + size;
  return response;
}

Result<HttpResponse> PartReply(const VersionReader& bytes, const Range& range,
                               std::string_view content_type) {
  STAGEFS_ASSIGN_OR_RETURN(HttpResponse response,
                           FileReply(bytes.fd(), range.first, range.last - range.first + 1, content_type));
  response.status = 206;
  response.headers["content-range"] = "bytes " + std::to_string(range.first) + '-' +
                                      std::to_string(range.last) + '/' + std::to_string(bytes.size_bytes());
  return response;
}

// Without validators.
Result<HttpResponse> PlainReply(const HttpRequest& request, const std::string& tag,
                                const VersionReader& bytes, std::string_view content_type) {
  const std::string& known = request.Header("if-none-match");
  if (!known.empty() && NamesTag(known, tag)) {
    HttpResponse response;
    response.status = 304;
    response.content_type.clear();
    return response;
  }
  const std::string& only_if = request.Header("if-range");
  Range range;
  const RangeKind kind = only_if.empty() || only_if == tag
                             ? ParseRange(request.Header("range"), bytes.size_bytes(), &range)
                             : RangeKind::kWhole;
  switch (kind) {
    case RangeKind::kUnsatisfiable: return Unsatisfiable(bytes.size_bytes());
    case RangeKind::kPart: return PartReply(bytes, range, content_type);
    case RangeKind::kWhole: break;
  }
  return FileReply(bytes.fd(), 0, bytes.size_bytes(), content_type);
}

}  // namespace

Result<HttpResponse> FileReply(int fd, uint64_t offset, uint64_t size_bytes, std::string_view content_type) {
  HttpResponse response;
  response.content_type = content_type;
  if (!IsInert(content_type)) response.headers["content-disposition"] = "attachment";
  response.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (response.fd < 0) return Error(ErrorCode::kIo, "too many open files");
  response.offset = offset;
  response.size_bytes = size_bytes;
  return response;
}

Result<HttpResponse> BytesReply(const HttpRequest& request, const VersionInfo& version,
                                const VersionReader& bytes, std::string_view content_type) {
  const std::string tag = '"' + ToHex(version.content.sha256) + '"';
  STAGEFS_ASSIGN_OR_RETURN(HttpResponse response, PlainReply(request, tag, bytes, content_type));
  response.headers["accept-ranges"] = "bytes";
  response.headers["etag"] = tag;
  response.headers["oxen-revision-id"] = ToHex(version.content.xxh3);
  response.headers["access-control-expose-headers"] = "content-length";
  return response;
}

}  // namespace stagefs
