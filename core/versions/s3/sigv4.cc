#include "sigv4.h"

#include "stagefs/content_hash.h"

namespace stagefs {
namespace {

constexpr std::string_view kRequest = "aws4_request";

std::string TimeText(std::time_t time, const char* format) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, format, &parts);
  return text;
}

// Without spaces at the ends, and with one where there are several.
std::string HeaderValue(std::string_view value) {
  std::string trimmed;
  for (const char c : value) {
    if (c == ' ' && (trimmed.empty() || trimmed.back() == ' ')) continue;
    trimmed += c;
  }
  if (!trimmed.empty() && trimmed.back() == ' ') trimmed.pop_back();
  return trimmed;
}

std::string CanonicalQuery(const std::map<std::string, std::string>& query) {
  std::map<std::string, std::string> encoded;
  for (const auto& [key, value] : query) encoded[AwsEncoded(key, false)] = AwsEncoded(value, false);
  std::string text;
  for (const auto& [key, value] : encoded) text += (text.empty() ? "" : "&") + key + '=' + value;
  return text;
}

}  // namespace

std::string AwsEncoded(std::string_view text, bool keep_slashes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    const bool plain = c < 0x80 && (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~');
    if (plain || (keep_slashes && c == '/')) {
      encoded += static_cast<char>(c);
    } else {
      encoded += {'%', kDigits[c >> 4], kDigits[c & 15]};
    }
  }
  return encoded;
}

std::string TargetOf(const SignedRequest& request) {
  const std::string query = CanonicalQuery(request.query);
  return AwsEncoded(request.path, true) + (query.empty() ? "" : '?' + query);
}

void SignV4(const AwsKeys& keys, const SigningScope& scope, SignedRequest* request) {
  const std::string day = TimeText(scope.now, "%Y%m%d"), moment = TimeText(scope.now, "%Y%m%dT%H%M%SZ");
  auto& headers = request->headers;
  headers["host"] = request->host;
  headers["x-amz-date"] = moment;
  if (scope.service == "s3") headers["x-amz-content-sha256"] = request->payload_sha256;
  if (!keys.session_token.empty()) headers["x-amz-security-token"] = keys.session_token;
  std::string canonical = request->method + '\n' + AwsEncoded(request->path, true) + '\n' +
                          CanonicalQuery(request->query) + '\n';
  std::string names;
  for (const auto& [name, value] : headers) {
    canonical += name + ':' + HeaderValue(value) + '\n';
    names += (names.empty() ? "" : ";") + name;
  }
  canonical += '\n' + names + '\n' + request->payload_sha256;
  const std::string within = day + '/' + scope.region + '/' + scope.service + '/' + std::string(kRequest);
  const std::string to_sign = "AWS4-HMAC-SHA256\n" + moment + '\n' + within + '\n' + ToHex(Sha256Of(canonical));
  Sha256 key = HmacSha256("AWS4" + keys.secret, day);
  for (const std::string_view part : {std::string_view(scope.region), std::string_view(scope.service), kRequest}) {
    key = HmacSha256(BytesOf(key), part);
  }
  headers["authorization"] = "AWS4-HMAC-SHA256 Credential=" + keys.id + '/' + within + ",SignedHeaders=" + names +
                             ",Signature=" + ToHex(HmacSha256(BytesOf(key), to_sign));
}

}  // namespace stagefs
