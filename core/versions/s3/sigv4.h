// Signature Version 4, as S3 wants requests signed.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. libcurl has a signer of its own, but
// before 8.0 it signs queries and payload hashes that servers refuse.
#pragma once

#include <ctime>
#include <map>
#include <string>
#include <string_view>

namespace stagefs {

struct AwsKeys {
  std::string id, secret, session_token;
};

// A request to be signed. `path` and `query` are not encoded yet.
struct SignedRequest {
  std::string method, host, path = "/";
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  // Names in lower case.
  std::string payload_sha256;                  // Hex.
};

// Encodes every byte but letters, digits, '-', '.', '_' and '~', and '/' where `keep_slashes`.
std::string AwsEncoded(std::string_view text, bool keep_slashes);
// The path and query of a request line, as they are signed.
std::string TargetOf(const SignedRequest& request);

struct SigningScope {
  std::string region, service = "s3";
  std::time_t now = 0;
};

// Adds host, x-amz-date, x-amz-security-token and authorization to the headers; x-amz-content-sha256, too, for s3.
void SignV4(const AwsKeys& keys, const SigningScope& scope, SignedRequest* request);

}  // namespace stagefs
