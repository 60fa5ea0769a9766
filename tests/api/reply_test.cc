#include "api/wire/reply.h"

#include "tests/catch.h"
#include "tests/scene.h"
#include "stagefs/posix_env.h"

namespace stagefs::test {

TEST_CASE("ErrorReply: what the client did is told, what the machine did is not", "[http][reply]") {
  const HttpResponse refused = ErrorReply(Error(ErrorCode::kInvalidArgument, "the reason"));
  CHECK(refused.status == 400);
  CHECK(refused.body.find("the reason") != std::string::npos);
  // Missing files, and whatever else the system says, are the server's trouble.
  for (const char* path : {"/nowhere/at/all", "/proc/self/mem/x"}) {
    const auto opened = OpenFd(path, 0);
    REQUIRE_FALSE(opened);
    const HttpResponse trouble = ErrorReply(opened.error().In("context"));
    CHECK(trouble.status == 500);
    CHECK(trouble.body.find(path) == std::string::npos);
    CHECK(trouble.body.find("see the server's log") != std::string::npos);
  }
  CHECK(ErrorReply(Error(ErrorCode::kNoSpace, "/x")).status == 507);
  CHECK(ErrorReply(Error(ErrorCode::kBusy, "/x")).headers.contains("retry-after"));
}

}  // namespace stagefs::test
