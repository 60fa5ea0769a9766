// What was staged and then removed, unstaged or replaced is listed, kept, and put back.
#include "stagefs/taken_back.h"

#include "stagefs/commit.h"
#include "stagefs/posix_env.h"
#include "stagefs/restore.h"
#include "stagefs/upkeep.h"
#include "stagefs/workspaces.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

struct TakenScene : Scene {
  TakenScene() { workspace().SetActor("Ann", "test"); }
  RepoPath Path(const std::string& text) { return Value(RepoPath::ParseDirectory(text)); }
  // "NUMBER PATH CONTENT" of each.
  Lines Taken() {
    Lines lines;
    Ok(ForEachTakenBack(workspace(), 0, [&](const TakenBack& taken, IndexReader& index) -> Status {
      CHECK(taken.actor == "Ann");
      CHECK(taken.door == "test");
      STAGEFS_ASSIGN_OR_RETURN(const auto version, index.GetVersion(taken.entry.version));
      const std::string& text = texts_.at(ToHex(version->content.sha256));
      lines.push_back(std::to_string(taken.number) + ' ' + taken.path + ' ' + text);
      return {};
    }));
    return lines;
  }
  void Stage(const std::string& path, const std::string& text) {
    texts_[Put(text)] = text;
    Scene::Stage(path, text);
  }
  void Remove(const std::string& path) { Ok(workspace().RemovePaths({Path(path)})); }

 private:
  std::map<std::string, std::string> texts_;
};

}  // namespace

TEST_CASE("TakenBack: what is staged over, removed or unstaged is", "[core][taken_back]") {
  TakenScene scene;
  scene.Stage("a", "1");
  scene.Stage("d/b", "2");
  CHECK(scene.Taken().empty());
  scene.Stage("a", "3");
  scene.Stage("a", "3");
  CHECK(scene.Taken() == Lines{"1 a 1"});
  scene.Remove("d");
  CHECK(scene.Taken() == Lines{"1 a 1", "2 d/b 2"});
  scene.Unstage("a");
  CHECK(scene.Taken() == Lines{"1 a 1", "2 d/b 2", "3 a 3"});
  scene.Stage("a", "4");
  scene.Commit();
  scene.Remove("a");
  scene.Stage("a", "5");
  CHECK(scene.Taken().size() == 3);
  scene.Remove("a");
  CHECK(scene.Taken().back() == "4 a 5");
}

TEST_CASE("TakenBack: one change takes many, under one number", "[core][taken_back]") {
  TakenScene scene;
  for (const char* path : {"a", "b", "d/c"}) scene.Stage(path, path);
  Ok(scene.workspace().Unstage({scene.Path("")}).WithoutValue());
  CHECK(scene.Taken() == Lines{"1 a a", "1 b b", "1 d/c d/c"});
}

TEST_CASE("TakenBack: what is renamed is not, what it is renamed over is", "[core][taken_back]") {
  TakenScene scene;
  scene.Stage("a", "1");
  scene.Stage("b", "2");
  const Slot a = scene.SlotOf("a"), b = scene.SlotOf("b");
  Ok(scene.workspace().Rename(a, {kRootFolder, "c"}, RenameMode::kReplace));
  CHECK(scene.Taken().empty());
  Ok(scene.workspace().Rename({kRootFolder, "c"}, b, RenameMode::kReplace));
  CHECK(scene.Taken() == Lines{"1 b 2"});
  scene.Stage("c", "3");
  Ok(scene.workspace().Rename(b, {kRootFolder, "c"}, RenameMode::kExchange));
  CHECK(scene.Taken() == Lines{"1 b 2"});
  CHECK(scene.Read("c") == "1");
}

TEST_CASE("TakenBack: what a file grew out of is not, what another door staged over it is", "[core][taken_back]") {
  TakenScene scene;
  scene.Stage("a", "1");
  const VersionId grown_from = Value(scene.workspace().tree().Find(scene.Path("a"))).entry.version;
  StageHow how;
  how.grown_from = grown_from;
  scene.Stage("b", "12");
  const VersionId longer = Value(scene.workspace().tree().Find(scene.Path("b"))).entry.version;
  const Slot a = scene.SlotOf("a");
  Ok(scene.workspace().StageVersion(a, longer, how).WithoutValue());
  CHECK(scene.Taken().empty());
  Ok(scene.workspace().StageVersion(a, grown_from, how).WithoutValue());
  CHECK(scene.Taken() == Lines{"1 a 12"});
}

TEST_CASE("TakenBack: is a tree, and put back from there", "[core][taken_back]") {
  TakenScene scene;
  scene.Stage("d/a", "1");
  scene.Stage("d/e/b", "2");
  scene.Stage("c", "3");
  Ok(scene.workspace().Unstage({scene.Path("")}).WithoutValue());
  const auto tree = Value(OpenTakenBack(scene.workspace(), 1));
  CHECK(scene.FilesOf(*tree) == std::map<std::string, std::string>{{"c", "3"}, {"d/a", "1"}, {"d/e/b", "2"}});
  CHECK(Value(tree->PathOf(Value(tree->Find(scene.Path("d/e"))).entry.child)) == "d/e");
  CHECK(OpenTakenBack(scene.workspace(), 2).error().code() == ErrorCode::kNotFound);
  CHECK(Value(RestoreTakenBack(scene.workspace(), 1, {scene.Path("d/e")})).staged == 1);
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"d/e/b", "2"}});
  CHECK(Value(RestoreTakenBack(scene.workspace(), 1, {})).staged == 3);
  CHECK(scene.AllFiles().size() == 3);
  CHECK(RestoreTakenBack(scene.workspace(), 1, {scene.Path("x")}).error().code() == ErrorCode::kNotFound);
  CHECK(RestoreTakenBack(scene.workspace(), 7, {}).error().code() == ErrorCode::kNotFound);
}

TEST_CASE("TakenBack: kept by gc as long as unused bytes are, and numbers never come again", "[core][taken_back]") {
  TakenScene scene;
  scene.Stage("a", "1");
  scene.Unstage("a");
  CHECK(Value(Gc(scene.repository(), 14)).versions == 0);
  CHECK(scene.Taken() == Lines{"1 a 1"});
  CHECK(Value(Gc(scene.repository(), 0)).versions == 1);
  CHECK(scene.Taken().empty());
  scene.Stage("a", "2");
  scene.Unstage("a");
  CHECK(scene.Taken() == Lines{"2 a 2"});
}

TEST_CASE("TakenBack: goes with its workspace, and a commit or rebase takes nothing back", "[core][taken_back]") {
  TakenScene scene;
  const auto other = scene.Other();
  scene.Stage("a", "1");
  Ok(other->StagePath(scene.Path("b"), scene.Put("2"), {}).WithoutValue());
  Value(CommitStaged(*other, "theirs", {"Bob", ""}, std::nullopt));
  scene.Commit();
  CHECK(scene.Taken().empty());
  scene.Stage("a", "3");
  scene.Unstage("a");
  CHECK(scene.Taken().size() == 1);
  const WorkspaceId id = scene.workspace().id();
  Ok(Workspaces(scene.repository()).Delete("w", false));
  const auto reader = Value(scene.repository().index().Read());
  CHECK(Value(reader->ListTakenBack(id, {}, 10)).empty());
}

}  // namespace stagefs::test
