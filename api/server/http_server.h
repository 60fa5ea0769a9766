// The optional HTTP door: Oxen's documented batch route and what goes with it, on the same staging core.
#pragma once

#include <cstdint>
#include <memory>

#include "http_options.h"
#include "stagefs/repositories.h"

namespace stagefs {

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
