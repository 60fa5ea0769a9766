#include "s3_client.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <pugixml.hpp>
#include <random>
#include <vector>

#include "stagefs/counters.h"
#include "stagefs/interruption.h"
#include "stagefs/parallel.h"
#include "stagefs/posix_env.h"
#include "stagefs/text.h"
#include "stagefs/uri.h"

namespace stagefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kFirstPause = milliseconds(100);
constexpr auto kLongestPause = milliseconds(5'000);
constexpr auto kSilenceMax = std::chrono::seconds(30);
constexpr int kWaitSecondsDefault = 30;
constexpr uint64_t kPartsMax = 10'000;  // S3's.
// Servers allow for 15 minutes: less than this is no reason to be refused.
constexpr std::time_t kClockNearSeconds = 60;

std::chrono::seconds RetryFor() { return SecondsFromEnvironment("STAGEFS_VERSIONS_WAIT", kWaitSecondsDefault, 0); }

// Between nothing and twice as long as the last time: requests that failed together are not sent again together.
milliseconds Pause(int attempt) {
  static thread_local std::mt19937 random{std::random_device{}()};
  const auto longest = std::min(kFirstPause * (1 << std::min(attempt, 6)), kLongestPause);
  return milliseconds(std::uniform_int_distribution<int64_t>(1, longest.count())(random));
}

bool Passes(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

// What an error's XML says: its code, or the status.
std::string ErrorCodeOf(const ClientResponse& response) {
  pugi::xml_document document;
  if (!document.load_buffer(response.body.data(), response.body.size())) return std::to_string(response.status);
  const std::string code = document.child("Error").child_value("Code");
  return code.empty() ? std::to_string(response.status) : code;
}

Error ErrorOf(const ClientResponse& response, const std::string& what) {
  const std::string message = "versions: " + what + ": S3 answered " + std::to_string(response.status) + ' ' +
                              ErrorCodeOf(response);
  switch (response.status) {
    case 403: return Error(ErrorCode::kPermission, message);
    case 404: return Error(ErrorCode::kNotFound, message);
    default: return Error(ErrorCode::kIo, message);
  }
}

uint64_t PartBytesOf(uint64_t size_bytes) { return std::max(S3Client::kPartBytes, size_bytes / kPartsMax + 1); }

Result<uint64_t> ParseSize(std::string_view text) {
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Error(ErrorCode::kIo, "versions: S3 answered a size that is no number");
  }
  return size;
}

}  // namespace

Result<S3Place> S3Place::Parse(const std::string& url) {
  const Error bad(ErrorCode::kInvalidArgument,
                  "'" + url + "' is not a place for versions: write s3://BUCKET/PREFIX?endpoint=URL&region=NAME");
  if (!url.starts_with("s3://")) return bad;
  const auto target = ParseTarget('/' + url.substr(5));
  if (!target || target->segments.empty() || target->segments[0].empty()) return bad;
  S3Place place;
  place.bucket = target->segments[0];
  for (size_t i = 1; i < target->segments.size(); ++i) {
    if (!target->segments[i].empty()) place.prefix += target->segments[i] + '/';
  }
  for (const auto& [key, value] : target->query) {
    if (key == "endpoint") place.endpoint = value;
    else if (key == "region") place.region = value;
    else return bad;
  }
  while (place.endpoint.ends_with('/')) place.endpoint.pop_back();
  const bool http = place.endpoint.starts_with("http://") || place.endpoint.starts_with("https://");
  if (!place.endpoint.empty() && !http) return bad;
  if (place.region.empty()) place.region = AwsRegion();
  return place;
}

S3Client::S3Client(S3Place place)
    : place_(std::move(place)),
      http_(kRequestsAtOnce, std::clamp(RetryFor(), std::chrono::seconds(1), kSilenceMax)) {}

Result<ClientResponse> S3Client::SendOnce(const Request& request) {
  STAGEFS_ASSIGN_OR_RETURN(const AwsKeys keys, credentials_.Get());
  SignedRequest to_sign;
  to_sign.method = request.method;
  to_sign.query = request.query;
  to_sign.headers = request.headers;
  to_sign.payload_sha256 = request.payload_sha256;
  if (to_sign.payload_sha256.empty()) to_sign.payload_sha256 = ToHex(Sha256Of(request.transfer.body));
  std::string base = place_.endpoint;
  if (base.empty()) {
    // The bucket in the host's name is what AWS wants; in the path is what every other server understands.
    base = "https://" + place_.bucket + ".s3." + place_.region + ".amazonaws.com";
    to_sign.path = '/' + request.key;
  } else {
    to_sign.path = '/' + place_.bucket + (request.key.empty() ? "" : '/' + request.key);
  }
  to_sign.host = base.substr(base.find("://") + 3);
  SignV4(keys, {place_.region, "s3", std::time(nullptr) + clock_off_seconds_}, &to_sign);
  ClientRequest transfer = request.transfer;
  transfer.method = request.method;
  transfer.url = base + TargetOf(to_sign);
  transfer.headers = to_sign.headers;
  Counters().s3_requests.fetch_add(1);
  auto response = http_.Send(transfer);
  if (!response) return response.error().In("versions: " + request.method + ' ' + request.key);
  const uint64_t sent_bytes = transfer.body_fd >= 0 ? transfer.body_size_bytes : transfer.body.size();
  Counters().s3_bytes_sent.fetch_add(static_cast<int64_t>(sent_bytes));
  Counters().s3_bytes_received.fetch_add(static_cast<int64_t>(response->sunk_bytes + response->body.size()));
  return response;
}

Result<ClientResponse> S3Client::Send(const Request& request) {
  const auto deadline = steady_clock::now() + RetryFor();
  bool clock_set = false;
  for (int attempt = 0;; ++attempt) {
    auto response = SendOnce(request);
    bool again = response ? Passes(response->status) : response.error().code() == ErrorCode::kIo;
    if (response && response->status == 403 && !clock_set) {
      // The answer to a HEAD has no body that could say why.
      const bool may_be_skewed = request.method == "HEAD" || ErrorCodeOf(*response) == "RequestTimeTooSkewed";
      std::tm parts{};
      const char* end = strptime(response->headers["date"].c_str(), "%a, %d %b %Y %H:%M:%S", &parts);
      const std::time_t off = end == nullptr ? 0 : timegm(&parts) - std::time(nullptr);
      clock_set = may_be_skewed && end != nullptr && std::abs(off - clock_off_seconds_) > kClockNearSeconds;
      if (clock_set) clock_off_seconds_ = off;
      again = clock_set;
    }
    // What arrived is not what was sent.
    if (response && response->status == 400) {
      const std::string code = ErrorCodeOf(*response);
      again = code == "BadDigest" || code == "XAmzContentSHA256Mismatch" || code == "RequestTimeout" ||
              code == "IncompleteBody";
    }
    const auto pause = Pause(attempt);
    if (!again || steady_clock::now() + pause > deadline) {
      const bool interrupted = !response && response.error().code() == ErrorCode::kInterrupted;
      if (again || (!response && !interrupted)) Counters().s3_errors.fetch_add(1);
      return response;
    }
    Counters().s3_retries.fetch_add(1);
    SleepFor(pause);
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
  }
}

Status S3Client::Put(const std::string& key, int fd, uint64_t size_bytes, const Sha256& sha256) {
  if (size_bytes > kPartBytes) return PutParts(key, fd, size_bytes);
  Request request;
  request.method = "PUT";
  request.key = KeyOf(key);
  request.payload_sha256 = ToHex(sha256);
  request.headers = {{"x-amz-checksum-sha256", Base64(BytesOf(sha256))}, {"if-none-match", "*"}};
  request.transfer.body_fd = fd;
  request.transfer.body_size_bytes = size_bytes;
  STAGEFS_ASSIGN_OR_RETURN(const ClientResponse response, Send(request));
  // 412: somebody else was first. 409: somebody is at it, and what they store has the same name for the same reason.
  if (response.status == 200 || response.status == 412) return {};
  if (response.status == 409) {
    STAGEFS_ASSIGN_OR_RETURN(const auto there, Head(key));
    if (there) return {};
  }
  return ErrorOf(response, "PUT " + key);
}

Status S3Client::PutPart(const std::string& key, const std::string& upload, int number, int fd, uint64_t size_bytes,
                         Part* part) {
  const uint64_t part_bytes = PartBytesOf(size_bytes);
  const uint64_t offset = static_cast<uint64_t>(number - 1) * part_bytes;
  const uint64_t bytes = std::min(part_bytes, size_bytes - offset);
  ContentHasher hasher;
  std::vector<char> buffer(256 << 10);
  for (uint64_t at = 0; at < bytes;) {
    STAGEFS_ASSIGN_OR_RETURN(
        const size_t got, ReadUpTo(fd, buffer.data(), std::min<uint64_t>(buffer.size(), bytes - at), offset + at));
    if (got == 0) return Error(ErrorCode::kStale, "the file became shorter");
    hasher.Update(buffer.data(), got);
    at += got;
  }
  part->sha256 = hasher.Finish().sha256;
  Request request;
  request.method = "PUT";
  request.key = KeyOf(key);
  request.query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}};
  request.payload_sha256 = ToHex(part->sha256);
  request.headers = {{"x-amz-checksum-sha256", Base64(BytesOf(part->sha256))}};
  request.transfer.body_fd = fd;
  request.transfer.body_offset = offset;
  request.transfer.body_size_bytes = bytes;
  STAGEFS_ASSIGN_OR_RETURN(ClientResponse response, Send(request));
  if (response.status != 200) return ErrorOf(response, "PUT a part of " + key);
  part->tag = response.headers["etag"];
  return {};
}

Result<std::string> S3Client::BeginUpload(const std::string& key) {
  Request begin;
  begin.method = "POST";
  begin.key = KeyOf(key);
  begin.query = {{"uploads", ""}};
  begin.headers = {{"x-amz-checksum-algorithm", "SHA256"}};
  STAGEFS_ASSIGN_OR_RETURN(const ClientResponse begun, Send(begin));
  if (begun.status != 200) return ErrorOf(begun, "begin an upload of " + key);
  pugi::xml_document document;
  document.load_buffer(begun.body.data(), begun.body.size());
  const std::string upload = document.child("InitiateMultipartUploadResult").child_value("UploadId");
  if (upload.empty()) return Error(ErrorCode::kIo, "versions: S3 began an upload without an id");
  return upload;
}

Result<ClientResponse> S3Client::EndUpload(const std::string& key, const std::string& upload,
                                           const std::vector<Part>& parts) {
  Request end;
  end.method = "POST";
  end.key = KeyOf(key);
  end.query = {{"uploadId", upload}};
  end.headers = {{"content-type", "application/xml"}, {"if-none-match", "*"}};
  std::string& body = end.transfer.body;
  body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (size_t i = 0; i < parts.size(); ++i) {
    body += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" + parts[i].tag +
            "</ETag><ChecksumSHA256>" + Base64(BytesOf(parts[i].sha256)) + "</ChecksumSHA256></Part>";
  }
  body += "</CompleteMultipartUpload>";
  return Send(end);
}

Status S3Client::GiveUpUpload(const std::string& whole_key, const std::string& upload) {
  Request end;
  end.method = "DELETE";
  end.key = whole_key;
  end.query = {{"uploadId", upload}};
  return Send(end).WithoutValue();
}

Status S3Client::PutParts(const std::string& key, int fd, uint64_t size_bytes) {
  STAGEFS_ASSIGN_OR_RETURN(const auto there, Head(key));
  if (there == size_bytes) return {};
  STAGEFS_ASSIGN_OR_RETURN(const std::string upload, BeginUpload(key));
  std::vector<Part> parts((size_bytes - 1) / PartBytesOf(size_bytes) + 1);
  Status status = InParallel(parts.size(), kPartsAtOnce, [&](uint64_t part) {
    return PutPart(key, upload, static_cast<int>(part + 1), fd, size_bytes, &parts[part]);
  });
  if (status) {
    STAGEFS_ASSIGN_OR_RETURN(const ClientResponse ended, EndUpload(key, upload, parts));
    // An answer of 200 may still bring an error: it is begun before the parts are put together.
    const bool failed = ended.body.find("<Error>") != std::string::npos;
    if (ended.status == 200 && !failed) return {};
    // An answer that was lost, or somebody else who was first.
    STAGEFS_ASSIGN_OR_RETURN(const auto there_now, Head(key));
    if (there_now != size_bytes) status = ErrorOf(ended, "end the upload of " + key);
  }
  (void)GiveUpUpload(KeyOf(key), upload);  // Where nobody waits for that any more gc does it.
  return status;
}

Result<std::optional<uint64_t>> S3Client::Head(const std::string& key) {
  Request request;
  request.method = "HEAD";
  request.key = KeyOf(key);
  STAGEFS_ASSIGN_OR_RETURN(ClientResponse response, Send(request));
  if (response.status == 404) return std::optional<uint64_t>();
  if (response.status != 200) return ErrorOf(response, "HEAD " + key);
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t size, ParseSize(response.headers["content-length"]));
  return std::optional<uint64_t>(size);
}

Result<int64_t> S3Client::StoredNs(const std::string& key) {
  Request request;
  request.method = "HEAD";
  request.key = KeyOf(key);
  STAGEFS_ASSIGN_OR_RETURN(ClientResponse response, Send(request));
  if (response.status == 404) return Error(ErrorCode::kNotFound, "no object " + key);
  if (response.status != 200) return ErrorOf(response, "HEAD " + key);
  std::tm parts{};
  if (strptime(response.headers["last-modified"].c_str(), "%a, %d %b %Y %H:%M:%S", &parts) == nullptr) {
    return Error(ErrorCode::kIo, "versions: S3 does not say when " + key + " was stored");
  }
  return timegm(&parts) * 1'000'000'000LL;
}

// An empty object has no range: it is answered whole, or with 416.
Result<uint64_t> S3Client::GetRange(const std::string& key, int fd, uint64_t offset, uint64_t size_bytes,
                                    uint64_t* total) {
  Request request;
  request.method = "GET";
  request.key = KeyOf(key);
  request.headers["range"] = "bytes=" + std::to_string(offset) + '-' + std::to_string(offset + size_bytes - 1);
  request.transfer.sink_fd = fd;
  request.transfer.sink_offset = offset;
  request.transfer.sink_size_bytes_max = size_bytes;
  STAGEFS_ASSIGN_OR_RETURN(ClientResponse response, Send(request));
  if (response.status == 416 && offset == 0) {
    *total = 0;
    return 0;
  }
  if (response.status != 200 && response.status != 206) return ErrorOf(response, "GET " + key);
  const std::string& range = response.headers["content-range"];  // bytes 0-9/1234
  if (response.status == 206) {
    const size_t slash = std::min(range.find('/'), range.size() - 1);
    STAGEFS_ASSIGN_OR_RETURN(*total, ParseSize(std::string_view(range).substr(slash + 1)));
  } else {
    *total = response.sunk_bytes;
  }
  return response.sunk_bytes;
}

Result<uint64_t> S3Client::Get(const std::string& key, int fd) {
  uint64_t total = 0;
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t first, GetRange(key, fd, 0, kPartBytes, &total));
  if (first != std::min(total, kPartBytes)) return Error(ErrorCode::kIo, "versions: GET " + key + ": cut off");
  const uint64_t parts = total <= kPartBytes ? 0 : (total - 1) / kPartBytes;
  STAGEFS_RETURN_IF_ERROR(InParallel(parts, kPartsAtOnce, [&](uint64_t part) -> Status {
    const uint64_t offset = (part + 1) * kPartBytes, bytes = std::min(kPartBytes, total - offset);
    uint64_t total_now = 0;
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t got, GetRange(key, fd, offset, bytes, &total_now));
    if (got != bytes || total_now != total) return Error(ErrorCode::kIo, "versions: GET " + key + ": cut off");
    return {};
  }));
  return total;
}

Status S3Client::Delete(const std::string& key) {
  Request request;
  request.method = "DELETE";
  request.key = KeyOf(key);
  STAGEFS_ASSIGN_OR_RETURN(const ClientResponse response, Send(request));
  if (response.status == 204 || response.status == 200 || response.status == 404) return {};
  return ErrorOf(response, "DELETE " + key);
}

Status S3Client::List(const std::function<bool(const std::string&)>& visit) {
  std::string after;
  for (;;) {
    Request request;
    request.method = "GET";
    request.query = {{"list-type", "2"}, {"prefix", place_.prefix}};
    if (!after.empty()) request.query["continuation-token"] = after;
    STAGEFS_ASSIGN_OR_RETURN(const ClientResponse response, Send(request));
    if (response.status != 200) return ErrorOf(response, "list " + place_.bucket);
    pugi::xml_document document;
    document.load_buffer(response.body.data(), response.body.size());
    const pugi::xml_node result = document.child("ListBucketResult");
    if (!result) return Error(ErrorCode::kIo, "versions: S3 answered a list that is none");
    for (const pugi::xml_node object : result.children("Contents")) {
      const std::string key = object.child_value("Key");
      if (key.starts_with(place_.prefix) && !visit(key.substr(place_.prefix.size()))) return {};
    }
    after = result.child_value("NextContinuationToken");
    if (after.empty()) return {};
  }
}

Result<int64_t> S3Client::RemoveUnfinished(std::time_t before) {
  Request request;
  request.method = "GET";
  request.query = {{"uploads", ""}, {"prefix", place_.prefix}};
  STAGEFS_ASSIGN_OR_RETURN(const ClientResponse response, Send(request));
  if (response.status == 501) return 0;  // Some servers keep no such list.
  if (response.status != 200) return ErrorOf(response, "list the uploads of " + place_.bucket);
  pugi::xml_document document;
  document.load_buffer(response.body.data(), response.body.size());
  int64_t removed = 0;
  for (const pugi::xml_node upload : document.child("ListMultipartUploadsResult").children("Upload")) {
    std::tm parts{};
    const std::string key = upload.child_value("Key");
    if (strptime(upload.child_value("Initiated"), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr ||
        timegm(&parts) >= before || !key.starts_with(place_.prefix)) {
      continue;
    }
    STAGEFS_RETURN_IF_ERROR(GiveUpUpload(key, upload.child_value("UploadId")));
    ++removed;
  }
  return removed;
}

}  // namespace stagefs
