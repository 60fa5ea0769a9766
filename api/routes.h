// Requests without a transport: which route, and what it answers. http_server.cc does the talking.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "stagefs/manifest.h"
#include "stagefs/repository.h"
#include "token.h"

namespace stagefs {

struct HttpRequest {
  std::string method;
  std::string raw_target;                      // As sent: path and query, still encoded.
  std::map<std::string, std::string> headers;  // Names in lower case.
  RewindableSource* body = nullptr;
  uint64_t body_bytes = 0;
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::map<std::string, std::string> headers;
  // Instead of `body`: `size_bytes` of an owned descriptor.
  int fd = -1;
  uint64_t size_bytes = 0;
};

struct RouterOptions {
  bool authenticate = true;
  bool loopback = true;  // Then only loopback names are accepted as Host, whatever resolves to us.
  uint64_t body_bytes_max = 0;
};

// Safe for concurrent use. Outlived by the Root.
class Router {
 public:
  Router(Root& root, std::unique_ptr<Tokens> tokens, RouterOptions options)
      : root_(root), tokens_(std::move(tokens)), options_(options) {}

  // What can be said before the body arrives: an answer that refuses it, or nothing.
  // `content_length`: -1 if the client did not say.
  std::unique_ptr<HttpResponse> CheckHead(const HttpRequest& request, int64_t content_length) const;
  HttpResponse Handle(const HttpRequest& request);
  static HttpResponse TooLarge(uint64_t limit);

 private:
  struct Route;
  HttpResponse StageBatch(const HttpRequest& request, const Route& route);
  HttpResponse GetChanges(const Route& route);
  HttpResponse GetFile(const HttpRequest& request, const Route& route);

  Root& root_;
  const std::unique_ptr<Tokens> tokens_;
  const RouterOptions options_;
};

}  // namespace stagefs
