// What every VersionStore promises.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "core/durable/durable_change.h"
#include "core/versions/s3/s3_version_store.h"
#include "tests/catch.h"
#include "tests/scene.h"
#include "tests/servers.h"
#include "stagefs/posix_env.h"
#include "stagefs/repository.h"
#include "stagefs/repositories.h"

namespace stagefs::test {
namespace {

enum class StoreKind { kLocal, kMemory, kS3 };
// Each implementation in turn.
#define STORES GENERATE(StoreKind::kLocal, StoreKind::kMemory, StoreKind::kS3)

struct StoreScene {
  explicit StoreScene(StoreKind kind) {
    switch (kind) {
      case StoreKind::kLocal:
        store = Value(OpenLocalVersionStore(folder / "versions", folder / "incoming"));
        break;
      case StoreKind::kMemory: store = NewMemoryVersionStore(); break;
      case StoreKind::kS3: store = OpenS3(); break;
    }
  }
  std::unique_ptr<VersionStore> OpenS3() {
    return Value(OpenS3VersionStore({S3Url(RandomHex()), "test/store", folder / "cache", 1 << 20}));
  }
  Sha256 Put(const std::string& text) {
    const Sha256 hash = HashOf(text).sha256;
    const auto source = NewStringSource(text);
    Ok(store->Put(hash, *source, text.size()));
    return hash;
  }
  std::string Read(const Sha256& hash) {
    const auto reader = Value(store->Open(hash));
    std::string text(reader->size_bytes(), '\0');
    CHECK(Value(reader->ReadAt(text.data(), text.size(), 0)) == text.size());
    return text;
  }

  TempFolder folder;
  std::unique_ptr<VersionStore> store;
};

}  // namespace

TEST_CASE("VersionStore: what was put is read back", "[contract][version_store]") {
  StoreScene scene(STORES);
  const Sha256 hash = scene.Put("bytes");
  CHECK(scene.store->Has(hash));
  CHECK(scene.Read(hash) == "bytes");
  CHECK(scene.Read(scene.Put("")) == "");
}

TEST_CASE("VersionStore: bytes that are not the version's are refused and leave nothing",
          "[contract][version_store]") {
  StoreScene scene(STORES);
  const Sha256 hash = HashOf("right").sha256;
  const auto wrong = NewStringSource("wrong");
  CHECK(scene.store->Put(hash, *wrong, 5).error().code() == ErrorCode::kInvalidArgument);
  const auto cut = NewStringSource("right");
  CHECK(scene.store->Put(hash, *cut, 6).error().code() == ErrorCode::kInvalidArgument);
  CHECK_FALSE(scene.store->Has(hash));
}

TEST_CASE("VersionStore: taking a file moves it in", "[contract][version_store]") {
  StoreScene scene(STORES);
  const std::string file = scene.folder / "taken";
  WriteFile(file, "taken bytes");
  const Sha256 hash = HashOf("taken bytes").sha256;
  Ok(scene.store->Take(hash, file));
  CHECK_FALSE(std::filesystem::exists(file));
  Ok(scene.store->Sync({hash}));
  CHECK(scene.Read(hash) == "taken bytes");
}

TEST_CASE("VersionStore: a missing version is said to be missing", "[contract][version_store]") {
  StoreScene scene(STORES);
  const Sha256 hash = HashOf("nothing").sha256;
  CHECK_FALSE(scene.store->Has(hash));
  CHECK(scene.store->Open(hash).error().code() == ErrorCode::kNotFound);
  CHECK(scene.store->Remove(hash).error().code() == ErrorCode::kNotFound);
  CHECK(scene.store->Sync({hash}).error().code() == ErrorCode::kNotFound);
}

TEST_CASE("VersionStore: an open version stays readable after its removal", "[contract][version_store]") {
  StoreScene scene(STORES);
  const Sha256 hash = scene.Put("still here");
  const auto reader = Value(scene.store->Open(hash));
  Ok(scene.store->Remove(hash));
  CHECK_FALSE(scene.store->Has(hash));
  std::string text(reader->size_bytes(), '\0');
  CHECK(Value(reader->ReadAt(text.data(), text.size(), 0)) == 10);
  CHECK(text == "still here");
}

TEST_CASE("VersionStore: the listing has every version once and can stop", "[contract][version_store]") {
  StoreScene scene(STORES);
  std::set<Sha256> put;
  for (int i = 0; i < 20; ++i) put.insert(scene.Put(std::to_string(i)));
  std::set<Sha256> listed;
  Ok(scene.store->List([&](const Sha256& hash) { return listed.insert(hash).second; }));
  CHECK(listed == put);
  int count = 0;
  Ok(scene.store->List([&](const Sha256&) { return ++count < 3; }));
  CHECK(count == 3);
}

TEST_CASE("VersionStore: what is given back is out of the store", "[contract][version_store]") {
  StoreScene scene(STORES);
  const Sha256 hash = scene.Put("borrowed");
  Ok(scene.store->GiveBack(hash, scene.folder / "back"));
  CHECK(ReadFile(scene.folder / "back") == "borrowed");
  CHECK_FALSE(scene.store->Has(hash));
  Ok(scene.store->Send(hash, scene.folder / "back"));
  Ok(scene.store->Take(hash, scene.folder / "back"));
  CHECK(scene.Read(hash) == "borrowed");
  CHECK(scene.Read(scene.Put("borrowed")) == "borrowed");
}

TEST_CASE("Repository: a file that was taken in vain comes back", "[core][version_store]") {
  StoreScene scene(STORES);
  const std::string folder = scene.folder / "repository", file = scene.folder / "file";
  Ok(MakeFolders(folder));
  const VersionStore& store = *scene.store;
  const auto repository = Value(AssembleRepository(
      folder, {"t", "r"}, Value(OpenSqliteStagingIndex(folder + "/stagefs.db")), std::move(scene.store)));
  const ContentId content = HashOf("written");
  WriteFile(file, "written");
  Ok(repository->versions().Send(content.sha256, file));
  {
    const auto change =
        Value(DurableChange::Begin(*repository, Durability::kProcessDeath, Turn::Everything()));
    Ok(change->Take(file, content, 7, /*synced=*/false).WithoutValue());
    CHECK_FALSE(std::filesystem::exists(file));
  }
  CHECK(ReadFile(file) == "written");
  CHECK_FALSE(store.Has(content.sha256));
}

TEST_CASE("LocalVersionStore: versions are read-only files named by their hash", "[core][version_store]") {
  StoreScene scene(StoreKind::kLocal);
  const std::string hex = ToHex(scene.Put("file"));
  const std::string path = scene.folder / ("versions/" + hex.substr(0, 2) + '/' + hex.substr(2));
  struct stat found {};
  REQUIRE(stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0400);
  CHECK(std::filesystem::is_empty(scene.folder / "incoming"));
}

}  // namespace stagefs::test
