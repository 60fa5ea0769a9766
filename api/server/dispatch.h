// From a request to its answer, without a transport: what comes before every route (Host, token, size,
// version of the client), its handler, and what an error is answered with.
#pragma once

#include <memory>

#include "token.h"
#include "stagefs/repositories.h"
#include "wire/refusal.h"

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

  // What can be said before the body arrives. `content_length`: -1 if the client did not say.
  OrRefusal<> CheckHead(const HttpRequest& request, int64_t content_length) const;
  HttpResponse Handle(const HttpRequest& request) const;

  static Refusal TooLarge(uint64_t limit);

 private:
  OrRefusal<HttpResponse> Dispatch(const HttpRequest& request) const;

  Root& root_;
  const std::unique_ptr<Tokens> tokens_;
  const RouterOptions options_;
};

}  // namespace stagefs
