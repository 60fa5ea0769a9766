#include "http_server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "client_watch.h"
#include "dispatch.h"
#include "incoming_body.h"
#include "listen.h"
#include "request_head.h"
#include "stagefs/daemon_log.h"
#include "stagefs/posix_env.h"
#include "wire/media_type.h"
#include "wire/status_bodies.h"

namespace stagefs {
namespace {

// All of a request's headers.
constexpr size_t kHeaderBytesMax = 32 << 10;
// How much more of a body that is too large is read before the connection is cut: enough for most clients to
// see the answer.
constexpr uint64_t kDrainBytesMax = 16 << 20;
constexpr size_t kRequestIdBytesMax = 128;
constexpr size_t kStreamPieceBytes = 64 << 10;
constexpr size_t kThreadStackBytes = 1 << 20;
// TLS from 1.2 on (RFC 8996), in the words of GnuTLS.
constexpr char kTlsPriorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

// A request that is arriving.
struct Arrival {
  HttpRequest request;
  IncomingBody body;
  bool head_checked = false;
  bool is_streamed = false;
  std::string id;
};

// An answer that is made while it is sent.
struct Streamed {
  std::shared_ptr<ByteSource> bytes;
  ClientWatch& watch;
  ClientWatch::Handle client;
};

MHD_Result CollectHeader(void* head, MHD_ValueKind, const char* name, const char* value) {
  static_cast<RequestHead*>(head)->headers.emplace_back(name, value != nullptr ? value : "");
  return MHD_YES;
}

std::string NewRequestId() {
  std::string hex = RandomHex();
  hex[12] = '4';  // UUID version 4, variant 1.
  hex[16] = "89ab"[hex[16] & 3];
  return hex.substr(0, 8) + '-' + hex.substr(8, 4) + '-' + hex.substr(12, 4) + '-' + hex.substr(16, 4) + '-' +
         hex.substr(20);
}

class MicrohttpdServer : public HttpServer {
 public:
  MicrohttpdServer(Root& root, std::unique_ptr<Tokens> tokens, RouterOptions router,
                   const HttpOptions& options)
      : root_(root),
        router_(root, std::move(tokens), router),
        options_(options),
        watch_(options.slow_window, options.bytes_per_second_min, options.strangers_max) {}

  ~MicrohttpdServer() override {
    if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
  }

  Status Listen() {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, ListenOn(options_.address, options_.port, &port_));
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    if (!options_.tls_key.empty()) {
      STAGEFS_ASSIGN_OR_RETURN(certificate_, ReadWholeFile(options_.tls_certificate));
      STAGEFS_ASSIGN_OR_RETURN(key_, ReadWholeFile(options_.tls_key));
      flags |= MHD_USE_TLS;
    }
    // Staging blocks on the disk and on other writers, so each connection has a thread of its own.
    const int listen_fd = fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
    MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, certificate_.data()},
                            {MHD_OPTION_HTTPS_MEM_KEY, 0, key_.data()},
                            {MHD_OPTION_HTTPS_PRIORITIES, 0, const_cast<char*>(kTlsPriorities)},
                            {MHD_OPTION_END, 0, nullptr}};
    MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, nullptr}};
    daemon_ = MHD_start_daemon(flags, 0, nullptr, nullptr, &MicrohttpdServer::OnData, this,
                               MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
                               options_.connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
                               options_.idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, kHeaderBytesMax,
                               MHD_OPTION_THREAD_STACK_SIZE, kThreadStackBytes, MHD_OPTION_URI_LOG_CALLBACK,
                               &MicrohttpdServer::OnTarget, this, MHD_OPTION_UNESCAPE_CALLBACK, &KeepEscapes,
                               nullptr, MHD_OPTION_NOTIFY_COMPLETED, &MicrohttpdServer::OnCompleted, this,
                               MHD_OPTION_NOTIFY_CONNECTION, &MicrohttpdServer::OnConnection, this,
                               MHD_OPTION_ARRAY, options_.tls_key.empty() ? plain : tls, MHD_OPTION_END);
    if (daemon_ == nullptr) {
      close(listen_fd);
      return Error(ErrorCode::kInvalidArgument,
                   options_.tls_key.empty()
                       ? "the HTTP server does not start"
                       : "the HTTP server does not start: are --tls-cert and --tls-key PEM "
                         "files of a certificate and its key?");
    }
    return {};
  }

  uint16_t port() const override { return port_; }

 private:
  // The target is decoded by us, segment by segment; the library must not do it first.
  static size_t KeepEscapes(void*, MHD_Connection*, char* text) { return std::strlen(text); }

  static void* OnTarget(void*, const char* target, MHD_Connection*) {
    auto arrival = std::make_unique<Arrival>();
    arrival->request.raw_target = target;
    return arrival.release();
  }

  static void OnCompleted(void* self, MHD_Connection* connection, void** context,
                          MHD_RequestTerminationCode) {
    auto* server = static_cast<MicrohttpdServer*>(self);
    const std::unique_ptr<Arrival> arrival(static_cast<Arrival*>(*context));
    *context = nullptr;
    if (arrival && arrival->is_streamed) SetTimeout(connection, server->options_.idle_timeout_s);
    server->watch_.Restart(ClientOf(connection), /*answering=*/false);
  }

  static void SetTimeout(MHD_Connection* connection, unsigned seconds) {
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
  }

  static ssize_t OnPull(void* context, uint64_t, char* data, size_t size_bytes) {
    auto* streamed = static_cast<Streamed*>(context);
    streamed->watch.Restart(streamed->client, /*answering=*/true);
    const auto got = streamed->bytes->Read(data, size_bytes);
    streamed->watch.Restart(streamed->client, /*answering=*/false);
    if (got) return *got == 0 ? MHD_CONTENT_READER_END_OF_STREAM : static_cast<ssize_t>(*got);
    Log(LogLevel::kError, "http: an answer breaks off: " + got.error().message());
    return MHD_CONTENT_READER_END_WITH_ERROR;
  }

  static void OnStreamEnd(void* context) { delete static_cast<Streamed*>(context); }

  // The library's timeout would count the time in which the server makes a piece; `watch_` does not.
  MHD_Response* NewStream(MHD_Connection* connection, std::shared_ptr<ByteSource> bytes, Arrival& arrival) {
    arrival.is_streamed = true;
    SetTimeout(connection, 0);
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kStreamPieceBytes, &OnPull,
                                             new Streamed{std::move(bytes), watch_, ClientOf(connection)},
                                             &OnStreamEnd);
  }

  static void OnConnection(void* self, MHD_Connection* connection, void** context,
                           MHD_ConnectionNotificationCode code) {
    ClientWatch& watch = static_cast<MicrohttpdServer*>(self)->watch_;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      const int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
      *context = new ClientWatch::Handle(watch.Add(fd));
    } else {
      const std::unique_ptr<ClientWatch::Handle> client(static_cast<ClientWatch::Handle*>(*context));
      watch.Remove(*client);
    }
  }

  static ClientWatch::Handle ClientOf(MHD_Connection* connection) {
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return *static_cast<ClientWatch::Handle*>(info->socket_context);
  }

  static MHD_Result OnData(void* self, MHD_Connection* connection, const char*, const char* method,
                           const char* version, const char* data, size_t* size, void** context) {
    auto* server = static_cast<MicrohttpdServer*>(self);
    Arrival& arrival = *static_cast<Arrival*>(*context);
    if (std::exchange(arrival.head_checked, true)) return server->Take(connection, data, size, arrival);
    RequestHead head{method, arrival.request.raw_target, version, {}};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, &CollectHeader, &head);
    const OrRefusal<> taken = server->TakeHead(head, arrival);
    if (taken) {
      server->watch_.Know(ClientOf(connection));
      return MHD_YES;
    }
    // Refused before the body is read: the client need not send it, and the connection ends.
    return server->Send(connection, arrival, taken.error().ToResponse());
  }

  OrRefusal<> TakeHead(const RequestHead& head, Arrival& arrival) {
    arrival.id = NewRequestId();
    arrival.request.method = head.method;
    STAGEFS_ASSIGN_OR_RETURN(arrival.request, ReadHead(head));
    const std::string& sent_id = arrival.request.Header("x-oxen-request-id");
    if (!sent_id.empty() && sent_id.size() <= kRequestIdBytesMax) arrival.id = sent_id;
    int64_t length = -1;
    const std::string& sent_length = arrival.request.Header("content-length");
    std::from_chars(sent_length.data(), sent_length.data() + sent_length.size(), length);
    return router_.CheckHead(arrival.request, length);
  }

  // Called with each piece of the body, then at its end.
  MHD_Result Take(MHD_Connection* connection, const char* data, size_t* size, Arrival& arrival) {
    if (*size > 0) {
      arrival.body.Add(data, *size, root_.folder(), options_.body_bytes_max);
      *size = 0;
      return arrival.body.received() > options_.body_bytes_max + kDrainBytesMax ? MHD_NO : MHD_YES;
    }
    if (arrival.body.too_large()) {
      return Send(connection, arrival, Router::TooLarge(options_.body_bytes_max).ToResponse());
    }
    watch_.Restart(ClientOf(connection), /*answering=*/true);
    HttpResponse answer = Answer(arrival);
    watch_.Restart(ClientOf(connection), /*answering=*/false);
    return Send(connection, arrival, std::move(answer));
  }

  // The body as it is meant: unpacked.
  Result<std::unique_ptr<RewindableSource>> FinishBody(Arrival& arrival) {
    STAGEFS_ASSIGN_OR_RETURN(auto sent, arrival.body.Finish());
    STAGEFS_ASSIGN_OR_RETURN(const Compression coding, ContentCodingOf(arrival.request));
    if (coding == Compression::kNone || arrival.body.received() == 0) return sent;
    IncomingBody unpacked;
    STAGEFS_RETURN_IF_ERROR(unpacked.AddUnpacked(*sent, coding, root_.folder(), options_.body_bytes_max));
    arrival.body = std::move(unpacked);
    return arrival.body.Finish();
  }

  HttpResponse Answer(Arrival& arrival) {
    const auto body = FinishBody(arrival);
    if (!body && !IsTrouble(body.error())) return Refusal(body.error()).ToResponse();
    if (!body) {
      Log(LogLevel::kError, "http: keep a request body: " + body.error().message());
      return Refuse(507, "internal_server_error", "Server trouble", "the body cannot be kept: disk full?")
          .ToResponse();
    }
    arrival.request.body = body->get();
    arrival.request.body_bytes = arrival.body.received();
    HttpResponse response = router_.Handle(arrival.request);
    arrival.request.body = nullptr;
    return response;
  }

  MHD_Result Send(MHD_Connection* connection, Arrival& arrival, HttpResponse answer) {
    if (options_.debug) {
      Log(LogLevel::kDebug, "http: " + arrival.request.method + ' ' + arrival.request.raw_target + ": " +
                                std::to_string(answer.status));
    }
    MHD_Response* response =
        answer.stream ? NewStream(connection, std::move(answer.stream), arrival)
        : answer.fd >= 0
            ? MHD_create_response_from_fd_at_offset64(answer.size_bytes, answer.fd, answer.offset)
            : MHD_create_response_from_buffer(answer.body.size(), answer.body.data(), MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    if (!answer.content_type.empty()) {
      MHD_add_response_header(response, "content-type", answer.content_type.c_str());
    }
    MHD_add_response_header(response, "oxen-version", std::string(kOxenVersion).c_str());
    MHD_add_response_header(response, "x-oxen-request-id", arrival.id.c_str());
    // Whatever the bytes are, none of them runs with the rights of this server's pages.
    MHD_add_response_header(response, "content-security-policy", "sandbox");
    MHD_add_response_header(response, "x-content-type-options", "nosniff");
    for (const auto& [name, value] : answer.headers) {
      MHD_add_response_header(response, name.c_str(), value.c_str());
    }
    const MHD_Result queued = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return queued;
  }

  // Constant after Listen().
  Root& root_;
  Router router_;
  const HttpOptions options_;
  ClientWatch watch_;  // Synchronizes itself.
  std::string certificate_, key_;
  uint16_t port_ = 0;
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(Root& root, const HttpOptions& options) {
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return Error(ErrorCode::kInvalidArgument, "--tls-cert and --tls-key go together");
  }
  STAGEFS_RETURN_IF_ERROR(MakeFolders(root.folder()));
  std::unique_ptr<Tokens> tokens;
  if (options.authenticate) {
    STAGEFS_ASSIGN_OR_RETURN(Tokens opened, Tokens::Open(root.folder()));
    tokens = std::make_unique<Tokens>(std::move(opened));
  }
  RouterOptions router;
  router.authenticate = options.authenticate;
  router.loopback = options.address.starts_with("127.") || options.address == "::1";
  router.body_bytes_max = options.body_bytes_max;
  auto server = std::make_unique<MicrohttpdServer>(root, std::move(tokens), router, options);
  STAGEFS_RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace stagefs
