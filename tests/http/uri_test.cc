#include "../../api/uri.h"

#include "../../api/token.h"
#include "../scene.h"

namespace stagefs::test {

TEST_CASE("Uri: segments are decoded one by one", "[api][uri]") {
  const auto target = ParseTarget("/a%2Fb/c+d/%25/?x=1&y=%26&x=2&z");
  REQUIRE(target);
  CHECK(target->segments == std::vector<std::string>{"a/b", "c+d", "%", ""});
  CHECK(target->query == std::map<std::string, std::string>{{"x", "1"}, {"y", "&"}, {"z", ""}});
  CHECK(ParseTarget("/")->segments == std::vector<std::string>{""});
  CHECK(DecodePercent("%00")->size() == 1);
}

TEST_CASE("Uri: broken escapes and relative targets are none", "[api][uri]") {
  for (const char* bad : {"/%", "/%2", "/%zz", "/a?x=%g0", "relative", "", "*"}) {
    INFO(bad);
    CHECK_FALSE(ParseTarget(bad));
  }
}

TEST_CASE("Tokens: only one's own, whole and not expired, are good", "[api][token]") {
  TempFolder root, other;
  const Tokens tokens = Value(Tokens::Open(root.path()));
  const std::string token = Value(tokens.Create({"Ann", "ann@example.org"}, 60));
  const auto user = tokens.Check(token);
  REQUIRE(user);
  CHECK(user->name == "Ann");
  CHECK(user->email == "ann@example.org");
  CHECK(Value(Tokens::Open(root.path())).Check(token));
  CHECK(tokens.Check(Value(tokens.Create({"Bob", "b"}, 0))));
  CHECK_FALSE(Value(Tokens::Open(other.path())).Check(token));
  CHECK_FALSE(tokens.Check(""));
  CHECK_FALSE(tokens.Check(token + "x"));
  CHECK_FALSE(tokens.Check(std::string(100'000, 'x')));
  for (size_t i = 0; i < token.size(); i += 7) {
    std::string altered = token;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    INFO(i);
    CHECK_FALSE(tokens.Check(altered));
  }
}

TEST_CASE("Tokens: durations", "[api][token]") {
  CHECK(Value(ParseDuration("30d")) == 30 * 86'400);
  CHECK(Value(ParseDuration("12h")) == 12 * 3'600);
  CHECK(Value(ParseDuration("15m")) == 900);
  for (const char* bad : {"", "d", "0d", "-1d", "5", "5w", "5dd", "99999999d"}) {
    INFO(bad);
    CHECK_FALSE(ParseDuration(bad));
  }
}

}  // namespace stagefs::test
