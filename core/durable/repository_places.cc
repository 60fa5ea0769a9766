#include <fcntl.h>

#include <cstdlib>
#include <sstream>
#include <nlohmann/json.hpp>

#include "repository_places.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

// $STAGEFS_CACHE_BYTES: of versions that are fetched from elsewhere, by all who use the repository on this machine.
uint64_t CacheBytesMax() {
  const char* text = std::getenv("STAGEFS_CACHE_BYTES");
  const uint64_t bytes = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
  return bytes > 0 ? bytes : kCacheBytesDefault;
}

// libpq's other form: "host=HOST dbname=DATABASE password=…".
std::string WithoutPassword(const std::string& settings) {
  std::istringstream words(settings);
  std::string place;
  for (std::string word; words >> word;) {
    if (word.starts_with("password") || word.starts_with("user")) continue;
    place += (place.empty() ? "" : " ") + word;
  }
  return place;
}

}  // namespace

std::string VersionsMark(const std::string& folder, const RepositoryPlaces& places) {
  if (!places.versions.empty()) return places.versions;
  return places.index.empty() ? "the repository's folder" : kFolderOfMachine + MachineId() + ": " + folder;
}

std::string PlaceOfUrl(const std::string& url) {
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string::npos) return WithoutPassword(url);
  std::string scheme = url.substr(0, scheme_end);
  if (scheme == "postgres") scheme = "postgresql";
  std::string rest = url.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find('?'));
  if (const size_t user_end = rest.substr(0, rest.find('/')).rfind('@'); user_end != std::string::npos) {
    rest = rest.substr(user_end + 1);
  }
  while (rest.ends_with('/')) rest.pop_back();
  return scheme + "://" + rest;
}

Result<std::unique_ptr<VersionStore>> OpenVersions(const std::string& folder, const RepositoryName& name,
                                                   const RepositoryPlaces& places) {
  if (!places.versions.empty()) {
    return OpenVersionStore({places.versions, name.ToString(), folder + "/cache", CacheBytesMax()});
  }
  return OpenLocalVersionStore(folder + "/versions", folder + "/incoming");
}


Result<RepositoryPlaces> RepositoryPlaces::Read(const std::string& folder) {
  const std::string path = folder + "/places.json";
  const auto text = ReadWholeFile(path);
  if (!text && text.error().code() == ErrorCode::kNotFound) return RepositoryPlaces();
  if (!text) return text.error();
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const auto part = [&](const char* key) -> std::optional<std::string> {
    if (!json.is_object() || !json.contains(key)) return "";
    if (!json[key].is_string()) return std::nullopt;
    return json[key].get<std::string>();
  };
  const auto index = part("index"), versions = part("versions");
  if (!json.is_object() || !index || !versions) {
    return Error(ErrorCode::kCorrupt, path + R"( is not {"index": URL, "versions": URL})");
  }
  return RepositoryPlaces{*index, *versions};
}

Status RepositoryPlaces::Write(const std::string& folder) const {
  const std::string path = folder + "/places.json";
  const std::string text = nlohmann::json{{"index", index}, {"versions", versions}}.dump(2) + '\n';
  {
    // A URL may hold a password.
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path + ".new", O_WRONLY | O_CREAT | O_TRUNC));
    STAGEFS_RETURN_IF_ERROR(WriteAll(fd.get(), text.data(), text.size()));
    STAGEFS_RETURN_IF_ERROR(SyncFd(fd.get(), path));
  }
  STAGEFS_RETURN_IF_ERROR(RenameFile(path + ".new", path));
  return SyncFolder(folder);
}

}  // namespace stagefs
