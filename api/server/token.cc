#include "token.h"

#include <fcntl.h>
#include <jwt.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

using Jwt = std::unique_ptr<jwt_t, decltype(&jwt_free)>;

constexpr size_t kTokenBytesMax = 8192;
constexpr size_t kSecretBytesMin = 32;

const unsigned char* Bytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Claim(jwt_t* jwt, const char* name) {
  const char* value = jwt_get_grant(jwt, name);
  return value != nullptr ? value : "";
}

}  // namespace

Result<Tokens> Tokens::Open(const std::string& root) {
  STAGEFS_RETURN_IF_ERROR(MakeFolders(root));
  const std::string path = root + "/secret";
  if (access(path.c_str(), F_OK) != 0) {
    // Written aside and linked into place: of two that make one at once, the first wins.
    const std::string temporary = path + '.' + RandomHex();
    {
      STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(temporary, O_WRONLY | O_CREAT | O_EXCL));
      const std::string secret = RandomHex() + RandomHex();
      STAGEFS_RETURN_IF_ERROR(WriteAll(fd.get(), secret.data(), secret.size()));
      STAGEFS_RETURN_IF_ERROR(SyncFd(fd.get(), temporary));
    }
    const int linked = link(temporary.c_str(), path.c_str());
    const Error error = ErrnoError("create " + path);
    STAGEFS_RETURN_IF_ERROR(RemoveFile(temporary));
    if (linked != 0 && error.code() != ErrorCode::kExists) return error;
    STAGEFS_RETURN_IF_ERROR(SyncFolder(root));
  }
  STAGEFS_ASSIGN_OR_RETURN(std::string secret, ReadWholeFile(path));
  if (secret.size() < kSecretBytesMin) {
    return Error(ErrorCode::kCorrupt, path + " is shorter than 32 bytes: remove it, and every token with it");
  }
  return Tokens(std::move(secret));
}

Result<std::string> Tokens::Create(const TokenUser& user, int64_t expires_s) const {
  jwt_t* raw = nullptr;
  if (jwt_new(&raw) != 0) return Error(ErrorCode::kIo, "cannot make a token");
  const Jwt jwt(raw, jwt_free);
  const time_t now = time(nullptr);
  bool ok = jwt_set_alg(raw, JWT_ALG_HS256, Bytes(secret_), static_cast<int>(secret_.size())) == 0 &&
            jwt_add_grant(raw, "id", user.email.c_str()) == 0 &&
            jwt_add_grant(raw, "name", user.name.c_str()) == 0 &&
            jwt_add_grant(raw, "email", user.email.c_str()) == 0 && jwt_add_grant_int(raw, "iat", now) == 0;
  if (expires_s > 0) ok = ok && jwt_add_grant_int(raw, "exp", now + expires_s) == 0;
  char* text = ok ? jwt_encode_str(raw) : nullptr;
  if (text == nullptr) return Error(ErrorCode::kInvalidArgument, "cannot make a token of that name");
  std::string token = text;
  std::free(text);
  return token;
}

std::optional<TokenUser> Tokens::Check(std::string_view token) const {
  if (token.empty() || token.size() > kTokenBytesMax) return std::nullopt;
  jwt_t* raw = nullptr;
  if (jwt_decode(&raw, std::string(token).c_str(), Bytes(secret_), static_cast<int>(secret_.size())) != 0) {
    return std::nullopt;
  }
  const Jwt jwt(raw, jwt_free);
  // A token that says "none", or another algorithm, is not one of ours however well it decodes.
  if (jwt_get_alg(raw) != JWT_ALG_HS256) return std::nullopt;
  // Absent means that it never expires; anything but a number in the future that it has.
  errno = 0;
  const long expiry = jwt_get_grant_int(raw, "exp");
  if (errno != ENOENT && expiry <= time(nullptr)) return std::nullopt;
  return TokenUser{Claim(raw, "name"), Claim(raw, "email")};
}

Result<int64_t> ParseDuration(const std::string& text) {
  char* end = nullptr;
  const long long count = std::strtoll(text.c_str(), &end, 10);
  const std::string unit = end;
  const int64_t seconds = unit == "d" ? 86'400 : unit == "h" ? 3'600 : unit == "m" ? 60 : unit == "s" ? 1 : 0;
  if (text.empty() || seconds == 0 || count <= 0 || count > 36'500) {
    return Error(ErrorCode::kInvalidArgument, "'" + text + "' is not a duration: write 30d, 12h, 15m or 90s");
  }
  return count * seconds;
}

}  // namespace stagefs
