// What every VersionStore promises beyond what it promises as a VersionSource.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "core/durable/durable_change.h"
#include "core/versions/s3/s3_client.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "stagefs/posix_env.h"
#include "stagefs/repositories.h"
#include "tests/core/version_store_scene.h"

namespace stagefs::test {

// Each implementation in turn.
#define STORES GENERATE(StoreKind::kLocal, StoreKind::kMemory, StoreKind::kS3)

TEST_CASE("VersionStore: what was put is read back", "[contract][version_store]") {
  StoreScene scene(STORES);
  const Sha256 hash = scene.Put("bytes");
  CHECK(scene.Has(hash));
  CHECK(Read(*scene.store, hash) == "bytes");
  CHECK(Read(*scene.store, scene.Put("")) == "");
}

TEST_CASE("VersionStore: bytes that are not the version's are refused and leave nothing",
          "[contract][version_store]") {
  StoreScene scene(STORES);
  const Sha256 hash = HashOf("right").sha256;
  const auto wrong = NewStringSource("wrong");
  CHECK(scene.store->Put(hash, *wrong, 5).error().code() == ErrorCode::kInvalidArgument);
  const auto cut = NewStringSource("right");
  CHECK(scene.store->Put(hash, *cut, 6).error().code() == ErrorCode::kInvalidArgument);
  CHECK_FALSE(scene.Has(hash));
}

TEST_CASE("VersionStore: taking a file moves it in", "[contract][version_store]") {
  StoreScene scene(STORES);
  const std::string file = scene.folder / "taken";
  WriteFile(file, "taken bytes");
  const Sha256 hash = HashOf("taken bytes").sha256;
  Ok(scene.store->Take(hash, file));
  CHECK_FALSE(std::filesystem::exists(file));
  Ok(scene.store->Sync({hash}));
  CHECK(Read(*scene.store, hash) == "taken bytes");
}

TEST_CASE("VersionStore: a missing version is said to be missing", "[contract][version_store]") {
  StoreScene scene(STORES);
  const Sha256 hash = HashOf("nothing").sha256;
  CHECK_FALSE(scene.Has(hash));
  CHECK(scene.store->Remove(hash).error().code() == ErrorCode::kNotFound);
  CHECK(scene.store->Sync({hash}).error().code() == ErrorCode::kNotFound);
}

TEST_CASE("VersionStore: what was removed is gone", "[contract][version_store]") {
  StoreScene scene(STORES);
  const Sha256 hash = scene.Put("short lived");
  CHECK(Read(*scene.store, hash) == "short lived");
  Ok(scene.store->Remove(hash));
  CHECK_FALSE(scene.Has(hash));
  CHECK(scene.store->Open(hash).error().code() == ErrorCode::kNotFound);
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
  CHECK_FALSE(scene.Has(hash));
  Ok(scene.store->Send(hash, scene.folder / "back"));
  Ok(scene.store->Take(hash, scene.folder / "back"));
  CHECK(Read(*scene.store, hash) == "borrowed");
  CHECK(Read(*scene.store, scene.Put("borrowed")) == "borrowed");
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
  CHECK(Value(store.Locate(content.sha256)) == Presence::kNowhere);
}

TEST_CASE("S3VersionStore: a large version goes and comes in parts", "[core][version_store]") {
  StoreScene scene(StoreKind::kS3);
  std::string text(2 * S3Client::kPartBytes + 1, 'x');
  text.back() = 'y';
  const Sha256 hash = scene.Put(text);
  const auto reader = Value(scene.store->OpenToCheck(hash));
  CHECK(reader->size_bytes() == text.size());
  CHECK(Value(HashFile(reader->fd())).id.sha256 == hash);
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

TEST_CASE("LocalVersionStore: what a killed process was writing goes once it is old", "[core][version_store]") {
  TempFolder folder;
  const auto store = Value(OpenLocalVersionStore(folder / "versions", folder / "incoming"));
  WriteFile(folder / "incoming/0123", "half a version");
  WriteFile(folder / "incoming/4567.lock", "");
  const int64_t hour_ns = 3'600'000'000'000;
  CHECK(Value(store->RemoveUnfinished(NowNs() - hour_ns)) == 0);
  CHECK(Value(store->RemoveUnfinished(NowNs() + hour_ns)) == 1);
  CHECK(access((folder / "incoming/0123").c_str(), F_OK) != 0);
  CHECK(access((folder / "incoming/4567.lock").c_str(), F_OK) == 0);
}

}  // namespace stagefs::test
