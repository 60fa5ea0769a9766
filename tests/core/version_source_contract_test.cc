// What every VersionSource promises: every store is one, too.
#include <fcntl.h>

#include "core/versions/cached_version_source.h"
#include "core/versions/s3/s3_version_source.h"
#include "tests/core/version_store_scene.h"

namespace stagefs::test {
namespace {

enum class SourceKind { kLocal, kMemory, kS3, kS3Uncached, kCached };
// Each implementation in turn.
#define SOURCES \
  GENERATE(SourceKind::kLocal, SourceKind::kMemory, SourceKind::kS3, SourceKind::kS3Uncached, SourceKind::kCached)

// A store lent to whoever owns its source.
class Lent : public VersionSource {
 public:
  explicit Lent(const VersionSource& source) : source_(source) {}
  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override { return source_.Open(hash); }
  Result<Presence> Locate(const Sha256& hash) const override { return source_.Locate(hash); }

 private:
  const VersionSource& source_;
};

StoreKind StoreBelow(SourceKind kind) {
  switch (kind) {
    case SourceKind::kLocal: return StoreKind::kLocal;
    case SourceKind::kS3:
    case SourceKind::kS3Uncached: return StoreKind::kS3;
    case SourceKind::kMemory:
    case SourceKind::kCached: break;
  }
  return StoreKind::kMemory;
}

// What is put into `store` is what `source` has.
struct SourceScene : StoreScene {
  explicit SourceScene(SourceKind kind) : StoreScene(StoreBelow(kind)) {
    if (kind == SourceKind::kS3Uncached) {
      S3Place place = Value(S3Place::Parse(s3_url));
      place.prefix += "test/store/";
      s3 = std::make_unique<S3Client>(std::move(place));
      wrapped = std::make_unique<S3VersionSource>(*s3, folder.path());
    } else if (kind == SourceKind::kCached) {
      wrapped = std::make_unique<CachedVersionSource>(std::make_unique<Lent>(*store), "the store",
                                                      Value(VersionCache::Open(folder / "cache", 1 << 20)));
    }
  }
  const VersionSource& source() const { return wrapped ? *wrapped : *store; }

  std::unique_ptr<S3Client> s3;
  std::unique_ptr<VersionSource> wrapped;
};

}  // namespace

TEST_CASE("VersionSource: bytes are read from anywhere", "[contract][version_source]") {
  SourceScene scene(SOURCES);
  const auto reader = Value(scene.source().Open(scene.Put("0123456789")));
  CHECK(reader->size_bytes() == 10);
  char bytes[8] = {};
  CHECK(Value(reader->ReadAt(bytes, 4, 3)) == 4);
  CHECK(std::string(bytes) == "3456");
  CHECK(Value(reader->ReadAt(bytes, 8, 7)) == 3);
  CHECK(Value(reader->ReadAt(bytes, 8, 10)) == 0);
  CHECK(Read(scene.source(), scene.Put("")) == "");
}

TEST_CASE("VersionSource: a version is copied whole into a file", "[contract][version_source]") {
  SourceScene scene(SOURCES);
  const std::string text(300'000, 'x'), path = scene.folder / "copy";
  const UniqueFd fd = Value(OpenFd(path, O_RDWR | O_CREAT));
  Ok(scene.source().CopyTo(scene.Put(text), fd.get()));
  CHECK(ReadFile(path) == text);
}

TEST_CASE("VersionSource: a missing version is said to be missing", "[contract][version_source]") {
  SourceScene scene(SOURCES);
  const Sha256 hash = HashOf("nothing").sha256;
  CHECK(Value(scene.source().Locate(hash)) == Presence::kNowhere);
  CHECK(scene.source().Open(hash).error().code() == ErrorCode::kNotFound);
  CHECK(scene.source().Prefetch(hash).error().code() == ErrorCode::kNotFound);
  const UniqueFd fd = Value(OpenFd(scene.folder / "copy", O_RDWR | O_CREAT));
  CHECK(scene.source().CopyTo(hash, fd.get()).error().code() == ErrorCode::kNotFound);
}

TEST_CASE("VersionSource: an open version stays readable after its removal", "[contract][version_source]") {
  SourceScene scene(SOURCES);
  const Sha256 hash = scene.Put("still here");
  const auto reader = Value(scene.source().Open(hash));
  Ok(scene.store->Remove(hash));
  CHECK(TextOf(*reader) == "still here");
}

TEST_CASE("VersionSource: what was prefetched is here", "[contract][version_source]") {
  const SourceKind kind = SOURCES;
  SourceScene scene(kind);
  const Sha256 hash = scene.Put("soon");
  Ok(scene.source().Prefetch(hash));
  // One that keeps no copies says where the bytes are all the same.
  CHECK(Value(scene.source().Locate(hash)) ==
        (kind == SourceKind::kS3Uncached ? Presence::kElsewhere : Presence::kHere));
}

}  // namespace stagefs::test
