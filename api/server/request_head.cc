#include "request_head.h"

#include <algorithm>

#include "stagefs/text.h"
#include "wire/header_value.h"

namespace stagefs {
namespace {

bool IsAlnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsControl(char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }

bool IsToken(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [&](char c) { return IsAlnum(c) || kOthers.find(c) != kOthers.npos; });
}

// A name or an address, and perhaps a port: neither a user nor a path.
bool IsHost(std::string_view text) {
  constexpr std::string_view kOthers = "-._~%!$&'()*+,;=:[]";
  return std::all_of(text.begin(), text.end(), [&](char c) { return IsAlnum(c) || kOthers.find(c) != kOthers.npos; });
}

std::string_view Trimmed(std::string_view text) {
  const size_t first = std::min(text.find_first_not_of(" \t"), text.size());
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

// Headers of which there is one, or none.
bool IsSingle(std::string_view name) {
  constexpr std::string_view kSingle[] = {"host", "content-length", "transfer-encoding", "authorization",
                                          "content-type", "content-encoding"};
  return std::find(std::begin(kSingle), std::end(kSingle), name) != std::end(kSingle);
}

OrRefusal<> ReadHeaders(const RequestHead& head, HttpRequest* request) {
  for (const auto& [sent_name, sent_value] : head.headers) {
    if (!IsToken(sent_name)) return BadRequest("a header's name is not one, or has a space before its colon");
    const std::string name = ToLowerAscii(sent_name);
    const std::string_view value = Trimmed(sent_value);
    if (std::any_of(value.begin(), value.end(), [](char c) { return IsControl(c) && c != '\t'; })) {
      return BadRequest("a control character in the header " + name);
    }
    const auto [at, is_new] = request->headers.emplace(name, value);
    if (is_new) continue;
    if (IsSingle(name)) return BadRequest("the header " + name + " was sent twice");
    at->second.append(", ").append(value);
  }
  return {};
}

OrRefusal<> CheckFraming(const RequestHead& head, const HttpRequest& request) {
  const auto coding = request.headers.find("transfer-encoding");
  const auto length = request.headers.find("content-length");
  if (length != request.headers.end() &&
      (length->second.empty() || length->second.find_first_not_of("0123456789") != std::string::npos)) {
    return BadRequest("Content-Length is no number");
  }
  if (coding == request.headers.end()) return {};
  if (length != request.headers.end()) return BadRequest("Content-Length beside Transfer-Encoding");
  if (head.version == "HTTP/1.0") return BadRequest("HTTP/1.0 has no Transfer-Encoding");
  if (SameInAnyCase(coding->second, "chunked")) return {};
  return Refuse(501, "not_implemented", "Not Implemented", "the only transfer coding that is understood is chunked");
}

// Of `http://HOST/PATH` the path stays; true if there was a host.
bool TakeAuthority(std::string* target, std::string* authority) {
  const std::string lower = ToLowerAscii(target->substr(0, 8));
  const size_t begin = lower.starts_with("http://") ? 7 : lower == "https://" ? 8 : 0;
  if (begin == 0) return false;
  const size_t end = std::min(target->find_first_of("/?", begin), target->size());
  *authority = target->substr(begin, end - begin);
  *target = target->substr(end);
  if (!target->starts_with('/')) *target = '/' + *target;
  return true;
}

OrRefusal<> ReadTarget(const RequestHead& head, HttpRequest* request) {
  std::string& target = request->raw_target;
  if (std::any_of(target.begin(), target.end(), [](char c) { return IsControl(c) || c == ' '; })) {
    return BadRequest("a space or a control character in the request target");
  }
  const auto host = request->headers.find("host");
  if (host == request->headers.end() && head.version != "HTTP/1.0") return BadRequest("the header host is missing");
  if (host != request->headers.end() && !IsHost(host->second)) return BadRequest("the header host names no host");
  std::string authority;
  if (TakeAuthority(&target, &authority)) {
    if (authority.empty() || !IsHost(authority)) return BadRequest("the request target names no host");
    request->headers["host"] = authority;
  }
  if (target.starts_with('/') || (target == "*" && head.method == "OPTIONS")) return {};
  return BadRequest("the request target is neither a path nor a URL of http");
}

}  // namespace

OrRefusal<HttpRequest> ReadHead(const RequestHead& head) {
  HttpRequest request;
  request.method = head.method;
  request.raw_target = head.target;
  if (!IsToken(head.method)) return BadRequest("the method is not one");
  STAGEFS_RETURN_IF_ERROR(ReadHeaders(head, &request));
  STAGEFS_RETURN_IF_ERROR(CheckFraming(head, request));
  STAGEFS_RETURN_IF_ERROR(ReadTarget(head, &request));
  return request;
}

}  // namespace stagefs
