// stagefs: the one file that sees core, the commands and the HTTP server.
#include "commands/command_line.h"
#include "commands/server_hooks.h"
#include "stagefs/process.h"
#if STAGEFS_HTTP
#include <cstdio>

#include "api/server/http_server.h"
#include "api/server/token.h"
#endif

namespace stagefs {
namespace {

#if STAGEFS_HTTP
class HttpServerHooks final : public ServerHooks {
 public:
  Result<std::shared_ptr<void>> Start(Root& root, const ServerSettings& settings) override {
    STAGEFS_ASSIGN_OR_RETURN(HttpOptions options, HttpOptions::ParseListen(settings.listen));
    options.authenticate = !settings.insecure_no_auth;
    options.tls_certificate = settings.tls_certificate;
    options.tls_key = settings.tls_key;
    options.body_bytes_max = settings.body_bytes_max;
    options.debug = settings.debug;
    STAGEFS_ASSIGN_OR_RETURN(std::shared_ptr<HttpServer> server, HttpServer::Start(root, options));
    const bool is_v6 = options.address.find(':') != std::string::npos;
    std::fprintf(stderr, "stagefs: serving %s://%s:%u\n", options.tls_key.empty() ? "http" : "https",
                 (is_v6 ? '[' + options.address + ']' : options.address).c_str(), server->port());
    return std::shared_ptr<void>(std::move(server));
  }

  Result<std::string> CreateToken(const std::string& root, const std::string& user, const std::string& email,
                                  const std::string& expires) override {
    STAGEFS_ASSIGN_OR_RETURN(const int64_t expires_s, ParseDuration(expires));
    STAGEFS_ASSIGN_OR_RETURN(const Tokens tokens, Tokens::Open(root));
    return tokens.Create({user, email}, expires_s);
  }
};
#endif

int Main(int argc, char** argv) {
  RaiseLimits();
#if STAGEFS_HTTP
  HttpServerHooks server;
  return RunCommandLine(argc, argv, &server);
#else
  return RunCommandLine(argc, argv, nullptr);
#endif
}

}  // namespace
}  // namespace stagefs

int main(int argc, char** argv) { return stagefs::Main(argc, argv); }
