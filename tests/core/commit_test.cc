#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/catch.h"
#include "tests/scene.h"
#include "stagefs/working_copy.h"
#include "stagefs/process.h"
#include "stagefs/repositories.h"
#include "stagefs/version_store.h"
#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "stagefs/status.h"
#include "stagefs/workspaces.h"
#include "stagefs/revision.h"

namespace stagefs::test {
namespace {

using Files = std::map<std::string, std::string>;

Result<CommitResult> CommitOf(Workspace& workspace, const std::string& message = "theirs") {
  return CommitStaged(workspace, message, {"Bob", "bob@example.org"}, std::nullopt);
}

void StageIn(Scene& scene, Workspace& workspace, const std::string& path, const std::string& text) {
  Ok(workspace.StagePath(Value(RepoPath::Parse(path)), scene.Put(text), {}).WithoutValue());
}

// The paths that differ, as `status --expand` tells of them.
Lines Changes(Scene& scene) {
  Lines lines;
  Ok(ForEachChange(scene.workspace(), [&](const StatusLine& line) -> Status {
    lines.push_back(std::string(ToString(line.kind)) + ' ' + line.path);
    return {};
  }));
  return lines;
}

// Another process gets its turn just before the first transaction of this one.
class OvertakenIndex : public StagingIndex {
 public:
  OvertakenIndex(std::unique_ptr<StagingIndex> below, std::function<void(StagingIndex&)>* overtaking)
      : below_(std::move(below)), overtaking_(overtaking) {}
  Result<std::unique_ptr<IndexReader>> Read() override { return below_->Read(); }
  Result<std::unique_ptr<IndexTransaction>> Begin(Durability durability, Turn turn) override {
    if (*overtaking_) std::exchange(*overtaking_, nullptr)(*below_);
    return below_->Begin(durability, turn);
  }
  Result<int64_t> ChangeMark() override { return below_->ChangeMark(); }
  Status Sync() override { return below_->Sync(); }
  bool IsShared() const override { return below_->IsShared(); }
  Status Erase() override { return below_->Erase(); }

 private:
  const std::unique_ptr<StagingIndex> below_;
  std::function<void(StagingIndex&)>* const overtaking_;
};

std::unique_ptr<Scene> SceneWithFoldersAndFiles() {
  auto scene = std::make_unique<Scene>();
  scene->Stage("file", "1");
  scene->Stage("folder/x", "2");
  scene->Stage("folder/y", "3");
  scene->Stage("other/z", "4");
  scene->Commit();
  return scene;
}

}  // namespace

TEST_CASE("Commit: a workspace that is mounted while its commit waits for its turn stays", "[core][embedded][commit]") {
  Scene scene;
  scene.Close();
  const std::string folder = scene.root() + '/' + scene.name().ToString();
  std::function<void(StagingIndex&)> overtaking;
  const auto repository = Value(AssembleRepository(
      folder, scene.name(),
      std::make_unique<OvertakenIndex>(Value(OpenStagingIndex({"", "", folder + "/stagefs.db"})), &overtaking),
      Value(OpenLocalVersionStore(folder + "/versions", folder + "/incoming"))));
  Workspaces workspaces(*repository);
  const WorkspaceInfo info = Value(workspaces.Create("main", std::nullopt, std::nullopt));
  const auto workspace = Value(Workspace::Open(*repository, info.uid));
  const VersionInfo version = Value(repository->PutBytes("1"));
  Value(workspace->StagePath(Value(RepoPath::Parse("a")), ToHex(version.content.sha256), {}));
  const auto mount = [&](StagingIndex& index) {
    const auto t = Value(index.Begin(Durability::kProcessDeath, Turn::NothingElse()));
    Ok(t->PutMount({HostOfPids(), "/mnt", info.id, getpid(), ProcessStartTime(getpid()), 7, Value(t->ClockNs())}));
    Ok(t->Commit());
  };
  overtaking = mount;
  CHECK_FALSE(Value(CommitOf(*workspace)).workspace_deleted);
  Ok(workspaces.NoteUnmounted("/mnt"));
  overtaking = mount;
  CHECK(workspaces.Delete(info.uid, /*force=*/false).error().code() == ErrorCode::kBusy);
}

TEST_CASE("Commit: the tree becomes what the workspace shows", "[core][commit]") {
  Scene scene;
  scene.Stage("a", "1");
  scene.Stage("d/b", "2");
  const std::string id = scene.Commit("first");
  CHECK(scene.BaseFiles() == Files{{"a", "1"}, {"d/b", "2"}});
  CHECK(scene.StatusLines().empty());
  scene.Remove("a");
  scene.Stage("d/b", "3");
  scene.Commit("second");
  CHECK(scene.BaseFiles() == Files{{"d/b", "3"}});
  const auto log = Value(History(scene.repository()).Log("main", 0, 10)).commits;
  REQUIRE(log.size() == 3);
  CHECK(log[0].message == "second");
  CHECK(log[0].author == "Ann");
  CHECK(log[1].id == id);
  CHECK(Value(OpenTree(scene.repository(), log[1]))->List(kRootFolder, "", 10)->size() == 2);
}

TEST_CASE("Commit: nothing staged is refused", "[core][commit]") {
  Scene scene;
  const auto result = CommitOf(scene.workspace());
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == ErrorCode::kInvalidArgument);
  scene.Write(".DS_Store", "scratch alone is nothing");
  CHECK_FALSE(CommitOf(scene.workspace()));
  CHECK(Value(History(scene.repository()).Log("main", 0, 10)).total == 1);
}

TEST_CASE("Commit: a message or an author that is not text is refused, and nothing is committed", "[core][commit]") {
  Scene scene;
  scene.Stage("a", "1");
  const std::string bad = GENERATE(as<std::string>(), "\xff", "\xc3", std::string("a\0b", 3));
  CHECK(CommitOf(scene.workspace(), bad).error().code() == ErrorCode::kInvalidArgument);
  CHECK(CommitStaged(scene.workspace(), "m", {bad, "e"}, std::nullopt).error().code() == ErrorCode::kInvalidArgument);
  CHECK(Value(History(scene.repository()).Log("main", 0, 10)).total == 1);
  CHECK(Value(CommitOf(scene.workspace(), "Größe")).commit.message == "Größe");
}

TEST_CASE("Times: before 1970 they are told as they are", "[core][text]") {
  CHECK(FormatTime(-1) == "1969-12-31T23:59:59.999999Z");
  CHECK(FormatTime(-1'000'000'000) == "1969-12-31T23:59:59.000000Z");
  CHECK(FormatTime(0) == "1970-01-01T00:00:00.000000Z");
  CHECK(FormatTime(INT64_MAX) == "2262-04-11T23:47:16.854775Z");
}

TEST_CASE("Commit: what is left out is named", "[core][commit]") {
  Scene scene;
  scene.Stage("a", "1");
  scene.Write(".a.swp", "s");
  const auto result = Value(CommitOf(scene.workspace()));
  CHECK(result.entries == 1);
  CHECK(result.left_out.paths == std::vector<std::string>{".a.swp"});
}

TEST_CASE("Commit: an unnamed workspace goes with its commit, a named one continues", "[core][commit]") {
  Scene scene;
  const auto other = scene.Other();
  const std::string uid = Value(other->Info()).uid;
  StageIn(scene, *other, "x", "1");
  CHECK(Value(CommitOf(*other)).workspace_deleted);
  CHECK_FALSE(Workspace::Open(scene.repository(), uid));
  CHECK(other->tree().LookUp({kRootFolder, "x"}).error().code() == ErrorCode::kStale);
  scene.Stage("y", "2");
  scene.Commit();
  scene.Stage("z", "3");
  scene.Commit();
  CHECK(scene.BaseFiles() == Files{{"x", "1"}, {"y", "2"}, {"z", "3"}});
}

TEST_CASE("Commit: work of others is replayed upon", "[core][commit]") {
  Scene scene;
  scene.Stage("both/base", "0");
  scene.Commit();
  const auto other = scene.Other();
  StageIn(scene, *other, "both/theirs", "1");
  StageIn(scene, *other, "new/theirs", "2");
  Value(CommitOf(*other));
  scene.Stage("both/ours", "3");
  scene.Stage("new/ours", "4");
  scene.Write(".x.swp", "scratch");
  const auto result = Value(CommitOf(scene.workspace(), "ours"));
  CHECK(result.others == 1);
  const Files all{
      {"both/base", "0"}, {"both/ours", "3"}, {"both/theirs", "1"}, {"new/ours", "4"}, {"new/theirs", "2"}};
  CHECK(scene.BaseFiles() == all);
  CHECK(scene.Read(".x.swp") == "scratch");
}

TEST_CASE("Commit: a path changed on both sides is a conflict that changes nothing", "[core][commit]") {
  Scene scene;
  scene.Stage("a", "0");
  scene.Stage("b", "0");
  scene.Commit();
  const auto other = scene.Other();
  StageIn(scene, *other, "a", "theirs");
  StageIn(scene, *other, "c", "theirs");
  Value(CommitOf(*other));
  SECTION("content") { scene.Stage("a", "ours"); }
  SECTION("removal") { scene.Remove("a"); }
  scene.Stage("c", "ours");
  scene.Stage("d", "ours");
  const Lines before = scene.StatusLines();
  for (const auto& error : {CommitOf(scene.workspace()).error(), Rebase(scene.workspace()).error()}) {
    CHECK(error.code() == ErrorCode::kConflict);
    CHECK(error.message().find(" a, c:") != std::string::npos);
    CHECK(error.message().find("d") != std::string::npos);
  }
  CHECK(scene.StatusLines() == before);
  CHECK(Value(History(scene.repository()).Log("main", 0, 10)).total == 3);
}

TEST_CASE("Commit: the same change on both sides is none", "[core][commit]") {
  Scene scene;
  scene.Stage("a", "0");
  scene.Commit();
  const auto other = scene.Other();
  StageIn(scene, *other, "a", "same");
  Value(CommitOf(*other));
  scene.Stage("a", "same");
  scene.Stage("b", "more");
  CHECK(Value(CommitOf(scene.workspace())).entries == 1);
}

TEST_CASE("Rebase: what others did to the folders of what is staged", "[core][commit]") {
  Scene scene;
  scene.Stage("d/a", "0");
  scene.Stage("gone/x", "0");
  scene.Commit();
  const auto other = scene.Other();
  SECTION("put something into one that is removed here: it stays") {
    StageIn(scene, *other, "gone/y", "theirs");
    scene.Remove("gone");
    Value(CommitOf(*other));
    CHECK(Value(Rebase(scene.workspace())) == 1);
    CHECK(scene.AllFiles() == Files{{"d/a", "0"}, {"gone/y", "theirs"}});
  }
  SECTION("removed it with what was in it: it is made again") {
    Ok(other->RemovePaths({Value(RepoPath::Parse("d"))}));
    scene.Stage("d/b", "ours");
    Value(CommitOf(*other));
    CHECK(Value(Rebase(scene.workspace())) == 1);
    CHECK(scene.AllFiles() == Files{{"d/b", "ours"}, {"gone/x", "0"}});
  }
  SECTION("much more than is staged here") {
    for (int i = 0; i < 1100; ++i) StageIn(scene, *other, "many/" + std::to_string(i), "0");
    StageIn(scene, *other, "zz", "theirs");
    scene.Stage("zz", "ours");
    Value(CommitOf(*other));
    CHECK(Rebase(scene.workspace()).error().code() == ErrorCode::kConflict);
    scene.Remove("zz");
    scene.Stage("d/b", "ours");
    CHECK(Value(Rebase(scene.workspace())) == 1);
    CHECK(scene.AllFiles().size() == 1104);
  }
  scene.Commit();
  CHECK(scene.BaseFiles() == scene.AllFiles());
}

TEST_CASE("Rebase: the newer base shows and what is staged stays", "[core][commit]") {
  Scene scene;
  scene.Stage("d/a", "0");
  scene.Stage("gone/x", "0");
  scene.Stage("old/f", "0");
  scene.Commit();
  const auto other = scene.Other();
  StageIn(scene, *other, "d/b", "theirs");
  Value(CommitOf(*other));
  scene.Stage("d/a", "ours");
  scene.Stage("n/e/w", "ours");
  scene.Remove("gone");
  scene.Rename("old", "renamed");
  scene.MakeFolder("empty");
  const Lines before = scene.StatusLines();
  CHECK(Value(Rebase(scene.workspace())) == 1);
  CHECK(scene.StatusLines() == before);
  CHECK(scene.Read("d/b") == "theirs");
  CHECK(scene.AllFiles() == Files{{"d/a", "ours"}, {"d/b", "theirs"}, {"n/e/w", "ours"}, {"renamed/f", "0"}});
  CHECK(Value(Rebase(scene.workspace())) == 0);
  scene.Commit();
  CHECK(scene.BaseFiles() == scene.AllFiles());
}

TEST_CASE("Branches: commits on one do not show on the other", "[core][commit]") {
  Scene scene;
  scene.Stage("a", "0");
  scene.Commit();
  Ok(History(scene.repository()).CreateBranch("side", "main"));
  CHECK(History(scene.repository()).CreateBranch("side", "main").error().code() == ErrorCode::kExists);
  CHECK(History(scene.repository()).CreateBranch("x", "nope").error().code() == ErrorCode::kNotFound);
  CHECK(History(scene.repository()).CreateBranch("a b", "main").error().code() == ErrorCode::kInvalidArgument);
  const WorkspaceInfo info =
      Value(Workspaces(scene.repository()).Create("side", std::string("s"), std::nullopt));
  const auto side = Value(Workspace::Open(scene.repository(), info.uid));
  StageIn(scene, *side, "a", "side");
  StageIn(scene, *side, "d/b", "side");
  Value(CommitOf(*side));
  scene.Stage("a", "main");
  scene.Stage("d/c", "main");
  scene.Commit();
  CHECK(scene.BaseFiles() == Files{{"a", "main"}, {"d/c", "main"}});
  CHECK(scene.ReadFrom(side->base(), "a") == "side");
  CHECK(scene.ReadFrom(side->base(), "d/b") == "side");
  CHECK_FALSE(side->tree().Find(Value(RepoPath::Parse("d/c"))));
  CHECK(History(scene.repository()).DeleteBranch("side").error().code() == ErrorCode::kBusy);
  Ok(Workspaces(scene.repository()).Delete("s", false));
  Ok(History(scene.repository()).DeleteBranch("side"));
  CHECK(History(scene.repository()).DeleteBranch("side").error().code() == ErrorCode::kNotFound);
}

TEST_CASE("Unstage: each kind of change is taken back", "[core][commit]") {
  Scene scene;
  scene.Stage("a", "0");
  scene.Stage("d/b", "0");
  scene.Commit();
  const Files before = scene.AllFiles();
  scene.Stage("a", "1");
  scene.Stage("new/x", "1");
  scene.Remove("d");
  CHECK(scene.workspace().Unstage({Value(RepoPath::Parse("nothing"))}).error().code() == ErrorCode::kNotFound);
  scene.Unstage("d/b");
  CHECK(scene.Read("d/b") == "0");
  scene.Unstage("a");
  CHECK(scene.StatusLines() == Lines{"A  new/x"});
  CHECK(Value(scene.workspace().Unstage({RepoPath()})) == 1);
  CHECK(scene.AllFiles() == before);
}

TEST_CASE("Unstage, remove: all of several paths, or none, or those that can be", "[core][commit]") {
  Scene scene;
  for (const char* path : {"a", "b", "d/x", "d/y", "e/z"}) scene.Stage(path, "0");
  scene.Commit();
  for (const char* path : {"a", "d/x", "new/1", "new/2"}) scene.Stage(path, "1");
  scene.Remove("b");
  const auto paths = [](const std::vector<std::string>& texts) {
    std::vector<RepoPath> parsed;
    for (const std::string& text : texts) parsed.push_back(Value(RepoPath::Parse(text)));
    return parsed;
  };
  const auto codes = [](const std::vector<Status>& outcomes) {
    std::vector<ErrorCode> failed;
    for (const Status& outcome : outcomes) failed.push_back(outcome ? ErrorCode::kUnsupported : outcome.error().code());
    return failed;
  };
  constexpr auto kFine = ErrorCode::kUnsupported, kMissing = ErrorCode::kNotFound;
  const auto before = scene.StatusLines();
  std::vector<Status> outcomes;
  SECTION("unstage: one with nothing staged, and nothing changes") {
    CHECK(scene.workspace().Unstage(paths({"a", "d/y", "b"})).error().code() == kMissing);
    CHECK(scene.StatusLines() == before);
  }
  SECTION("unstage: files and folders, twice and below each other") {
    CHECK(Value(scene.workspace().Unstage(paths({"a", "new", "nothing", "new/1", "b", "a", "d/y"}), &outcomes)) == 4);
    CHECK(codes(outcomes) == std::vector{kFine, kFine, kMissing, kFine, kFine, kFine, kMissing});
    CHECK(scene.StatusLines() == Lines{"M  d/x", "E  new/ (empty folder, not in commits)"});
  }
  SECTION("unstage: a file of a folder that another took the place of") {
    scene.Remove("d");
    scene.Rename("e", "d");
    CHECK(Value(scene.workspace().Unstage(paths({"d/y", "a"}), &outcomes)) >= 1);
    CHECK(codes(outcomes) != std::vector{kMissing, kFine});
  }
  SECTION("unstage: the others of one that is in conflict") {
    scene.Rename("e", "f");
    scene.Stage("e", "in the way");
    CHECK(Value(scene.workspace().Unstage(paths({"f", "d/x", "new"}), &outcomes)) == 3);
    CHECK(codes(outcomes) == std::vector{ErrorCode::kConflict, kFine, kFine});
    CHECK(scene.Read("f/z") == "0");
    CHECK(scene.Read("d/x") == "0");
  }
  SECTION("remove") {
    CHECK(scene.workspace().RemovePaths(paths({"a", "nothing"})).error().code() == kMissing);
    CHECK(scene.StatusLines() == before);
    Ok(scene.workspace().RemovePaths(paths({"d/x", "a", "nothing", "a/b", "d"}), &outcomes));
    CHECK(codes(outcomes) == std::vector{kFine, kFine, kMissing, kFine, kFine});
    CHECK(scene.AllFiles() == Files{{"e/z", "0"}, {"new/1", "1"}, {"new/2", "1"}});
  }
}

TEST_CASE("Unstage: a file takes its own row back, and no other", "[core][commit]") {
  const uint64_t seed = 41;
  std::mt19937_64 random(seed);
  INFO("seed " << seed);
  const std::vector<std::string> names{"a", "b", "a/a", "a/b", "b/a", "b/b", "a/a/a", "b/a/b"};
  const auto any = [&] { return names[random() % names.size()]; };
  for (int round = 0; round < 40; ++round) {
    Scene scene(/*in_memory_store=*/true);
    const auto change = [&] {
      const std::string path = any(), other = any();
      const auto at = Value(RepoPath::Parse(path)), to = Value(RepoPath::Parse(other));
      const bool folder_above = !at.parent().is_root();
      switch (random() % 4) {
        case 0: (void)scene.workspace().RemovePaths({at}); break;
        case 1: (void)scene.workspace().MovePath(at, to); break;
        default:
          if (folder_above || random() % 2) (void)scene.workspace().StagePath(at, scene.Put(path), {});
      }
    };
    for (int i = 0; i < 12; ++i) change();
    (void)CommitOf(scene.workspace());
    for (int i = 0; i < 12; ++i) change();
    for (const std::string& line : scene.StatusLines()) {
      if (line[0] != 'A' && line[0] != 'M' && line[0] != 'D') continue;
      const std::string path = line.substr(3);
      auto before = scene.StatusLines();
      if (std::count(before.begin(), before.end(), line) != 1) continue;  // Went with another.
      std::vector<Status> outcomes;
      const int64_t count = Value(scene.workspace().Unstage({Value(RepoPath::Parse(path))}, &outcomes));
      auto after = scene.StatusLines();
      INFO("round " << round << ", " << line << "; before " << Catch::Detail::stringify(before) << ", after "
                    << Catch::Detail::stringify(after));
      if (!outcomes[0]) {
        CHECK(outcomes[0].error().code() == ErrorCode::kConflict);
        CHECK(before == after);
        continue;
      }
      CHECK(count >= 1);
      CHECK(std::none_of(after.begin(), after.end(), [&](const std::string& left) { return left.substr(3) == path; }));
      std::erase_if(after, [&](const std::string& left) { return left[0] == 'E'; });  // Folders that it leaves empty.
      for (auto* lines : {&before, &after}) std::sort(lines->begin(), lines->end());
      CHECK(std::includes(before.begin(), before.end(), after.begin(), after.end()));
    }
  }
}

TEST_CASE("Commit: waits for a file whose close is on its way", "[core][commit]") {
  Scene scene;
  scene.Stage("written", "1");
  const auto copies = Value(WorkingCopies::Open(scene.repository()));
  WorkingCopyPlace place = PlaceAtRoot(scene.workspace(), "touched");
  Ok(copies->Create(&place).WithoutValue());
  std::thread closing([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    scene.Stage("touched", "");
    std::filesystem::remove(place.file);
  });
  const auto result = CommitOf(scene.workspace());
  closing.join();
  CHECK(Value(result).entries == 2);
  Ok(copies->Forget(place, false));
}

TEST_CASE("Status: lines are sorted by path, whatever the order of staging", "[core][commit]") {
  Scene scene;
  scene.Stage("m/base", "0");
  scene.Commit();
  for (const char* path : {"z", "m/z", "b/y/x", "b/a", "m/a", "a"}) scene.Stage(path, "1");
  scene.Remove("m/base");
  CHECK(scene.StatusLines() == Lines{"A  a", "A  b/a", "A  b/y/x", "A  m/a", "D  m/base", "A  m/z", "A  z"});
}

TEST_CASE("Commit: what lies where the base had something else does not bring that back", "[core][commit]") {
  const auto holder = SceneWithFoldersAndFiles();
  Scene& scene = *holder;
  const bool onto_others = GENERATE(false, true);
  Lines status, changes;
  SECTION("an empty folder instead of a file") {
    scene.Remove("file");
    scene.MakeFolder("file");
    status = {"D  file", "E  file/ (empty folder, not in commits)"};
    changes = {"removed file", "empty folder file"};
  }
  SECTION("a symbolic link instead of a file") {
    scene.Remove("file");
    Ok(scene.workspace().Link(scene.SlotOf("file"), "folder", "/mnt").WithoutValue());
    status = {"M  file -> folder (symbolic link)"};
    changes = {"modified file"};
  }
  SECTION("a renamed folder instead of a file") {
    scene.Remove("file");
    scene.Rename("folder", "file");
    status = {"D  file", "R  folder -> file (2 files)"};
    changes = {"removed file", "added file/x", "added file/y", "removed folder/x", "removed folder/y"};
  }
  SECTION("a new folder where a renamed one was, which then holds it") {
    scene.Rename("folder", "aside");
    scene.MakeFolder("folder");
    scene.Rename("aside", "folder/inner");
    status = {"R  folder -> folder/inner (2 files)"};
    changes = {"added folder/inner/x", "added folder/inner/y", "removed folder/x", "removed folder/y"};
  }
  SECTION("an empty folder where a renamed one was") {
    scene.Rename("folder", "aside");
    scene.MakeFolder("folder");
    status = {"R  folder -> aside (2 files)", "E  folder/ (empty folder, not in commits)"};
    changes = {"added aside/x", "added aside/y", "removed folder/x", "removed folder/y"};
  }
  SECTION("a file that is as before in a folder that is another one") {
    scene.Rename("folder", "aside");
    scene.Stage("folder/x", "2");
    scene.Stage("folder/y", "other");
    status = {"R  folder -> aside (2 files)", "A  folder/x", "A  folder/y"};
    changes = {"added aside/x", "added aside/y", "modified folder/y"};
  }
  SECTION("one thing gone, one other in a renamed folder") {
    scene.Rename("folder", "aside");
    scene.Remove("aside/x");
    scene.Write("aside/y", "other");
    status = {"R  folder -> aside (1 file)", "D  aside/x", "M  aside/y"};
    changes = {"added aside/y", "removed folder/x", "removed folder/y"};
  }
  CHECK(scene.StatusLines() == status);
  CHECK(Changes(scene) == changes);
  const auto tree = scene.AllFiles();
  if (onto_others) {
    const auto other = scene.Other();
    StageIn(scene, *other, "theirs", "5");
    Value(CommitOf(*other));
  }
  scene.Commit();
  auto files = scene.AllFiles();
  CHECK(files.erase("theirs") == (onto_others ? 1 : 0));
  CHECK(files == tree);
  auto base = scene.BaseFiles();
  base.erase("theirs");
  CHECK(base == files);
  const Lines left = scene.StatusLines();
  CHECK(std::all_of(left.begin(), left.end(),
                    [](const std::string& line) { return line[0] == 'E'; }));
}

TEST_CASE("Unstage: a file comes back where a folder is by now, unless that holds something", "[core][commit]") {
  const auto holder = SceneWithFoldersAndFiles();
  Scene& scene = *holder;
  scene.Remove("file");
  scene.MakeFolder("file");
  SECTION("an empty folder") {
    scene.MakeFolder("file/deeper");
    scene.Unstage("file");
    CHECK(scene.Read("file") == "1");
    CHECK(scene.StatusLines().empty());
  }
  SECTION("one with something staged in it") {
    scene.Stage("file/new", "5");
    scene.Unstage("file/new");
    CHECK(scene.StatusLines().front() == "D  file");
    scene.Stage("file/new", "5");
    CHECK(Value(scene.workspace().Unstage({RepoPath()})) == 2);
    CHECK(scene.Read("file") == "1");
  }
  SECTION("one with something that is never staged") {
    scene.Write("file/.a.swp", "s");
    CHECK(scene.workspace().Unstage({Value(RepoPath::Parse("file"))}).error().code() == ErrorCode::kConflict);
    CHECK(scene.Exists("file/.a.swp"));
  }
}

TEST_CASE("Unstage: a rename is not undone where something new has its old name", "[core][commit]") {
  const auto holder = SceneWithFoldersAndFiles();
  Scene& scene = *holder;
  scene.Rename("folder", "renamed");
  scene.Stage("folder", "in the way");
  const auto undone = scene.workspace().Unstage({Value(RepoPath::Parse("renamed"))});
  REQUIRE_FALSE(undone);
  CHECK(undone.error().code() == ErrorCode::kConflict);
  CHECK(undone.error().message().find("folder is in the way") != std::string::npos);
  CHECK(scene.Read("renamed/x") == "2");
  CHECK(scene.Read("folder") == "in the way");
}

TEST_CASE("Rebase: names that are free only after something else went", "[core][commit]") {
  const auto holder = SceneWithFoldersAndFiles();
  Scene& scene = *holder;
  // The two folders change places, and one of them loses what the other side does not touch.
  Ok(scene.workspace().Rename(scene.SlotOf("folder"), scene.SlotOf("other"), RenameMode::kExchange));
  scene.Remove("other/x");
  const auto tree = scene.AllFiles();
  const auto other = scene.Other();
  StageIn(scene, *other, "theirs", "5");
  Value(CommitOf(*other));
  CHECK(Value(Rebase(scene.workspace())) == 1);
  auto files = scene.AllFiles();
  CHECK(files.erase("theirs") == 1);
  CHECK(files == tree);
}

TEST_CASE("Rebase: a file that a folder lies over here and that others changed is a conflict", "[core][commit]") {
  const auto holder = SceneWithFoldersAndFiles();
  Scene& scene = *holder;
  scene.Remove("file");
  if (GENERATE(false, true)) scene.Rename("folder", "file");
  else scene.MakeFolder("file");
  const auto other = scene.Other();
  StageIn(scene, *other, "file", "5");
  Value(CommitOf(*other));
  const Lines before = scene.StatusLines();
  const auto rebased = Rebase(scene.workspace());
  REQUIRE_FALSE(rebased);
  CHECK(rebased.error().code() == ErrorCode::kConflict);
  CHECK(scene.StatusLines() == before);
}

TEST_CASE("Move: several are one change, and without all of them none", "[core][staging]") {
  Scene scene;
  for (const char* path : {"a", "d/x", "d/y"}) scene.Stage(path, path);
  scene.Commit();
  const auto move = [](const std::string& from, const std::string& to) {
    return Workspace::PathMove{Value(RepoPath::Parse(from)), Value(RepoPath::Parse(to))};
  };
  const std::vector<Workspace::PathMove> moves = {move("a", "e/a"),     move("none", "n/m/none"),
                                                  move("d", "d/new/d"), move("e/a", "d/x/below"),
                                                  move("d/x", "e/x"),   move("e/x", "d/y")};
  const auto failed = scene.workspace().MovePaths(moves);
  CHECK(failed.error().code() == ErrorCode::kNotFound);
  CHECK(failed.error().message().find("4 paths") != std::string::npos);
  CHECK(scene.StatusLines().empty());
  CHECK_FALSE(scene.Exists("e"));

  std::vector<Status> outcomes;
  Ok(scene.workspace().MovePaths(moves, &outcomes));
  const std::vector<ErrorCode> wrong = {ErrorCode::kNotFound, ErrorCode::kInvalidArgument, ErrorCode::kNotDirectory,
                                        ErrorCode::kExists};
  REQUIRE(outcomes.size() == moves.size());
  size_t next = 0;
  for (size_t i = 0; i < moves.size(); ++i) {
    INFO(i);
    const bool moves_on = i == 0 || i == 4;
    CHECK(outcomes[i].has_value() == moves_on);
    if (!outcomes[i]) CHECK(outcomes[i].error().code() == wrong[next++]);
  }
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"d/y", "d/y"}, {"e/a", "a"}, {"e/x", "d/x"}});
  for (const char* left : {"n", "d/new"}) CHECK_FALSE(scene.Exists(left));
}

}  // namespace stagefs::test
