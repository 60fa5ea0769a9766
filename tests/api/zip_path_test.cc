#include "api/wire/zip_path.h"

#include <map>
#include <random>

#include "tests/catch.h"

namespace stagefs::test {

TEST_CASE("ZipPath: what an unpacker or a terminal would obey is escaped", "[http][zip_path]") {
  const std::map<std::string, std::string> cases = {
      {"", ""},
      {"a/b c.jpg", "a/b c.jpg"},
      {"..\\..\\evil", "..%5C..%5Cevil"},
      {"\\\\server\\share", "%5C%5Cserver%5Cshare"},
      {"C:/x", "C%3A/x"},
      {"c%3A", "c%253A"},
      {"a:b", "a%3Ab"},
      {"ab:c/d:e", "ab:c/d:e"},
      {"new\nline", "new%0Aline"},
      {"\x1b[31m", "%1B[31m"},
      {"\x7f", "%7F"},
      {"\xc2\x9b", "%C2%9B"},
      {"%C2%9B", "%25C2%259B"},
      {"a%5Cb", "a%255Cb"},
      {"a%5cb", "a%255cb"},
      {"100%25", "100%2525"},
      {"100%", "100%"},
      {"a%20b", "a%20b"},
      {"\xc3\xa4", "\xc3\xa4"},
      {"%C3%A4", "%C3%A4"},
      {"\xe4", "%E4"},
      {"%E4", "%25E4"},
      {"\xc3%A4", "%C3%25A4"},
  };
  for (const auto& [path, safe] : cases) {
    INFO(path);
    CHECK(ZipPath(path) == safe);
  }
}

TEST_CASE("ZipPath: two paths never become one", "[http][zip_path]") {
  const unsigned seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::string_view pieces[] = {"%", "2", "5", "C", "c",  "3",    "A",    "4",    "9",
                                     "B", "E", ":", "\\", "\xc3", "\xa4", "\xc2", "\x9b", "\n"};
  std::map<std::string, std::string> seen;
  for (int i = 0; i < 300'000; ++i) {
    std::string path;
    for (unsigned left = 1 + random() % 8; left > 0; --left) path += pieces[random() % std::size(pieces)];
    const auto [at, is_new] = seen.emplace(ZipPath(path), path);
    if (!is_new) REQUIRE(at->second == path);
  }
}

}  // namespace stagefs::test
