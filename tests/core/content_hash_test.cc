#include "stagefs/content_hash.h"

#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {

// Vectors captured from Oxen's client; printed without leading zeros.
TEST_CASE("ContentHash: XXH3 is printed as Oxen prints it", "[core][content_hash]") {
  CHECK(ToHex(HashOf("").xxh3) == "99aa06d3014798d86001c324468d497f");
  CHECK(ToHex(HashOf("a").xxh3) == "a96faf705af16834e6c632b61e964e1f");
  CHECK(ToHex(HashOf("hello").xxh3) == "b5e9c1ad071b3e7fc779cfaa5e523818");
  CHECK(ToHex(HashOf("hello oxen\n").xxh3) == "372241c8c620874ddaeaf4fa0bb243b");
}

TEST_CASE("ContentHash: SHA-256 of nothing is the well-known one", "[core][content_hash]") {
  CHECK(ToHex(HashOf("").sha256) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(EmptyContent() == HashOf(""));
}

TEST_CASE("ContentHash: a hasher can go on after Finish", "[core][content_hash]") {
  ContentHasher hasher;
  hasher.Update("hel", 3);
  CHECK(hasher.Finish() == HashOf("hel"));
  hasher.Update("lo", 2);
  CHECK(hasher.Finish() == HashOf("hello"));
}

TEST_CASE("HashRef: every spelling of a hash is the same hash", "[core][content_hash]") {
  const ContentId id = HashOf("hello oxen\n");
  for (const char* text : {"372241c8c620874ddaeaf4fa0bb243b", "0372241c8c620874ddaeaf4fa0bb243b",
                           "0372241C8C620874DDAEAF4FA0BB243B", "xxh3:372241c8c620874ddaeaf4fa0bb243b"}) {
    INFO(text);
    const HashRef ref = Value(HashRef::Parse(text));
    REQUIRE(ref.xxh3());
    CHECK(*ref.xxh3() == id.xxh3);
  }
  const HashRef sha = Value(HashRef::Parse("sha256:" + ToHex(id.sha256)));
  REQUIRE(sha.sha256());
  CHECK(*sha.sha256() == id.sha256);
}

TEST_CASE("HashRef: what is no hash is refused by name", "[core][content_hash]") {
  for (const char* text : {"", "xyz", "sha256:", "sha256:00", "xxh3:", "12 34",
                           "372241c8c620874ddaeaf4fa0bb243b00", "md5:d41d8cd98f00b204e9800998ecf8427e"}) {
    INFO(text);
    const auto ref = HashRef::Parse(text);
    REQUIRE_FALSE(ref);
    CHECK(ref.error().code() == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("HashRef: a link target is a hash only when no name looks like it", "[core][content_hash]") {
  CHECK(HashRef::ParseFull("372241c8c620874ddaeaf4fa0bb243b"));
  CHECK(HashRef::ParseFull("xxh3:1"));
  CHECK_FALSE(HashRef::ParseFull("cafe"));
  CHECK_FALSE(HashRef::ParseFull("deadbeefdeadbeef"));
}

}  // namespace stagefs::test
