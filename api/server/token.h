// Bearer tokens: JWT, HS256, signed with ROOT/secret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stagefs/result.h"

namespace stagefs {

struct TokenUser {
  std::string name, email;
};

class Tokens {
 public:
  // Reads the secret of `root`, making one (mode 0600) where there is none.
  static Result<Tokens> Open(const std::string& root);

  // `expires_s`: seconds from now; 0 never expires.
  Result<std::string> Create(const TokenUser& user, int64_t expires_s) const;
  // Whose token it is, or std::nullopt: not ours, altered, expired, or signed in another way than HS256.
  std::optional<TokenUser> Check(std::string_view token) const;

 private:
  explicit Tokens(std::string secret) : secret_(std::move(secret)) {}
  std::string secret_;
};

// "30d", "12h", "15m", "90s". kInvalidArgument.
Result<int64_t> ParseDuration(const std::string& text);

}  // namespace stagefs
