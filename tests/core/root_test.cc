// The repositories of a root that are open.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <future>

#include "stagefs/posix_env.h"
#include "stagefs/repositories.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

// A database that takes connections and says nothing.
class SilentDatabase {
 public:
  SilentDatabase() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(fd_.get(), 8) == 0);
    REQUIRE(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    url_ = "postgresql://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) +
           "/none?sslmode=disable&gssencmode=disable";
  }
  const std::string& url() const { return url_; }
  // Until somebody asks.
  UniqueFd Accept() { return UniqueFd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  UniqueFd fd_;
  std::string url_;
};

}  // namespace

TEST_CASE("Root: a database that is silent stops no other repository", "[core][root]") {
  TempFolder folder;
  const std::string silent = folder / "t/silent";
  Ok(MakeFolders(silent));
  SilentDatabase database;
  Ok(RepositoryPlaces{database.url(), ""}.Write(silent));
  Ok(CreateRepository(folder.path(), {"t", "r"}));
  Root root(folder.path());
  std::vector<std::future<ErrorCode>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(std::async(std::launch::async, [&] { return root.Open({"t", "silent"}).error().code(); }));
  }
  UniqueFd asked = database.Accept();
  auto other = std::async(std::launch::async, [&] { return root.Open({"t", "r"}).has_value(); });
  CHECK(other.wait_for(std::chrono::seconds(5)) == std::future_status::ready);
  CHECK(root.Opened().size() == 1);
  Ok(root.Delete({"t", "r"}));
  asked.Reset();  // One opened it for all that waited: they need not ask again.
  for (auto& one : waiting) CHECK(one.get() == ErrorCode::kIo);
}

TEST_CASE("Root: those who want the same repository at once get one", "[core][root]") {
  TempFolder folder;
  Ok(CreateRepository(folder.path(), {"t", "r"}));
  Root root(folder.path());
  std::vector<std::future<std::shared_ptr<Repository>>> opening;
  for (int i = 0; i < 8; ++i) {
    opening.push_back(std::async(std::launch::async, [&] { return Value(root.Open({"t", "r"})); }));
  }
  std::set<std::shared_ptr<Repository>> all;
  for (auto& one : opening) all.insert(one.get());
  CHECK(all.size() == 1);
}

}  // namespace stagefs::test
