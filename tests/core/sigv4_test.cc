// Signature Version 4, with AWS's published examples.
#include "core/versions/s3/sigv4.h"

#include "stagefs/content_hash.h"
#include "tests/catch.h"

namespace stagefs::test {
namespace {

std::string SignatureOf(const SignedRequest& request) {
  const std::string& text = request.headers.at("authorization");
  return text.substr(text.rfind('=') + 1);
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html: the examples of that page.
SignedRequest S3Request(const std::string& method, const std::string& path) {
  SignedRequest request;
  request.method = method;
  request.host = "examplebucket.s3.amazonaws.com";
  request.path = path;
  request.payload_sha256 = ToHex(Sha256Of(""));
  return request;
}
const AwsKeys kS3Keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
const SigningScope kS3Scope{"us-east-1", "s3", 1369353600};  // 2013-05-24 00:00:00 UTC.

// The test suite of the algorithm, which AWS publishes for writers of signers.
SignedRequest SuiteRequest(const std::string& method, const std::string& path) {
  SignedRequest request;
  request.method = method;
  request.host = "example.amazonaws.com";
  request.path = path;
  request.payload_sha256 = ToHex(Sha256Of(""));
  return request;
}
const AwsKeys kSuiteKeys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
const SigningScope kSuiteScope{"us-east-1", "service", 1440938160};  // 2015-08-30 12:36:00 UTC.

}  // namespace

TEST_CASE("sigv4: the examples of the S3 documentation", "[api][s3]") {
  SignedRequest get = S3Request("GET", "/test.txt");
  get.headers["range"] = "bytes=0-9";
  SignV4(kS3Keys, kS3Scope, &get);
  CHECK(SignatureOf(get) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

  SignedRequest put = S3Request("PUT", "/test$file.text");
  put.headers["date"] = "Fri, 24 May 2013 00:00:00 GMT";
  put.headers["x-amz-storage-class"] = "REDUCED_REDUNDANCY";
  put.payload_sha256 = ToHex(Sha256Of("Welcome to Amazon S3."));
  SignV4(kS3Keys, kS3Scope, &put);
  CHECK(SignatureOf(put) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");

  SignedRequest lifecycle = S3Request("GET", "/");
  lifecycle.query["lifecycle"] = "";
  SignV4(kS3Keys, kS3Scope, &lifecycle);
  CHECK(SignatureOf(lifecycle) == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");

  SignedRequest list = S3Request("GET", "/");
  list.query = {{"max-keys", "2"}, {"prefix", "J"}};
  SignV4(kS3Keys, kS3Scope, &list);
  CHECK(SignatureOf(list) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST_CASE("sigv4: the test suite of the algorithm", "[api][s3]") {
  SignedRequest vanilla = SuiteRequest("GET", "/");
  SignV4(kSuiteKeys, kSuiteScope, &vanilla);
  CHECK(SignatureOf(vanilla) == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  SignedRequest post = SuiteRequest("POST", "/");
  SignV4(kSuiteKeys, kSuiteScope, &post);
  CHECK(SignatureOf(post) == "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
  SignedRequest unreserved =
      SuiteRequest("GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
  SignV4(kSuiteKeys, kSuiteScope, &unreserved);
  CHECK(SignatureOf(unreserved) == "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f");
  SignedRequest ordered = SuiteRequest("GET", "/");
  ordered.query = {{"Param2", "value2"}, {"Param1", "value1"}};
  SignV4(kSuiteKeys, kSuiteScope, &ordered);
  CHECK(SignatureOf(ordered) == "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

TEST_CASE("sigv4: what is signed is what is sent", "[api][s3]") {
  SignedRequest request = SuiteRequest("GET", "/a b+c/%");
  request.query = {{"uploads", ""}, {"prefix", "x/y z"}};
  CHECK(TargetOf(request) == "/a%20b%2Bc/%25?prefix=x%2Fy%20z&uploads=");
  AwsKeys temporary = kSuiteKeys;
  temporary.session_token = "token";
  SignV4(temporary, kSuiteScope, &request);
  CHECK(request.headers.at("x-amz-security-token") == "token");
  CHECK(request.headers.at("authorization").find("SignedHeaders=host;x-amz-date;x-amz-security-token,") !=
        std::string::npos);
}

}  // namespace stagefs::test
