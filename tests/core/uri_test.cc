#include "stagefs/uri.h"

#include "tests/scene.h"

namespace stagefs::test {

TEST_CASE("Uri: segments are decoded one by one", "[core][uri]") {
  const auto target = ParseTarget("/a%2Fb/c+d/%25/?x=1&y=%26&x=2&z");
  REQUIRE(target);
  CHECK(target->segments == std::vector<std::string>{"a/b", "c+d", "%", ""});
  CHECK(target->query == std::map<std::string, std::string>{{"x", "1"}, {"y", "&"}, {"z", ""}});
  CHECK(ParseTarget("/")->segments == std::vector<std::string>{""});
  CHECK(DecodePercent("%00")->size() == 1);
}

TEST_CASE("Uri: broken escapes and relative targets are none", "[core][uri]") {
  for (const char* bad : {"/%", "/%2", "/%zz", "/a?x=%g0", "relative", "", "*"}) {
    INFO(bad);
    CHECK_FALSE(ParseTarget(bad));
  }
}

}  // namespace stagefs::test
