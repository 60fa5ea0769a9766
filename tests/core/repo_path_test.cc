#include "stagefs/repo_path.h"

#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {

TEST_CASE("RepoPath: drops empty and dot components", "[core][repo_path]") {
  for (const auto& [raw, path] : std::map<std::string, std::string>{{"a", "a"},
                                                                    {"a/b", "a/b"},
                                                                    {"./a", "a"},
                                                                    {"a//b/./c/", "a/b/c"},
                                                                    {"a\\b", "a\\b"},
                                                                    {"\xff/x", "\xff/x"}}) {
    INFO(raw);
    CHECK(Value(RepoPath::Parse(raw)).str() == path);
  }
}

TEST_CASE("RepoPath: rejects what leaves the tree or is no path", "[core][repo_path]") {
  for (const std::string raw : {"..", "a/..", "a/../b", "../a", "/a", "/", "", ".", "./", ".stagefs",
                                ".stagefs/x", "./.stagefs/versions"}) {
    INFO(raw);
    const auto path = RepoPath::Parse(raw);
    REQUIRE_FALSE(path);
    CHECK(path.error().code() == ErrorCode::kInvalidArgument);
  }
  CHECK_FALSE(RepoPath::Parse(std::string("a\0b", 3)));
  CHECK(RepoPath::Parse("a/.stagefs"));  // Only the one at the root is the control folder.
}

TEST_CASE("RepoPath: limits hold at their edge", "[core][repo_path]") {
  CHECK(RepoPath::Parse(std::string(kNameBytesMax, 'n')));
  CHECK(RepoPath::Parse(std::string(kNameBytesMax + 1, 'n')).error().code() == ErrorCode::kNameTooLong);
  std::string deep;
  while (deep.size() + 2 <= kPathBytesMax) deep += "a/";
  deep.resize(kPathBytesMax - 1);
  deep += 'a';
  REQUIRE(deep.size() == kPathBytesMax);
  CHECK(RepoPath::Parse(deep));
  CHECK(RepoPath::Parse(deep + "b").error().code() == ErrorCode::kNameTooLong);
  CHECK(Value(RepoPath::Parse("b")).Join(Value(RepoPath::Parse(deep))).error().code() ==
        ErrorCode::kNameTooLong);
}

TEST_CASE("RepoPath: parent, name and join take it apart and together", "[core][repo_path]") {
  const RepoPath path = Value(RepoPath::Parse("a/b/c"));
  CHECK(path.parent().str() == "a/b");
  CHECK(path.name() == "c");
  CHECK(path.parent().parent().parent().is_root());
  CHECK(Value(path.Join(Value(RepoPath::Parse("d/e")))).str() == "a/b/c/d/e");
  CHECK(Value(RepoPath().Join(path)) == path);
}

TEST_CASE("Utf8: bad bytes show as replacement characters", "[core][repo_path]") {
  CHECK(IsValidUtf8("gr\xc3\xbc\xc3\x9f"));
  for (const char* bad : {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
    INFO(ToDisplayUtf8(bad));
    CHECK_FALSE(IsValidUtf8(bad));
    CHECK(ToDisplayUtf8(bad).find("\xef\xbf\xbd") != std::string::npos);
  }
}

}  // namespace stagefs::test
