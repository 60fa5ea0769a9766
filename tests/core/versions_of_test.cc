#include "core/history/versions_of.h"

#include <random>

#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

ContentId ContentOf(VersionId id) {
  ContentId content;
  for (size_t i = 0; i < sizeof(id); ++i) content.sha256[i] = content.xxh3[i] = static_cast<uint8_t>(id >> (8 * i));
  return content;
}

// Versions 1 to `last` but every tenth; counts what it is asked.
class CountedVersions : public VersionQuestions {
 public:
  explicit CountedVersions(VersionId last) : last_(last) {}

  Result<std::optional<VersionInfo>> GetVersion(VersionId id) override {
    ++look_ups;
    return IsThere(id) ? std::optional(InfoOf(id)) : std::nullopt;
  }
  Result<std::vector<VersionInfo>> ListVersionsFrom(VersionId first, size_t limit) override {
    ++listings;
    std::vector<VersionInfo> versions;
    for (VersionId id = first; id <= last_ && versions.size() < limit; ++id) {
      if (IsThere(id)) versions.push_back(InfoOf(id));
    }
    return versions;
  }
  Result<std::optional<VersionInfo>> FindVersion(const HashRef&) override { return No(); }
  Result<std::vector<VersionInfo>> ListVersions(const std::optional<Sha256>&, size_t) override { return No(); }
  Result<std::vector<std::pair<Sha256, VersionId>>> ListVersionIds(const std::optional<Sha256>&, size_t) override {
    return No();
  }
  Result<std::vector<VersionInfo>> ListUnsynced(size_t) override { return No(); }
  Result<std::vector<VersionInfo>> ListUnused(int64_t, size_t) override { return No(); }
  Result<bool> IsCommitted(VersionId) override { return No(); }
  Result<int64_t> CountDangling() override { return No(); }
  Result<int64_t> NewestNs() override { return No(); }

  int64_t look_ups = 0, listings = 0;

 private:
  static Error No() { return Error(ErrorCode::kUnsupported, "not asked"); }
  bool IsThere(VersionId id) const { return id > 0 && id <= last_ && id % 10 != 0; }
  static VersionInfo InfoOf(VersionId id) {
    VersionInfo info;
    info.id = id;
    info.content = ContentOf(id);
    return info;
  }
  const VersionId last_;
};

// Files of a tree that names `last` versions in any order, 4,096 at a time, each as it should be.
void GoThrough(CountedVersions& versions, ContentIds& contents, VersionId last, int64_t files) {
  std::mt19937 random(1);
  while (files > 0) {
    std::vector<VersionId> ids;
    for (; files > 0 && ids.size() < 4096; --files) {
      ids.push_back(static_cast<VersionId>(random() % static_cast<uint64_t>(last / 10)) * 10 + 1 + random() % 9);
    }
    const auto found = Value(contents.Of(versions, ids));
    REQUIRE(found.size() == ids.size());
    for (size_t i = 0; i < ids.size(); ++i) REQUIRE(found[i] == ContentOf(ids[i]));
  }
}

}  // namespace

TEST_CASE("ContentIds: a tree that names most versions reads blocks of them, each once", "[core][versions_of]") {
  constexpr VersionId kLast = 100'000;
  CountedVersions versions(kLast);
  ContentIds contents;
  GoThrough(versions, contents, kLast, 100'000);
  CHECK(versions.listings == kLast / ContentIds::kBlock + 1);
  CHECK(versions.look_ups < versions.listings * ContentIds::kLookUpsMax);
}

TEST_CASE("ContentIds: one that names few of many looks those up", "[core][versions_of]") {
  constexpr VersionId kLast = 100'000'000;
  CountedVersions versions(kLast);
  ContentIds contents;
  GoThrough(versions, contents, kLast, 20'000);
  CHECK(versions.listings == 0);
  CHECK(versions.look_ups <= 20'000);
  CHECK(versions.look_ups > 19'000);
}

TEST_CASE("ContentIds: of more blocks than are kept the newest are, and all are right", "[core][versions_of]") {
  constexpr VersionId kLast = 1'500 * ContentIds::kBlock;
  CountedVersions versions(kLast);
  ContentIds contents;
  GoThrough(versions, contents, kLast, 300'000);
  CHECK(versions.listings > 1'500);
  CHECK(versions.listings < 300'000 / ContentIds::kLookUpsMax);
}

TEST_CASE("ContentIds: names twice, in any order; one that is gone is told", "[core][versions_of]") {
  CountedVersions versions(5'000);
  ContentIds contents;
  CHECK(Value(contents.Of(versions, {})).empty());
  CHECK(Value(contents.Of(versions, {7, 3, 7, 4'999})) ==
        std::vector{ContentOf(7), ContentOf(3), ContentOf(7), ContentOf(4'999)});
  CHECK(versions.look_ups == 3);
  CHECK(contents.Of(versions, {7, 20}).error().code() == ErrorCode::kCorrupt);
  std::vector<VersionId> many;
  for (VersionId id = 1; id < 900; ++id) {
    if (id % 10 != 0) many.push_back(id);
  }
  CHECK(Value(contents.Of(versions, many)).back() == ContentOf(899));
  CHECK(versions.listings == 1);
  CHECK(contents.Of(versions, {7, 20}).error().code() == ErrorCode::kCorrupt);
}

}  // namespace stagefs::test
