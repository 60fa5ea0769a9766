#include "api/server/token.h"

#include "tests/scene.h"

namespace stagefs::test {

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
