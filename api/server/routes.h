// Which route a request is for, and what comes before every route: Host, token, size, version of the client.
#pragma once

#include <memory>

#include "http_message.h"
#include "stagefs/repository.h"
#include "stagefs/repositories.h"
#include "token.h"

namespace stagefs {

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
  Root& root_;
  const std::unique_ptr<Tokens> tokens_;
  const RouterOptions options_;
};

}  // namespace stagefs
