#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "api/server/http_server.h"
#include "tests/catch.h"
#include "tests/scene.h"
#include "stagefs/posix_env.h"
#include "stagefs/repositories.h"

namespace stagefs::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr auto kWindow = milliseconds(200);
constexpr auto kLongest = std::chrono::seconds(60);

class SlowClient {
 public:
  explicit SlowClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }

  // False once the server has closed the connection.
  bool Send(const std::string& text) {
    if (send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return false;
    char byte = 0;
    return recv(fd_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 0;
  }

  std::string Answer() {
    char line[16] = {};
    const ssize_t got = recv(fd_.get(), line, 12, MSG_WAITALL);
    return std::string(line, got > 0 ? static_cast<size_t>(got) : 0);
  }

 private:
  UniqueFd fd_;
};

std::unique_ptr<HttpServer> Serve(Root& root, uint64_t bytes_per_second_min) {
  HttpOptions options;
  options.authenticate = false;
  options.slow_window = kWindow;
  options.bytes_per_second_min = bytes_per_second_min;
  return Value(HttpServer::Start(root, options));
}

}  // namespace

TEST_CASE("HTTP: a client that sends a byte now and then is cut", "[http][client_watch]") {
  Scene scene;
  Root root(scene.root());
  const auto server = Serve(root, 1'000'000);
  const std::string head = "GET /api/health HTTP/1.1\r\nx: ";
  const std::string body = "POST /api/repos HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n";
  for (const std::string& begun : {head, body}) {
    SlowClient client(server->port());
    REQUIRE(client.Send(begun));
    const auto start = Clock::now();
    while (client.Send("x") && Clock::now() - start < kLongest) std::this_thread::sleep_for(milliseconds(20));
    CHECK(Clock::now() - start >= kWindow / 2);
    CHECK(Clock::now() - start < kLongest);
  }
}

TEST_CASE("HTTP: a client that is fast enough, or completes its requests, is not cut", "[http][client_watch]") {
  Scene scene;
  Root root(scene.root());
  {
    const auto server = Serve(root, 1);
    SlowClient client(server->port());
    for (const char byte : std::string("GET /api/health HTTP/1.1\r\nhost: localhost\r\n\r\n")) {
      REQUIRE(client.Send(std::string(1, byte)));
      std::this_thread::sleep_for(milliseconds(20));  // Three windows in all.
    }
    CHECK(client.Answer() == "HTTP/1.1 200");
  }
  const auto server = Serve(root, 1'000'000);
  SlowClient client(server->port());
  const auto start = Clock::now();
  while (Clock::now() - start < 5 * kWindow) {
    REQUIRE(client.Send("GET /api/health HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    std::this_thread::sleep_for(kWindow / 10);
  }
  CHECK(client.Answer() == "HTTP/1.1 200");
}

}  // namespace stagefs::test
