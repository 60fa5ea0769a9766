// Objects of one bucket below one prefix, with retries.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "aws_credentials.h"
#include "versions/http_client.h"
#include "stagefs/content_hash.h"
#include "stagefs/parallel.h"

namespace stagefs {

// s3://BUCKET/PREFIX?endpoint=URL&region=NAME. Without an endpoint it is AWS's own.
struct S3Place {
  std::string bucket, prefix, endpoint, region;
  // kInvalidArgument, saying what a place looks like.
  static Result<S3Place> Parse(const std::string& url);
};

// Each request is tried again after trouble that passes (no answer, 429, 500, 502, 503, 504, a clock that is off) with
// growing random pauses, for $STAGEFS_VERSIONS_WAIT seconds (30) altogether. Safe for concurrent use.
class S3Client {
 public:
  explicit S3Client(S3Place place);

  // Stores a file, whose bytes hash to `sha256`, unless the object is there: the server checks what arrives against the
  // hash. Larger files than kPartBytes go in parts, several at a time, and appear when the last one is there.
  Status Put(const std::string& key, int fd, uint64_t size_bytes, const Sha256& sha256);
  // The object's size; std::nullopt if there is none.
  Result<std::optional<uint64_t>> Head(const std::string& key);
  // When it was stored, by the server's clock. kNotFound.
  Result<int64_t> StoredNs(const std::string& key);
  // Writes the whole object to `fd`: in ranges, several at a time, where it is large. Returns its size. kNotFound.
  Result<uint64_t> Get(const std::string& key, int fd);
  // Also if there is none.
  Status Delete(const std::string& key);
  // In order of their names, which come without the prefix, until `visit` returns false.
  Status List(const std::function<bool(const std::string& key)>& visit);
  // Parts of uploads that began before `before` and never finished. Returns how many uploads.
  Result<int64_t> RemoveUnfinished(std::time_t before);

  static constexpr uint64_t kPartBytes = 16 << 20;
  static constexpr size_t kPartsAtOnce = 4;

 private:
  struct Request {
    std::string method, key;  // The whole key; empty: the bucket.
    std::map<std::string, std::string> query, headers;
    std::string payload_sha256;
    ClientRequest transfer;  // Bodies and sinks.
  };
  Result<ClientResponse> Send(const Request& request);
  Result<ClientResponse> SendOnce(const Request& request);
  // Of an upload: what the server and we call it.
  struct Part {
    std::string tag;
    Sha256 sha256;
  };
  Status PutParts(const std::string& key, int fd, uint64_t size_bytes);
  Result<std::string> BeginUpload(const std::string& key);
  Status PutPart(const std::string& key, const std::string& upload, int number, int fd, uint64_t size_bytes,
                 Part* part);
  Result<ClientResponse> EndUpload(const std::string& key, const std::string& upload, const std::vector<Part>& parts);
  Status GiveUpUpload(const std::string& whole_key, const std::string& upload);
  Result<uint64_t> GetRange(const std::string& key, int fd, uint64_t offset, uint64_t size_bytes, uint64_t* total);
  std::string KeyOf(const std::string& key) const { return place_.prefix + key; }

  const S3Place place_;
  AwsCredentials credentials_;
  HttpClient http_;
  std::atomic<int64_t> clock_off_seconds_ = 0;  // How far the server's clock is ahead.
};

}  // namespace stagefs
