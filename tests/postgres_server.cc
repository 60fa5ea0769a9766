#include "postgres_server.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <thread>

#include "catch.h"
#include "scene.h"

namespace stagefs::test {
namespace {

class PostgresServer {
 public:
  PostgresServer() {
    std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));  // The server is another user.
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      execl("tests/cluster/postgres.sh", "postgres.sh", (folder_ / "pg").c_str(), nullptr);
      _exit(127);
    }
    url_ = "postgresql:///postgres?host=" + (folder_ / "pg") + "&user=stagefs";
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!std::filesystem::exists(folder_ / "pg/data/postmaster.pid") || !Answers()) {
      if (std::chrono::steady_clock::now() > deadline) FAIL("PostgreSQL does not start");
      REQUIRE(waitpid(pid_, nullptr, WNOHANG) == 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  ~PostgresServer() {
    kill(pid_, SIGINT);
    waitpid(pid_, nullptr, 0);
  }
  const std::string& url() const { return url_; }

 private:
  bool Answers() const { return std::system(("pg_isready -q -h " + (folder_ / "pg")).c_str()) == 0; }

  TempFolder folder_;
  pid_t pid_ = -1;
  std::string url_;
};

}  // namespace

const std::string& PostgresUrl() {
  static const PostgresServer server;
  return server.url();
}

}  // namespace stagefs::test
