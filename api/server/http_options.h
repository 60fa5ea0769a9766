// What a server is started with.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "stagefs/result.h"

namespace stagefs {

constexpr uint64_t kBodyBytesMaxDefault = 1ULL << 30;

struct HttpOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0: any free one.
  bool authenticate = true;
  std::string tls_certificate, tls_key;  // Files in PEM; both or none.
  uint64_t body_bytes_max = kBodyBytesMaxDefault;
  unsigned connections_max = 1024;
  unsigned strangers_max = 256;  // Of these, connections on which no request was let in yet.
  unsigned idle_timeout_s = 60;  // A client that sends or takes nothing for this long is dropped,
  // and one that in this time neither completes a request nor comes to this rate, counting both ways.
  std::chrono::milliseconds slow_window = std::chrono::seconds(120);
  uint64_t bytes_per_second_min = 1024;
  bool debug = false;

  // "ADDRESS:PORT", ":PORT" (loopback) or "[V6]:PORT".
  static Result<HttpOptions> ParseListen(const std::string& text);
};

}  // namespace stagefs
