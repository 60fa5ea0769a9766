// A request's line and headers, before anything is made of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/http_message.h"
#include "wire/refusal.h"

namespace stagefs {

// As they were sent, in order.
struct RequestHead {
  std::string method, target, version;  // "GET", "/api/health", "HTTP/1.1"
  std::vector<std::pair<std::string, std::string>> headers;
};

// What a proxy in front could understand otherwise than this server is refused, so that no request hides in another's
// body (RFC 9112, sections 2.2, 3.2, 5.1, 6.1-6.3, 11.2): a name that is no token (so one with a space before its
// colon), control characters, two Hosts or none, two lengths, a length beside Transfer-Encoding, another transfer
// coding than chunked; so is a second Authorization, Content-Type or Content-Encoding. Others that come twice are one
// list.
//
// What is returned has no body yet. The target of a proxy's request (`http://HOST/PATH`) is the path, and its Host the
// one that counts. `*` stays, for OPTIONS.
OrRefusal<HttpRequest> ReadHead(const RequestHead& head);

}  // namespace stagefs
