#include "tests/servers.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

// A script below tests/cluster, run until the end of the test program. `ready` is a shell command.
class TestServer {
 public:
  TestServer(const std::string& script, const std::string& argument, const std::string& ready, int stop_signal)
      : stop_signal_(stop_signal) {
    std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));  // PostgreSQL becomes another user.
    const std::string path = "tests/cluster/" + script, data = folder_ / "data";
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      execl(path.c_str(), path.c_str(), data.c_str(), argument.empty() ? nullptr : argument.c_str(), nullptr);
      _exit(127);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(420);  // PyPI may have to be asked.
    while (std::system(("cd " + folder_.path() + " && " + ready + " > ready.log 2>&1").c_str()) != 0) {
      INFO(path << " does not start: see what it wrote beside " << data);
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      REQUIRE(waitpid(pid_, nullptr, WNOHANG) == 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  ~TestServer() {
    kill(pid_, stop_signal_);
    waitpid(pid_, nullptr, 0);
  }
  std::string data() const { return folder_ / "data"; }

 private:
  TempFolder folder_;
  pid_t pid_ = -1;
  const int stop_signal_;
};

// A port that nobody uses, below those that the kernel gives to clients: nobody else takes it before the server does.
std::string FreePort() {
  for (int attempt = 0;; ++attempt) {
    const int port = 10000 + (getpid() * 7 + attempt) % 20000;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool is_free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (is_free) return std::to_string(port);
  }
}

}  // namespace

const std::string& PostgresUrl() {
  static const TestServer server("postgres.sh", "", "test -e data/data/postmaster.pid && pg_isready -q -h $PWD/data",
                                 SIGINT);
  static const std::string url = "postgresql:///postgres?host=" + server.data() + "&user=stagefs";
  return url;
}

std::string NewDatabaseUrl() {
  static int count = 0;
  const std::string& url = PostgresUrl();
  const std::string name = "scene" + std::to_string(++count);
  REQUIRE(std::system(("psql -qX '" + url + "' -c 'CREATE DATABASE " + name + '\'').c_str()) == 0);
  std::string other = url;
  return other.replace(other.find("/postgres?"), 10, '/' + name + '?');
}

std::string S3Url(const std::string& prefix) {
  static const std::string endpoint = "http://127.0.0.1:" + FreePort();
  static const TestServer server("s3.sh", endpoint.substr(endpoint.rfind(':') + 1),
                                 "curl -s -o /dev/null -X PUT " + endpoint + "/bucket", SIGTERM);
  setenv("AWS_ACCESS_KEY_ID", "test", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
  return "s3://bucket/" + prefix + "?endpoint=" + endpoint;
}

}  // namespace stagefs::test
