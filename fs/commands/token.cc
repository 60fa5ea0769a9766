// token create.
#include "command.h"
#include "server_hooks.h"

namespace stagefs {
namespace {

class TokenCreateCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.Add("--user", &user_, "whose token it is").Required();
    options.Add("--email", &email_, "the user's address, for commits");
    options.Add("--expires", &expires_, "how long it is good for: 30d, 12h, 15m");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const std::string email = email_.empty() ? user_ + "@localhost" : email_;
    const auto token = globals.server->CreateToken(globals.root, user_, email, expires_);
    return token ? Answer(globals.json, {{"token", *token}}, *token + "\n") : Report(token.error());
  }

  std::string user_, email_, expires_ = "30d";
};

}  // namespace

std::unique_ptr<Command> NewTokenCreate() { return std::make_unique<TokenCreateCommand>(); }

}  // namespace stagefs
