// The optional HTTP door: Oxen's documented batch route and what goes with it, on the same staging core.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "stagefs/repository.h"
#include "stagefs/repositories.h"

namespace stagefs {

constexpr uint64_t kBodyBytesMaxDefault = 1ULL << 30;

struct HttpOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0: any free one.
  bool authenticate = true;
  std::string tls_certificate, tls_key;  // Files in PEM; both or none.
  uint64_t body_bytes_max = kBodyBytesMaxDefault;
  unsigned connections_max = 1024;
  unsigned idle_timeout_s = 60;  // A client that sends or takes nothing for this long is dropped,
  // and one that in this time neither completes a request nor comes to this rate, counting both ways.
  std::chrono::milliseconds slow_window = std::chrono::seconds(120);
  uint64_t bytes_per_second_min = 1024;
  bool debug = false;

  // "ADDRESS:PORT", ":PORT" (loopback) or "[V6]:PORT".
  static Result<HttpOptions> ParseListen(const std::string& text);
};

// Serves from its own threads while it lives; the end waits for requests being answered, and no longer than
// idle_timeout_s for slow ones.
class HttpServer {
 public:
  // Errors: kBusy if the port is in use; kInvalidArgument for bad TLS files or an address that needs
  // authentication switched on; kIo. `root` must outlive the server.
  static Result<std::unique_ptr<HttpServer>> Start(Root& root, const HttpOptions& options);
  virtual ~HttpServer() = default;
  virtual uint16_t port() const = 0;
};

}  // namespace stagefs
