// What an acknowledged change has synced, and what a failed one leaves.
#include <set>

#include "core/durable/durable_change.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "stagefs/commit.h"
#include "stagefs/posix_env.h"
#include "stagefs/repositories.h"
#include "stagefs/version_store.h"
#include "stagefs/workspaces.h"
#include "tests/catch.h"
#include "tests/scene.h"
#include "tests/store_over.h"

namespace stagefs::test {
namespace {

// A store that tells of its syncs, and fails them on demand.
class ToldStore : public StoreOver {
 public:
  using StoreOver::StoreOver;

  std::function<void()> on_sync;
  bool fails = false;
  std::set<Sha256> synced;

  Status Sync(const std::vector<Sha256>& hashes) override {
    if (on_sync) std::exchange(on_sync, nullptr)();
    if (fails) return Error(ErrorCode::kIo, "the disk does not sync");
    synced.insert(hashes.begin(), hashes.end());
    return {};
  }
};

// A repository on such a store. Nothing is synced in the background: it was never started.
struct ToldScene {
  ToldScene() {
    Ok(CreateRepository(root.path(), {"t", "r"}));
    const std::string folder = root / "t/r";
    auto told = std::make_unique<ToldStore>(Value(OpenLocalVersionStore(folder + "/versions", folder + "/incoming")));
    store = told.get();
    repository = Value(Repository::Assemble(folder, {"t", "r"}, Value(OpenSqliteStagingIndex(folder + "/stagefs.db")),
                                            std::move(told), ""));
    Ok(Workspaces(*repository).Create("main", "w", std::nullopt).WithoutValue());
    workspace = Value(Workspace::Open(*repository, "w"));
  }
  // As close() does it.
  void Write(const std::string& name, const std::string& text) {
    const std::string file = repository->incoming() + "/test-" + name;
    WriteFile(file, text);
    Ok(workspace->StageFile({kRootFolder, name}, file, HashOf(text), text.size(), {}).WithoutValue());
  }
  bool IsSynced(const std::string& text) {
    return store->synced.contains(HashOf(text).sha256) &&
           Value(repository->FindVersion(ToHex(HashOf(text).sha256))).synced;
  }
  Result<CommitResult> Commit() { return CommitStaged(*workspace, "all", {"Ann", "ann@example.org"}, std::nullopt); }

  TempFolder root;
  ToldStore* store = nullptr;
  std::unique_ptr<Repository> repository;
  std::unique_ptr<Workspace> workspace;
};

}  // namespace

TEST_CASE("DurableChange: what is closed between the sync and the commit's turn is synced, too", "[core][durable]") {
  ToldScene scene;
  scene.Write("early", "1");
  scene.store->on_sync = [&] { scene.Write("late", "2"); };
  REQUIRE(Value(scene.Commit()).entries == 2);
  CHECK(scene.IsSynced("1"));
  CHECK(scene.IsSynced("2"));
}

TEST_CASE("DurableChange: a commit whose bytes cannot be synced is refused", "[core][durable]") {
  ToldScene scene;
  scene.Write("a", "1");
  scene.store->fails = true;
  CHECK(scene.Commit().error().code() == ErrorCode::kIo);
  scene.store->fails = false;
  CHECK(Value(scene.Commit()).entries == 1);
}

TEST_CASE("DurableChange: a sync does not chase what is closed meanwhile", "[core][durable]") {
  ToldScene scene;
  scene.Write("0", "0");
  int syncs = 0;
  const std::function<void()> again = [&] {
    const std::string text = std::to_string(++syncs);
    scene.Write(text, text);
    if (syncs < 100) scene.store->on_sync = again;
  };
  scene.store->on_sync = again;
  Ok(scene.repository->SyncVersions());
  CHECK(syncs == 1);
}

TEST_CASE("DurableChange: a change that fails gives its files back", "[core][durable]") {
  ToldScene scene;
  const std::string file = scene.root / "mine";
  WriteFile(file, "mine");
  {
    const auto change = Value(DurableChange::Begin(*scene.repository, Durability::kPowerLoss, Turn::NothingElse()));
    Ok(change->Take(file, HashOf("mine"), 4, /*synced=*/false).WithoutValue());
    scene.store->fails = true;
    CHECK_FALSE(change->Commit());
  }
  CHECK(ReadFile(file) == "mine");
  CHECK_FALSE(scene.repository->FindVersion(ToHex(HashOf("mine").sha256)));
}

}  // namespace stagefs::test
