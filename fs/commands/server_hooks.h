// What fs/main.cc lends to the commands: the HTTP server, which fs knows nothing of.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "options.h"
#include "stagefs/repositories.h"

namespace stagefs {

// What mount and serve are told about serving.
struct ServerSettings {
  std::string listen;  // ADDRESS:PORT, :PORT; empty: nothing is served.
  bool insecure_no_auth = false;
  std::string tls_certificate, tls_key;
  uint64_t body_bytes_max = 1ULL << 30;
  bool debug = false;

  // `must_listen`: --listen is no choice.
  void Declare(CommandOptions& options, bool must_listen);
};

class ServerHooks {
 public:
  virtual ~ServerHooks() = default;
  // Serves while what it returns lives, and says on stderr where. `root` must outlive it.
  virtual Result<std::shared_ptr<void>> Start(Root& root, const ServerSettings& settings) = 0;
  // A token for `user`, good for `expires`: 30d, 12h, 15m. kInvalidArgument; trouble with the root.
  virtual Result<std::string> CreateToken(const std::string& root, const std::string& user, const std::string& email,
                                          const std::string& expires) = 0;
};

}  // namespace stagefs
