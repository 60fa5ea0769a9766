#include "http_client.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <vector>

#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"
#include "stagefs/text.h"

namespace stagefs {
namespace {

constexpr long kConnectSeconds = 10;
// Less than this in a second is hardly anything.
constexpr long kSlowBytes = 1024;
constexpr int kPollMs = kLookAfterCallerEvery.count();

struct Exchange {
  const ClientRequest& request;
  ClientResponse response;
  uint64_t sent = 0;
  Status trouble;
};

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  std::string_view line(data, size * count);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    // The answer itself, after a "100 Continue".
    exchange.response.headers.clear();
    const size_t space = line.find(' ');
    exchange.response.status = space == std::string_view::npos ? 0 : std::atoi(line.data() + space + 1);
  } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    const std::string name = ToLowerAscii(line.substr(0, colon));
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    exchange.response.headers[name] = value;
  }
  return size * count;
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const ClientRequest& request = exchange.request;
  ClientResponse& response = exchange.response;
  const size_t bytes = size * count;
  if (request.sink_fd >= 0 && (response.status == 200 || response.status == 206)) {
    if (response.sunk_bytes + bytes > request.sink_size_bytes_max) return CURL_WRITEFUNC_ERROR;
    exchange.trouble = WriteAllAt(request.sink_fd, data, bytes, request.sink_offset + response.sunk_bytes);
    if (!exchange.trouble) return CURL_WRITEFUNC_ERROR;
    response.sunk_bytes += bytes;
    return bytes;
  }
  if (response.body.size() + bytes > kClientBodyBytesMax) return CURL_WRITEFUNC_ERROR;
  response.body.append(data, bytes);
  return bytes;
}

size_t OnSend(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const ClientRequest& request = exchange.request;
  const uint64_t total = request.body_fd >= 0 ? request.body_size_bytes : request.body.size();
  const size_t bytes = std::min<uint64_t>(size * count, total - exchange.sent);
  if (request.body_fd >= 0) {
    const auto got = ReadUpTo(request.body_fd, data, bytes, request.body_offset + exchange.sent);
    if (!got || *got < bytes) {
      exchange.trouble = got ? Status(Error(ErrorCode::kStale, "the file became shorter")) : got.error();
      return CURL_READFUNC_ABORT;
    }
  } else {
    std::memcpy(data, request.body.data() + exchange.sent, bytes);
  }
  exchange.sent += bytes;
  return bytes;
}

// Where a kept connection turns out to be dead, curl sends the body once more.
int OnRewind(void* user, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  exchange.sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

// A request at a time, and the connections that it leaves for the next one.
struct Transfer {
  CURL* easy = curl_easy_init();
  CURLM* multi = curl_multi_init();

  Transfer() = default;
  ~Transfer() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // As curl_easy_perform() does it, except that the caller is looked after.
  Result<CURLcode> Run() {
    curl_multi_add_handle(multi, easy);
    Result<CURLcode> code = CURLE_OK;
    for (int running = 1; code && running > 0;) {
      CURLMcode trouble = curl_multi_perform(multi, &running);
      if (trouble == CURLM_OK && running > 0) trouble = curl_multi_poll(multi, nullptr, 0, kPollMs, nullptr);
      if (trouble != CURLM_OK) code = Error(ErrorCode::kIo, curl_multi_strerror(trouble));
      else if (running > 0 && Interrupted()) code = InterruptedError();
    }
    int left = 0;
    if (const CURLMsg* done = curl_multi_info_read(multi, &left); code && done != nullptr) code = done->data.result;
    curl_multi_remove_handle(multi, easy);
    return code;
  }
};

struct HeaderList {
  curl_slist* list = nullptr;
  ~HeaderList() { curl_slist_free_all(list); }
  void Add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }
};

Result<ClientResponse> Perform(Transfer& transfer, const ClientRequest& request, std::chrono::seconds patience) {
  CURL* const curl = transfer.easy;
  Exchange exchange{request, {}, 0, {}};
  HeaderList headers;
  for (const auto& [name, value] : request.headers) {
    headers.Add(value.empty() ? name + ';' : name + ": " + value);
  }
  headers.Add("Expect:");
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, std::min(kConnectSeconds, static_cast<long>(patience.count())));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kSlowBytes);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(patience.count()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  const bool sends = request.method == "PUT" || request.method == "POST";
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (sends) {
    const uint64_t size = request.body_fd >= 0 ? request.body_size_bytes : request.body.size();
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, OnSend);
    curl_easy_setopt(curl, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, OnRewind);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, &exchange);
  }
  if (request.method != "HEAD") curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  const auto code = transfer.Run();
  if (!exchange.trouble) return exchange.trouble.error();
  if (!code) return code.error();
  if (*code != CURLE_OK) return Error(ErrorCode::kIo, curl_easy_strerror(*code));
  return std::move(exchange.response);
}

}  // namespace

struct HttpClient::Pool {
  explicit Pool(size_t parallel) : free(parallel) {}
  std::mutex mutex;
  std::condition_variable returned;
  size_t free;
  std::vector<std::unique_ptr<Transfer>> idle;
};

HttpClient::HttpClient(size_t parallel, std::chrono::seconds patience)
    : patience_(patience), pool_(std::make_unique<Pool>(parallel)) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)ready;
}

HttpClient::~HttpClient() = default;

Result<ClientResponse> HttpClient::Send(const ClientRequest& request) {
  std::unique_ptr<Transfer> transfer;
  {
    std::unique_lock lock(pool_->mutex);
    constexpr auto kNever = std::chrono::steady_clock::time_point::max();
    if (!WaitUntil(pool_->returned, lock, kNever, [this] { return pool_->free > 0; })) return InterruptedError();
    --pool_->free;
    if (!pool_->idle.empty()) {
      transfer = std::move(pool_->idle.back());
      pool_->idle.pop_back();
    }
  }
  if (!transfer) transfer = std::make_unique<Transfer>();
  const bool made = transfer->easy != nullptr && transfer->multi != nullptr;
  auto response = made ? Perform(*transfer, request, patience_)
                       : Result<ClientResponse>(Error(ErrorCode::kIo, "no memory for a request"));
  if (made) curl_easy_reset(transfer->easy);
  {
    const std::lock_guard lock(pool_->mutex);
    ++pool_->free;
    if (made) pool_->idle.push_back(std::move(transfer));
  }
  pool_->returned.notify_one();
  return response;
}

}  // namespace stagefs
