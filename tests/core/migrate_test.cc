// What a repository that moved leaves behind takes no change, and loses nothing of what the new place has.
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/catch.h"
#include "tests/scene.h"
#include "tests/servers.h"
#include "stagefs/history.h"
#include "stagefs/migrate.h"
#include "stagefs/posix_env.h"
#include "stagefs/repositories.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"
#include "stagefs/workspace.h"
#include "stagefs/workspaces.h"

namespace stagefs::test {
namespace {

// A root with t/r, here or in a database of its own, opened as whoever opens it before it moves.
struct MovingScene {
  explicit MovingScene(bool is_shared) {
    if (is_shared) places.index = NewDatabaseUrl();
    Ok(CreateRepository(root.path(), name, places));
    before = Value(OpenRepository(root.path(), name));
    workspace = Value(Workspaces(*before).Create(std::string(kDefaultBranch), "w", std::nullopt)).id;
  }
  // To where it is not.
  Result<MigrateReport> Move() {
    is_away = !is_away;
    std::optional<RepositoryPlaces> to;
    if (is_away && places.index.empty()) to = RepositoryPlaces{url, ""};
    if (!is_away && !places.index.empty()) to = places;
    return Migrate(root.path(), name, to, {});
  }
  std::unique_ptr<Repository> Open() { return Value(OpenRepository(root.path(), name)); }

  TempFolder root;
  const RepositoryName name{"t", "r"};
  const std::string url = NewDatabaseUrl();
  RepositoryPlaces places;
  bool is_away = false;
  std::unique_ptr<Repository> before;
  WorkspaceId workspace = 0;
};

}  // namespace

TEST_CASE("Migrate: a gc that began at the old place removes nothing any more", "[core][migrate]") {
  MovingScene scene(GENERATE(false, true));
  Ok(scene.Move().WithoutValue());
  const auto now = scene.Open();
  const VersionInfo stored = Value(now->PutBytes("stored since"));
  const auto swept = Gc(*scene.before, 0);
  REQUIRE_FALSE(swept);
  CHECK(swept.error().code() == ErrorCode::kStale);
  CHECK(Value(now->versions().Locate(stored.content.sha256)) == Presence::kHere);
}

TEST_CASE("Migrate: what is mounted when it moves is not deleted at the new place", "[core][migrate]") {
  MovingScene scene(GENERATE(false, true));
  CHECK(!Value(Workspaces(*scene.before).NoteMounted("/mnt", scene.workspace, 7)));
  Ok(scene.Move().WithoutValue());
  const Status refused = DeleteRepository(scene.root.path(), scene.name, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == ErrorCode::kBusy);
  // Who opened it before and mounts it now would not be seen there.
  const auto late = Workspaces(*scene.before).NoteMounted("/late", scene.workspace, 8);
  REQUIRE_FALSE(late);
  CHECK(late.error().code() == ErrorCode::kStale);
}

TEST_CASE("Migrate: a repository that came back goes again, with what it has by then", "[core][migrate]") {
  MovingScene scene(false);
  scene.before.reset();
  for (int trip = 0; trip < 4; ++trip) {
    CHECK(Value(scene.Move()).rows > 0);
    const auto now = scene.Open();
    Value(now->PutBytes("of trip " + std::to_string(trip)));
    CHECK(Value(Value(now->index().Read())->ListVersions(std::nullopt, 100)).size() == static_cast<size_t>(trip) + 2);
  }
}

TEST_CASE("Migrate: it comes back while nobody reads by the file that moved away", "[core][migrate]") {
  MovingScene scene(false);
  scene.before.reset();
  Ok(scene.Move().WithoutValue());
  const std::string path = scene.root / "t/r/stagefs.db";
  InKilledProcess([&] {  // As a daemon from before the move: it leaves a log beside the file.
    StagingIndex* const old = Value(OpenStagingIndex({"", "", path, WhereMissing::kRefuse})).release();
    const auto change = Value(old->Begin(Durability::kPowerLoss));
    Ok(change->EraseMount("", "/nowhere"));
    Ok(change->Commit());
  });
  const VersionInfo since = Value(scene.Open()->PutBytes("stored since"));
  Ok(scene.Move().WithoutValue());
  CHECK(access((path + ".before").c_str(), F_OK) == 0);
  for (const char* left : {"-wal", "-shm", ".new", ".new-wal", ".new-shm", ".new-turn"}) {
    INFO(left);
    CHECK(access((path + left).c_str(), F_OK) != 0);
  }
  CHECK(Value(scene.Open()->FindVersion(ToHex(since.content.sha256))).id == since.id);
}

TEST_CASE("Migrate: what is closed while it moves is durable at the new place, where there is nothing to fall back to",
          "[core][migrate]") {
  MovingScene scene(false);
  const auto workspace = Value(Workspace::Open(*scene.before, "w"));
  std::atomic<int> written = 0;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (bool taken = true; taken && !stop; ++written) {
      const std::string text = std::to_string(written), file = scene.before->incoming() + "/written";
      WriteFile(file, text);
      StageHow how;
      how.origin = Origin::kWritten;
      taken = bool(workspace->StageFile({kRootFolder, text}, file, HashOf(text), text.size(), how));
    }
  });
  while (written < 10) std::this_thread::yield();
  const auto moved = scene.Move();
  if (!moved) stop = true;
  writer.join();
  Ok(moved.WithoutValue());
  const auto index = Value(OpenStagingIndex({scene.url, "t/r", "", WhereMissing::kRefuse}));  // Nobody's flusher.
  CHECK(Value(Value(index->Read())->ListUnsynced(10)).empty());
}

}  // namespace stagefs::test
