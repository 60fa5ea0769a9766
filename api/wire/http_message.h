// Requests and answers without a transport.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "stagefs/byte_source.h"

namespace stagefs {

struct HttpRequest {
  std::string method;
  std::string raw_target;                      // As sent: path and query, still encoded.
  std::map<std::string, std::string> headers;  // Names in lower case.
  RewindableSource* body = nullptr;
  uint64_t body_bytes = 0;

  // "" where it was not sent.
  const std::string& Header(const std::string& name) const {
    static const std::string none;
    const auto found = headers.find(name);
    return found == headers.end() ? none : found->second;
  }
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::map<std::string, std::string> headers;
  // Instead of `body`: `size_bytes` of an owned descriptor, from `offset` on.
  int fd = -1;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
  // Instead of both: read while it is sent, however long it is. Where it fails the connection is cut.
  std::shared_ptr<ByteSource> stream;
};

}  // namespace stagefs
