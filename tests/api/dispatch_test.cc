#include "api/server/dispatch.h"

#include "api/server/routes.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

// A router over a root with the repository t/r and its workspace w, asked without a socket.
class Door {
 public:
  explicit Door(RouterOptions options = {false, false, 1000}, std::unique_ptr<Tokens> tokens = nullptr)
      : root_(scene_.root()), router_(root_, std::move(tokens), options) {
    scene_.Close();
  }

  const std::string& folder() const { return root_.folder(); }
  void Send(const std::string& name, const std::string& value) { headers_[name] = value; }

  HttpResponse Ask(const std::string& method, const std::string& target, const std::string& text = "") {
    const auto body = NewStringSource(text);
    HttpRequest request{method, target, headers_, body.get(), text.size()};
    return router_.Handle(request);
  }

  // The status of what is said before the body arrives; 0 where nothing is.
  unsigned Head(int64_t content_length = -1) {
    const HttpRequest request{"GET", "/api/health", headers_, nullptr, 0};
    const auto checked = router_.CheckHead(request, content_length);
    return checked ? 0 : checked.error().ToResponse().status;
  }

 private:
  Scene scene_;
  Root root_;
  Router router_;
  std::map<std::string, std::string> headers_;
};

bool Says(const HttpResponse& response, const std::string& text) {
  INFO(response.body);
  return response.body.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("Dispatch: a path without a route, and one with other methods", "[http][dispatch]") {
  Door door;
  CHECK(door.Ask("GET", "/api/health").status == 200);
  for (const char* target :
       {"/", "/api", "/api/healthy", "/api/health/", "/api/repos/t/r/nothing", "//api/health"}) {
    INFO(target);
    const HttpResponse none = door.Ask("GET", target);
    CHECK(none.status == 404);
    CHECK(Says(none, "\"status_message\":\"resource_not_found\""));
  }
  const HttpResponse other = door.Ask("PATCH", "/api/repos/t/r/branches/main");
  CHECK(other.status == 405);
  CHECK(other.headers.at("allow") == "DELETE, GET, PUT, HEAD");
  CHECK(door.Ask("GET", "/api/repos").headers.at("allow") == "POST");
  CHECK(door.Ask("GET", "/api/%zz").status == 400);
}

TEST_CASE("Dispatch: HEAD is answered as GET", "[http][dispatch]") {
  Door door;
  CHECK(door.Ask("HEAD", "/api/version").body == door.Ask("GET", "/api/version").body);
  CHECK(door.Ask("HEAD", "/api/repos").status == 405);
}

TEST_CASE("Dispatch: what the path names is looked up", "[http][dispatch]") {
  Door door;
  CHECK(door.Ask("GET", "/api/repos/t/r/branches").status == 200);
  CHECK(door.Ask("GET", "/api/repos/t/r/workspaces/w").status == 200);
  for (const char* name : {"t/none", "t/.hidden", "..%2F../etc"}) {
    const HttpResponse none = door.Ask("GET", std::string("/api/repos/") + name + "/branches");
    CHECK(none.status == 404);
    CHECK(Says(none, "not found\""));
  }
  CHECK(Says(door.Ask("GET", "/api/repos/t/r/workspaces/none"), "Workspace not found: none"));
}

TEST_CASE("Dispatch: a batch is checked before its workspace is looked up", "[http][dispatch]") {
  Door door;
  const std::string batch = "/api/repos/t/none/workspaces/w/versions/d";
  CHECK(Says(door.Ask("POST", batch), "Content type error"));
  door.Send("content-type", "application/json");
  CHECK(Says(door.Ask("POST", batch + "?atomic=yes"), "Query deserialize error"));
  CHECK(door.Ask("POST", batch + "?atomic=true").status == 404);
}

TEST_CASE("Dispatch: an old client of Oxen's is told so", "[http][dispatch]") {
  Door door;
  for (const char* old : {"Oxen/0.35.9", "Oxen/", "Oxen/1"}) {
    door.Send("user-agent", old);
    CHECK(door.Ask("GET", "/api/version").status == 426);
  }
  for (const char* good : {"Oxen/0.36.0", "Oxen/1.0.0", "curl/7", ""}) {
    door.Send("user-agent", good);
    CHECK(door.Ask("GET", "/api/version").status == 200);
  }
}

TEST_CASE("Dispatch: Host, token and size are looked at before the body", "[http][dispatch]") {
  TempFolder folder;
  auto tokens = std::make_unique<Tokens>(Value(Tokens::Open(folder.path())));
  const std::string token = Value(tokens->Create({"ann", "ann"}, 60));
  Door door({true, true, 1000}, std::move(tokens));
  for (const char* host : {"", "example.org", "localhost.example.org", "127.example.org", "127.0.0.1.example.org:80",
                           "127.1", "127.0.0.1:80@example.org", "128.0.0.1", "[::2]:80", "[::1", "localhost.."}) {
    door.Send("host", host);
    CHECK(door.Head() == 421);
  }
  for (const char* host : {"localhost", "LocalHost.:80", "127.0.0.1:80", "127.9.8.7", "[::1]:80", "[0:0::1]"}) {
    door.Send("host", host);
    CHECK(door.Head() == 401);
  }
  for (const std::string& bad : {std::string("bearer"), "basic " + token, "Bearer " + token + "x", token}) {
    door.Send("authorization", bad);
    CHECK(door.Head() == 401);
  }
  door.Send("authorization", "bEARER " + token);
  CHECK(door.Head() == 0);
  CHECK(door.Head(1000) == 0);
  CHECK(door.Head(1001) == 413);
}

TEST_CASE("Routes: names, rests, and which of two comes first", "[http][dispatch]") {
  const std::vector<std::string> batch = {"api", "repos", "t",     "r", "workspaces",
                                          "w",   "files", "batch", "a", "b"};
  const RouteSearch staged = FindRoute("POST", batch);
  REQUIRE(staged.match);
  CHECK(staged.match->route->handle == &StageBatch);
  CHECK(staged.match->route->check == &CheckBatch);
  CHECK(staged.match->names == Lines{"t", "r", "w"});
  CHECK(staged.match->rest == "a/b");
  CHECK(FindRoute("GET", batch).match->route->handle == &GetWorkspaceFile);
  // A rest may be empty, a name may not.
  CHECK(FindRoute("GET", {"api", "repos", "t", "r", "dir", ""}).match->rest.empty());
  CHECK_FALSE(FindRoute("GET", {"api", "repos", "", "r", "branches"}).match);
  CHECK(FindRoute("LOCK", {"api", "repos", "t", "r", "fork"}).match->route->handle == &NotServed);
}

}  // namespace stagefs::test
