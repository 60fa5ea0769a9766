// HTTP requests to other servers, by libcurl.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "stagefs/guarded.h"
#include "stagefs/result.h"

namespace stagefs {

struct ClientRequest {
  std::string method, url;
  std::map<std::string, std::string> headers;
  // What is sent: `body`, or `size_bytes` of the file `body_fd` from `body_offset` on.
  std::string body;
  int body_fd = -1;
  uint64_t body_offset = 0, body_size_bytes = 0;
  // Where a body that comes with status 200 or 206 goes, if not into ClientResponse: the file `sink_fd` from
  // `sink_offset` on, at most `sink_size_bytes_max` bytes of it.
  int sink_fd = -1;
  uint64_t sink_offset = 0, sink_size_bytes_max = 0;
  // Of the whole request, where it matters more than that bytes flow.
  std::chrono::milliseconds timeout{0};
};

struct ClientResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // Names in lower case.
  std::string body;                            // At most kClientBodyBytesMax.
  uint64_t sunk_bytes = 0;
};

constexpr size_t kClientBodyBytesMax = 8 << 20;

// Keeps connections for the next request. Safe for concurrent use: each request runs on its caller's thread, at most
// `parallel` at a time; others wait.
class HttpClient {
 public:
  // A transfer is given up where hardly anything moved for `patience`.
  HttpClient(size_t parallel, std::chrono::seconds patience);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // kIo where no whole answer came: no connection, cut off, or given up. kInterrupted (interruption.h).
  Result<ClientResponse> Send(const ClientRequest& request);

 private:
  struct Pool;
  const std::chrono::seconds patience_;
  const std::unique_ptr<Pool> pool_;
};

}  // namespace stagefs
