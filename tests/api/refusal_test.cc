#include "api/wire/refusal.h"

#include "tests/catch.h"
#include "tests/scene.h"
#include "stagefs/posix_env.h"

namespace stagefs::test {
namespace {

HttpResponse Answer(const Error& error) { return Refusal(error).ToResponse(); }

}  // namespace

TEST_CASE("Refusal: what the client did is told, what the machine did is not", "[http][refusal]") {
  const HttpResponse refused = Answer(Error(ErrorCode::kInvalidArgument, "the reason"));
  CHECK(refused.status == 400);
  CHECK(refused.body.find("the reason") != std::string::npos);
  // Missing files, and whatever else the system says, are the server's trouble.
  for (const char* path : {"/nowhere/at/all", "/proc/self/mem/x"}) {
    const auto opened = OpenFd(path, 0);
    REQUIRE_FALSE(opened);
    const HttpResponse trouble = Answer(opened.error().In("context"));
    CHECK(trouble.status == 500);
    CHECK(trouble.body.find(path) == std::string::npos);
    CHECK(trouble.body.find("see the server's log") != std::string::npos);
  }
  CHECK(Answer(Error(ErrorCode::kNoSpace, "/x")).status == 507);
  CHECK(Answer(Error(ErrorCode::kBusy, "/x")).headers.contains("retry-after"));
}

TEST_CASE("Refusal: every code has its status and its shape", "[http][refusal]") {
  const std::vector<std::pair<ErrorCode, unsigned>> statuses = {{ErrorCode::kInvalidArgument, 400},
                                                                {ErrorCode::kNotFound, 404},
                                                                {ErrorCode::kExists, 409},
                                                                {ErrorCode::kNotDirectory, 400},
                                                                {ErrorCode::kIsDirectory, 400},
                                                                {ErrorCode::kNotEmpty, 409},
                                                                {ErrorCode::kNameTooLong, 400},
                                                                {ErrorCode::kTooLarge, 413},
                                                                {ErrorCode::kConflict, 409},
                                                                {ErrorCode::kPermission, 403},
                                                                {ErrorCode::kReadOnly, 500},
                                                                {ErrorCode::kNoSpace, 507},
                                                                {ErrorCode::kBusy, 503},
                                                                {ErrorCode::kStale, 404},
                                                                {ErrorCode::kUnsupported, 501},
                                                                {ErrorCode::kCrossDevice, 400},
                                                                {ErrorCode::kCorrupt, 500},
                                                                {ErrorCode::kIo, 500}};
  CHECK(statuses.size() == static_cast<size_t>(ErrorCode::kIo) + 1);
  for (const auto& [code, status] : statuses) {
    INFO(static_cast<int>(code));
    const HttpResponse answer = Answer(Error(code, "the reason"));
    CHECK(answer.status == status);
    CHECK((answer.body.find("the reason") != std::string::npos) == (status < 500));
    CHECK((answer.body.find("\"status_description\"") != std::string::npos) == (status == 404));
    CHECK((answer.body.find("\"detail\"") != std::string::npos) == (status != 404));
    CHECK(IsTrouble(Error(code, "")) == (status >= 500));
    CHECK(Answer(Error::OfSystem(code, "the reason")).status == std::max(500u, status));
  }
}

TEST_CASE("OrRefusal: some errors are answered otherwise, trouble never", "[http][refusal]") {
  const auto status = [](const OrRefusal<int>& value) {
    return value ? 200 : value.error().ToResponse().status;
  };
  const auto one = [&](Result<int> result) {
    return status(
        Try(std::move(result))
            .On({ErrorCode::kNotFound, ErrorCode::kExists}, [] { return BadRequest("none"); })
            .On({ErrorCode::kConflict}, [](const Error& error) { return BadStatus(422, error.message()); }));
  };
  CHECK(one(1) == 200);
  CHECK(one(Error(ErrorCode::kExists, "")) == 400);
  CHECK(one(Error(ErrorCode::kConflict, "")) == 422);
  CHECK(one(Error(ErrorCode::kTooLarge, "")) == 413);
  CHECK(status(OrBadRequest(Result<int>(Error(ErrorCode::kTooLarge, "")))) == 400);
  CHECK(status(OrBadRequest(Result<int>(Error(ErrorCode::kIo, "")))) == 500);
  CHECK(status(OrBadStatus(Result<int>(Error::OfSystem(ErrorCode::kNotFound, "")))) == 500);
  // What was refused once stays so.
  CHECK(status(OrBadRequest(Result<int>(Error(ErrorCode::kNotFound, ""))).On({ErrorCode::kNotFound}, [] {
          return NoSuchRoute();
        })) == 400);
}

}  // namespace stagefs::test
