#include "api/server/request_head.h"

#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

const Headers kLocal = {{"Host", "localhost"}};

// The status of its refusal; 0 where there is none.
unsigned StatusOf(const RequestHead& head) {
  const auto read = ReadHead(head);
  return read ? 0 : read.error().ToResponse().status;
}

unsigned StatusWith(const Headers& more, const std::string& version = "HTTP/1.1") {
  RequestHead head{"POST", "/", version, kLocal};
  head.headers.insert(head.headers.end(), more.begin(), more.end());
  return StatusOf(head);
}

}  // namespace

TEST_CASE("Request head: two lengths, or a length and a coding, are refused", "[http][request_head]") {
  CHECK(StatusWith({{"Content-Length", "5"}}) == 0);
  CHECK(StatusWith({{"Transfer-Encoding", "Chunked "}}) == 0);
  CHECK(StatusWith({{"Content-Length", "5"}, {"content-length", "6"}}) == 400);
  CHECK(StatusWith({{"Content-Length", "5"}, {"content-length", "5"}}) == 400);
  CHECK(StatusWith({{"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}}) == 400);
  CHECK(StatusWith({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}) == 400);
  CHECK(StatusWith({{"Transfer-Encoding", "chunked"}}, "HTTP/1.0") == 400);
  for (const char* bad : {"", "+5", "-5", "0x5", "5, 5", "5 5"}) {
    INFO(bad);
    CHECK(StatusWith({{"Content-Length", bad}}) == 400);
  }
  for (const char* unknown : {"gzip", "gzip, chunked", "chunked, gzip", "identity", "xchunked", "\"chunked\"", ""}) {
    INFO(unknown);
    CHECK(StatusWith({{"Transfer-Encoding", unknown}}) == 501);
  }
}

TEST_CASE("Request head: names are tokens, values have no control characters", "[http][request_head]") {
  for (const char* bad : {"Content-Length ", "Transfer-Encoding\t", "", "a b", "a(b", "\xc3\xa4", "a\rb"}) {
    INFO(bad);
    CHECK(StatusWith({{bad, "5"}}) == 400);
  }
  CHECK(StatusWith({{"X", "a\rTransfer-Encoding: chunked"}}) == 400);
  CHECK(StatusWith({{"X", "a\x7f"}}) == 400);
  CHECK(StatusWith({{"X", "a\tb \xc3\xa4"}, {"!#$%&'*+-.^_`|~09azAZ", ""}}) == 0);
}

TEST_CASE("Request head: one Host, one Authorization; others that come twice are a list", "[http][request_head]") {
  for (const char* single : {"host", "Authorization", "Content-Type", "Content-Encoding"}) {
    CHECK(StatusWith({{single, "localhost"}, {single, "localhost"}}) == 400);
  }
  CHECK(StatusOf({"GET", "/", "HTTP/1.1", {}}) == 400);
  CHECK(StatusOf({"GET", "/", "HTTP/1.0", {}}) == 0);
  for (const char* bad : {"a b", "user@localhost", "localhost/", "a\"b", "h\xc3\xa4"}) {
    CHECK(StatusOf({"GET", "/", "HTTP/1.1", {{"Host", bad}}}) == 400);
  }
  const Headers tags = {{"Host", "h"}, {"If-None-Match", "\"a\""}, {"if-none-match", "\"b\""}};
  const auto twice = ReadHead({"GET", "/", "HTTP/1.1", tags});
  REQUIRE(twice);
  CHECK(twice->Header("if-none-match") == "\"a\", \"b\"");
}

TEST_CASE("Request head: the target is a path, a URL of http, or * for OPTIONS", "[http][request_head]") {
  struct Case {
    std::string sent, target, host;
  };
  for (const Case& one : {Case{"/a?b", "/a?b", "localhost"}, Case{"http://other:80/a?b=/", "/a?b=/", "other:80"},
                          Case{"HTTPS://[::1]", "/", "[::1]"}, Case{"http://other?b", "/?b", "other"},
                          Case{"//a/b", "//a/b", "localhost"}}) {
    INFO(one.sent);
    const auto read = ReadHead({"GET", one.sent, "HTTP/1.1", kLocal});
    REQUIRE(read);
    CHECK(read->raw_target == one.target);
    CHECK(read->Header("host") == one.host);
  }
  for (const char* bad :
       {"", "a", "*", "http://", "http:///a", "http://user@h/", "ftp://h/", "localhost:80", "/a b", "/a\x01"}) {
    INFO(bad);
    CHECK(StatusOf({"GET", bad, "HTTP/1.1", kLocal}) == 400);
  }
  CHECK(StatusOf({"OPTIONS", "*", "HTTP/1.1", kLocal}) == 0);
  CHECK(StatusOf({"G(T", "/", "HTTP/1.1", kLocal}) == 400);
}

}  // namespace stagefs::test
