#include "aws_credentials.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr std::time_t kRenewSeconds = 300;
constexpr auto kEndpointPatience = std::chrono::milliseconds(2000);

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// key = value lines of one [section].
std::map<std::string, std::string> IniSection(const std::string& text, const std::string& section) {
  std::map<std::string, std::string> values;
  std::istringstream lines(text);
  bool inside = false;
  const auto trimmed = [](std::string part) {
    part.erase(0, part.find_first_not_of(" \t\r"));
    part.erase(part.find_last_not_of(" \t\r") + 1);
    return part;
  };
  for (std::string line; std::getline(lines, line);) {
    line = trimmed(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      inside = trimmed(line.substr(1, line.find(']') - 1)) == section;
    } else if (const size_t equals = line.find('='); inside && equals != std::string::npos) {
      values[trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
    }
  }
  return values;
}

std::optional<std::time_t> ParseTime(const std::string& text) {
  std::tm parts{};
  if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return std::nullopt;
  return timegm(&parts);
}

}  // namespace

std::string AwsRegion() {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (std::string region = Environment(name); !region.empty()) return region;
  }
  return "us-east-1";
}

Result<AwsKeys> AwsCredentials::Get() {
  auto known = known_.Lock();
  if (!*known || ((*known)->expires && *(*known)->expires - kRenewSeconds < std::time(nullptr))) {
    auto found = Find();
    // Keys that are still good for a moment are used while new ones cannot be had.
    if (!found && (!*known || *(*known)->expires <= std::time(nullptr))) return found.error();
    if (found) *known = std::move(*found);
  }
  return (*known)->keys;
}

Result<AwsCredentials::Known> AwsCredentials::Find() {
  Known known;
  known.keys = {Environment("AWS_ACCESS_KEY_ID"), Environment("AWS_SECRET_ACCESS_KEY"),
                Environment("AWS_SESSION_TOKEN")};
  if (!known.keys.id.empty() && !known.keys.secret.empty()) return known;
  std::string path = Environment("AWS_SHARED_CREDENTIALS_FILE");
  if (path.empty()) path = Environment("HOME") + "/.aws/credentials";
  std::string profile = Environment("AWS_PROFILE");
  if (profile.empty()) profile = "default";
  if (const auto text = ReadWholeFile(path)) {
    const auto values = IniSection(*text, profile);
    const auto get = [&](const char* key) { return values.contains(key) ? values.at(key) : ""; };
    known.keys = {get("aws_access_key_id"), get("aws_secret_access_key"), get("aws_session_token")};
    if (!known.keys.id.empty() && !known.keys.secret.empty()) return known;
  }
  STAGEFS_ASSIGN_OR_RETURN(auto asked, AskContainer());
  if (!asked) {
    STAGEFS_ASSIGN_OR_RETURN(asked, AskInstance());
  }
  if (asked) return *asked;
  return Error(ErrorCode::kPermission, "no keys for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
                                       "profile '" + profile + "' into " + path);
}

namespace {

Result<std::pair<AwsKeys, std::optional<std::time_t>>> KeysOf(const ClientResponse& response, const std::string& from) {
  const auto json = nlohmann::json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  const auto get = [&](const char* key) {
    return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
  };
  AwsKeys keys{get("AccessKeyId"), get("SecretAccessKey"), get("Token")};
  if (response.status != 200 || keys.id.empty() || keys.secret.empty()) {
    return Error(ErrorCode::kPermission,
                 from + " gave no keys for S3 (status " + std::to_string(response.status) + ")");
  }
  return std::pair(std::move(keys), ParseTime(get("Expiration")));
}

}  // namespace

Result<std::optional<AwsCredentials::Known>> AwsCredentials::AskContainer() {
  ClientRequest request;
  request.method = "GET";
  request.timeout = kEndpointPatience;
  if (const std::string relative = Environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !relative.empty()) {
    request.url = "http://169.254.170.2" + relative;
  } else {
    request.url = Environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  }
  if (request.url.empty()) return std::optional<Known>();
  std::string token = Environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = Environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    STAGEFS_ASSIGN_OR_RETURN(token, ReadWholeFile(file));
    token.erase(token.find_last_not_of("\r\n") + 1);
  }
  if (!token.empty()) request.headers["authorization"] = token;
  STAGEFS_ASSIGN_OR_RETURN(const ClientResponse response, http_.Send(request));
  STAGEFS_ASSIGN_OR_RETURN(const auto keys, KeysOf(response, request.url));
  return std::optional<Known>({keys.first, keys.second});
}

// Version 2 of the instance's metadata service: a token first.
Result<std::optional<AwsCredentials::Known>> AwsCredentials::AskInstance() {
  if (Environment("AWS_EC2_METADATA_DISABLED") == "true") return std::optional<Known>();
  std::string endpoint = Environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (endpoint.empty()) endpoint = "http://169.254.169.254";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  ClientRequest request;
  request.timeout = kEndpointPatience;
  request.method = "PUT";
  request.url = endpoint + "/latest/api/token";
  request.headers["x-aws-ec2-metadata-token-ttl-seconds"] = "21600";
  const auto token = http_.Send(request);
  if (!token || token->status != 200) return std::optional<Known>();  // Not such an instance.
  request.method = "GET";
  request.headers = {{"x-aws-ec2-metadata-token", token->body}};
  request.url = endpoint + "/latest/meta-data/iam/security-credentials/";
  STAGEFS_ASSIGN_OR_RETURN(const ClientResponse role, http_.Send(request));
  if (role.status != 200 || role.body.empty()) return std::optional<Known>();
  request.url += role.body.substr(0, role.body.find('\n'));
  STAGEFS_ASSIGN_OR_RETURN(const ClientResponse response, http_.Send(request));
  STAGEFS_ASSIGN_OR_RETURN(const auto keys, KeysOf(response, request.url));
  return std::optional<Known>({keys.first, keys.second});
}

}  // namespace stagefs
