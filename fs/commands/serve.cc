// serve, and what mount and serve are told about serving.
#include <csignal>

#include "command.h"
#include "server_hooks.h"
#include "stagefs/upkeep.h"
#include "systemd.h"

namespace stagefs {
namespace {

class ServeCommand : public Command {
  void Declare(CommandOptions& options) override {
    settings_.Declare(options, true);
    options.Add("--debug", &debug_, "http: one line on stderr a request").NeedsServer();
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    // Blocked before any thread starts, so that only we take them.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    settings_.debug = debug_.find("http") != std::string::npos;
    Root root(globals.root, globals.places);
    const auto server = globals.server->Start(root, settings_);
    if (!server) return Report(server.error());
    const BackgroundCheck check([&root] { return root.Opened(); });
    TellSystemd("READY=1");
    int signal = 0;
    sigwait(&signals, &signal);
    TellSystemd("STOPPING=1");
    return kExitOk;
  }

  ServerSettings settings_;
  std::string debug_;
};

}  // namespace

void ServerSettings::Declare(CommandOptions& options, bool must_listen) {
  options.Add("--listen", &listen, "serve HTTP at ADDRESS:PORT (:PORT means loopback)").NeedsServer().required =
      must_listen;
  options.Add("--insecure-no-auth", &insecure_no_auth, "serve anybody who can connect").NeedsServer();
  options.Add("--tls-cert", &tls_certificate, "certificate chain, PEM").NeedsServer().Completing(Completes::kFile);
  options.Add("--tls-key", &tls_key, "its private key, PEM").NeedsServer().Completing(Completes::kFile);
  options.Add("--max-body", &body_bytes_max, "largest request body in bytes").NeedsServer();
}

std::unique_ptr<Command> NewServe() { return std::make_unique<ServeCommand>(); }

}  // namespace stagefs
