// Versions that files grew out of leave the store, unless anybody may want them.
#include "stagefs/repositories.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"
#include "stagefs/workspaces.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

// A log that was closed once, and then with more in it.
struct LogScene : Scene {
  // As a close() of "log" with these bytes.
  OutgrownVersion Close(const std::string& text) {
    const std::string file = repository().incoming() + "/test-log";
    WriteFile(file, text);
    StageHow how;
    how.origin = Origin::kWritten;
    how.grown_from = newest;
    const StagedFile staged =
        Value(workspace().StageFile({kRootFolder, "log"}, file, HashOf(text), text.size(), how));
    REQUIRE(staged.brought);
    newest = staged.entry.version;
    return {staged.entry.version, 0};
  }
  VersionId newest = 0;
  bool HasBytes(const std::string& text) {
    return Value(repository().versions().Locate(HashOf(text).sha256)) != Presence::kNowhere;
  }
  bool HasRow(VersionId id) { return Value(Value(repository().index().Read())->GetVersion(id)).has_value(); }
};

}  // namespace

TEST_CASE("RemoveOutgrown: what is replaced goes, row and bytes, once what replaces it is synced", "[core][upkeep]") {
  LogScene scene;
  const OutgrownVersion before = scene.Close("one\n");
  scene.Close("one\ntwo\n");
  Ok(scene.repository().SyncAll());
  CHECK(Value(RemoveOutgrown(scene.repository(), {before})).empty());
  CHECK_FALSE(scene.HasRow(before.id));
  CHECK_FALSE(scene.HasBytes("one\n"));
  CHECK(scene.Read("log") == "one\ntwo\n");
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
}

TEST_CASE("RemoveOutgrown: what anything names stays, and is said to wait", "[core][upkeep]") {
  LogScene scene;
  const OutgrownVersion before = scene.Close("one\n");
  SECTION("another path") { scene.Stage("other", "one\n"); }
  SECTION("a commit") { scene.Commit(); }
  SECTION("another workspace") { Value(scene.Other()->StageVersion({kRootFolder, "x"}, before.id, {})); }
  SECTION("a working copy that fsync() kept") {
    const auto turn = Value(scene.repository().index().Begin(Durability::kProcessDeath));
    Ok(turn->PutWorkingCopy({"x/wc-1", scene.workspace().id(), {kRootFolder, "log"}, before.id}));
    Ok(turn->Commit());
  }
  scene.Close("one\ntwo\n");
  Ok(scene.repository().SyncAll());
  CHECK(Value(RemoveOutgrown(scene.repository(), {before})).size() == 1);
  CHECK(scene.HasRow(before.id));
  CHECK(scene.HasBytes("one\n"));
}

TEST_CASE("RemoveOutgrown: what was put again, unstaged, linked or found by its hash since stays", "[core][upkeep]") {
  LogScene scene;
  const OutgrownVersion before = scene.Close("one\n");
  SECTION("linked, and the link is gone") {
    Value(scene.workspace().StageVersion({kRootFolder, "link"}, before.id, {}));
    scene.Remove("link");
  }
  SECTION("named by a manifest, whose entry is gone") {
    scene.StageManifest(ToHex(HashOf("one\n").sha256) + "  listed\n");
    scene.Remove("listed");
  }
  SECTION("put") { scene.Put("one\n"); }
  SECTION("found by its hash") {
    Value(scene.repository().FindVersion(ToHex(HashOf("one\n").sha256)));
    Ok(scene.repository().RenewFound());
  }
  scene.Close("one\ntwo\n");
  Ok(scene.repository().SyncAll());
  CHECK(Value(RemoveOutgrown(scene.repository(), {before})).empty());
  CHECK(scene.HasRow(before.id));
  CHECK(scene.HasBytes("one\n"));
}

TEST_CASE("RemoveOutgrown: what would come back after a power loss waits", "[core][upkeep]") {
  TempFolder root;
  Ok(CreateRepository(root.path(), {"t", "r"}));
  const std::string folder = root / "t/r";
  // Never started: nothing is synced in the background.
  const auto repository = Value(Repository::Assemble(
      folder, {"t", "r"}, Value(OpenStagingIndex({.url = "", .repository = "t/r", .path = folder + "/stagefs.db"})),
      Value(OpenLocalVersionStore(folder + "/versions", folder + "/incoming")), ""));
  Ok(Workspaces(*repository).Create("main", "w", std::nullopt).WithoutValue());
  const auto workspace = Value(Workspace::Open(*repository, "w"));
  VersionId newest = 0;
  const auto close = [&](const std::string& text) {
    const std::string file = repository->incoming() + "/test-log";
    WriteFile(file, text);
    StageHow how;
    how.grown_from = newest;
    const StagedFile staged =
        Value(workspace->StageFile({kRootFolder, "log"}, file, HashOf(text), text.size(), how));
    newest = staged.entry.version;
    return OutgrownVersion{newest, 0};
  };
  const OutgrownVersion before = close("one\n");
  Ok(repository->SyncAll());
  close("one\ntwo\n");
  CHECK(Value(RemoveOutgrown(*repository, {before})).size() == 1);
  Ok(repository->SyncAll());
  CHECK(Value(RemoveOutgrown(*repository, {before})).empty());
  CHECK(Value(repository->versions().Locate(HashOf("one\n").sha256)) == Presence::kNowhere);
}

}  // namespace stagefs::test
