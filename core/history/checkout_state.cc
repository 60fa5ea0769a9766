#include "checkout_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "stagefs/checkout.h"
#include "stagefs/posix_env.h"
#include "stagefs/text.h"

namespace stagefs {
namespace {

const std::string kName(kCheckoutStateFile);
constexpr size_t kStateBytesMax = 1 << 20;

Error NoState() {
  return Error(ErrorCode::kCorrupt, kName + " is not what a checkout writes: remove it, and check out again");
}

}  // namespace

CheckoutState CheckoutState::Of(const std::string& repository, const std::string& commit, const RepoPath& path) {
  CheckoutState state;
  state.repository = repository;
  state.commit = commit;
  state.path = ToDisplayUtf8(path.str());
  if (!IsValidUtf8(path.str())) state.path_base64 = Base64(path.str());
  return state;
}

Result<std::optional<CheckoutState>> CheckoutState::Read(int folder) {
  const UniqueFd fd(openat(folder, kName.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return std::optional<CheckoutState>();
  if (!fd.valid() && errno == ELOOP) return NoState();
  if (!fd.valid()) return ErrnoError("open " + kName);
  std::string text(kStateBytesMax, '\0');
  const auto got = ReadUpTo(fd.get(), text.data(), text.size(), 0);
  if (!got) return NoState();
  text.resize(*got);
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return NoState();
  const auto word = [&](const char* key) {
    const auto at = json.find(key);
    return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  const auto flag = [&](const char* key) {
    const auto at = json.find(key);
    return at != json.end() && at->is_boolean() && at->get<bool>();
  };
  CheckoutState state;
  state.repository = word("repository");
  state.commit = word("commit");
  state.path = word("path");
  state.path_base64 = word("path_base64");
  state.link = flag("link");
  state.complete = flag("complete");
  state.boot = word("boot");
  if (const auto from = json.find("from"); from != json.end() && from->is_array()) {
    for (const auto& commit : *from) {
      if (commit.is_string()) state.from.push_back(commit.get<std::string>());
    }
  }
  if (state.repository.empty() || state.commit.empty()) return NoState();
  return std::optional<CheckoutState>(std::move(state));
}

Status CheckoutState::Write(int folder, const std::string& temporary) const {
  nlohmann::ordered_json json{{"repository", repository}, {"commit", commit}, {"path", path}};
  if (!path_base64.empty()) json["path_base64"] = path_base64;
  json["link"] = link;
  json["complete"] = complete;
  json["from"] = from;
  json["boot"] = boot;
  const std::string text = json.dump() + '\n';
  const Status written = [&]() -> Status {
    const UniqueFd fd(openat(folder, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!fd.valid()) return ErrnoError("write " + kName);
    STAGEFS_RETURN_IF_ERROR(WriteAll(fd.get(), text.data(), text.size()));
    STAGEFS_RETURN_IF_ERROR(SyncFd(fd.get(), kName));
    if (renameat(folder, temporary.c_str(), folder, kName.c_str()) != 0) return ErrnoError("write " + kName);
    return {};
  }();
  if (!written) {
    (void)unlinkat(folder, temporary.c_str(), 0);
    return written;
  }
  return SyncFd(folder, "the folder of " + kName);
}

}  // namespace stagefs
