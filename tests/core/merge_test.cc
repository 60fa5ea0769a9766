// Merging branches, history, the first commit, and repositories opened through a Root.
#include <thread>

#include "tests/catch.h"
#include "tests/scene.h"
#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "stagefs/repositories.h"
#include "stagefs/status.h"
#include "stagefs/revision.h"
#include "stagefs/workspaces.h"

namespace stagefs::test {
namespace {

using Files = std::map<std::string, std::string>;

// Two branches, `main` and `side`, and a workspace on each.
struct Branches : Scene {
  Branches() {
    Stage("both", "0");
    Stage("d/kept", "0");
    Scene::Commit("base");
    Ok(History(repository()).CreateBranch("side", "main"));
    Value(Workspaces(repository()).Create("side", "s", std::nullopt));
    side = Value(Workspace::Open(repository(), "s"));
  }
  void StageOnSide(const std::string& path, const std::string& text) {
    Ok(side->StagePath(Value(RepoPath::Parse(path)), Put(text), {}).WithoutValue());
  }
  CommitInfo CommitSide() {
    return Value(CommitStaged(*side, "side", {"Bob", "bob@example.org"}, std::nullopt)).commit;
  }
  Result<MergeResult> Merge(const std::string& base, const std::string& head) {
    return History(repository()).Merge(base, head, "merge", {"Ann", "ann@example.org"});
  }
  // What a new workspace of `branch` shows.
  Files TreeOf(const std::string& branch) {
    Value(Workspaces(repository()).Create(branch, "look", std::nullopt));
    auto mine = std::move(look);
    look = Value(Workspace::Open(repository(), "look"));
    Files files;
    for (const char* path : {"both", "d/kept", "d/new", "e/kept", "ours", "theirs", "deep/er/file"}) {
      if (look->tree().Find(Value(RepoPath::Parse(path)))) files[path] = ReadFrom(*look, path);
    }
    Ok(Workspaces(repository()).Delete("look", false));
    return files;
  }
  std::unique_ptr<Workspace> side, look;
};

}  // namespace

TEST_CASE("Merge: both sides' changes are in the merge, which has two parents", "[core][merge]") {
  Branches scene;
  scene.StageOnSide("theirs", "1");
  scene.StageOnSide("deep/er/file", "1");
  Ok(scene.side->RemovePaths({Value(RepoPath::Parse("both"))}));
  const CommitInfo theirs = scene.CommitSide();
  scene.Stage("ours", "2");
  const std::string ours = scene.Commit("ours");
  const auto preview = Value(History(scene.repository()).PreviewMerge("main", "side"));
  CHECK(preview.conflicts.empty());
  REQUIRE(preview.commits.size() == 1);
  CHECK(preview.commits[0].id == theirs.id);
  CHECK(scene.TreeOf("main") == Files{{"both", "0"}, {"d/kept", "0"}, {"ours", "2"}});

  const auto merged = Value(scene.Merge("main", "side"));
  CHECK(merged.base.id == ours);
  CHECK(Value(History(scene.repository()).ParentsOf(merged.merge)) == std::vector<std::string>{ours, theirs.id});
  CHECK(scene.TreeOf("main") ==
        Files{{"d/kept", "0"}, {"deep/er/file", "1"}, {"ours", "2"}, {"theirs", "1"}});
  CHECK(scene.TreeOf("side") == Files{{"d/kept", "0"}, {"deep/er/file", "1"}, {"theirs", "1"}});
  const auto log = Value(History(scene.repository()).Log("main", 0, 10));
  CHECK(log.total == 5);  // The first, base, theirs, ours, the merge.
  CHECK(log.commits[0].id == merged.merge.id);
  // The other way there is nothing left but to move forward.
  CHECK(Value(scene.Merge("side", "main")).merge.id == merged.merge.id);
  CHECK(scene.TreeOf("side") == scene.TreeOf("main"));
  CHECK(Value(scene.Merge("side", "main")).merge.id == merged.merge.id);
}

TEST_CASE("Merge: after a merge only what came since is merged", "[core][merge]") {
  Branches scene;
  scene.StageOnSide("theirs", "1");
  scene.CommitSide();
  scene.Stage("ours", "2");
  scene.Commit();
  Value(scene.Merge("main", "side"));
  scene.StageOnSide("theirs", "3");
  scene.CommitSide();
  CHECK(Value(History(scene.repository()).PreviewMerge("main", "side")).commits.size() == 1);
  Value(scene.Merge("main", "side"));
  CHECK(scene.TreeOf("main")["theirs"] == "3");
  // And back: side's own line never had `ours`.
  Value(scene.Merge("side", "main"));
  CHECK(scene.TreeOf("side")["ours"] == "2");
}

TEST_CASE("Merge: a branch stays a line or two, however many others are merged into it", "[core][merge]") {
  Branches scene;
  History history(scene.repository());
  const bool forward = GENERATE(false, true);
  for (int i = 0; i < 30; ++i) {
    const std::string name = "topic" + std::to_string(i);
    Ok(history.CreateBranch(name, "main"));
    const auto version = Value(scene.repository().PutBytes(name)).id;
    Value(history.CommitPaths(name, {{Value(RepoPath::Parse("theirs")), version, std::nullopt}}, name, {"Bob", "b"}));
    if (!forward) {
      Value(history.CommitPaths("main", {{Value(RepoPath::Parse("ours")), version, std::nullopt}}, "ours", {"A", "a"}));
    }
    Value(scene.Merge("main", name));
  }
  const CommitSeq head = Value(history.Resolve("main")).seq;
  CHECK(Value(Value(scene.repository().index().Read())->ViewOf(head)).lines().size() <= 2);
  CHECK(scene.TreeOf("main")["theirs"] == "topic29");
}

TEST_CASE("Merge: a renamed folder takes what the other side put into it", "[core][merge]") {
  Branches scene;
  Ok(scene.side->MovePath(Value(RepoPath::Parse("d")), Value(RepoPath::Parse("e"))));
  scene.CommitSide();
  scene.Stage("ours", "2");
  scene.Commit();
  Value(scene.Merge("main", "side"));
  CHECK(scene.TreeOf("main") == Files{{"both", "0"}, {"e/kept", "0"}, {"ours", "2"}});
}

TEST_CASE("Merge: a folder here and a file there at one name is a conflict, told beforehand", "[core][merge]") {
  Branches scene;
  const auto conflicts = [&] { return Value(History(scene.repository()).PreviewMerge("main", "side")).conflicts; };
  SECTION("their folder") {
    scene.StageOnSide("new/file", "1");
    scene.Stage("new", "2");
  }
  SECTION("our folder") {
    scene.StageOnSide("new", "1");
    scene.Stage("new/file", "2");
  }
  SECTION("a file below a folder that became a file") {
    scene.StageOnSide("d/new", "1");
    scene.Remove("d");
    scene.Stage("d", "2");
  }
  scene.CommitSide();
  scene.Commit();
  CHECK_FALSE(conflicts().empty());
  CHECK(scene.Merge("main", "side").error().code() == ErrorCode::kConflict);
}

TEST_CASE("Rebase: a file replaced by a folder here is no conflict where the others left it", "[core][merge]") {
  Branches scene;
  scene.Remove("d");
  scene.Remove("both");
  scene.Stage("both/x/y", "ours");
  scene.StageOnSide("theirs", "1");
  scene.CommitSide();
  Value(History(scene.repository()).Merge("main", "side", "forward", {"Ann", "a"}));
  scene.Commit();
  CHECK(scene.AllFiles() == Files{{"both/x/y", "ours"}, {"theirs", "1"}});
}

TEST_CASE("Rebase: a new folder and a symbolic link never hide what the other side put there", "[core][merge]") {
  Branches scene;
  scene.StageOnSide("name", "theirs");
  SECTION("an empty folder makes way") {
    scene.MakeFolder("name");
    scene.CommitSide();
    Value(History(scene.repository()).Merge("main", "side", "forward", {"Ann", "a"}));
    Value(Rebase(scene.workspace()));
    CHECK(scene.Read("name") == "theirs");
  }
  SECTION("one with a file in it is a conflict") {
    scene.Stage("name/file", "ours");
    scene.CommitSide();
    Value(History(scene.repository()).Merge("main", "side", "forward", {"Ann", "a"}));
    CHECK(Rebase(scene.workspace()).error().code() == ErrorCode::kConflict);
  }
  SECTION("so is a link") {
    Ok(scene.workspace().Link({kRootFolder, "name"}, "elsewhere", "/mnt").WithoutValue());
    scene.CommitSide();
    Value(History(scene.repository()).Merge("main", "side", "forward", {"Ann", "a"}));
    CHECK(Rebase(scene.workspace()).error().code() == ErrorCode::kConflict);
  }
}

TEST_CASE("Merge: a path changed on both sides is a conflict that changes nothing", "[core][merge]") {
  Branches scene;
  scene.StageOnSide("both", "theirs");
  scene.CommitSide();
  scene.Stage("both", "ours");
  scene.Commit();
  CHECK(Value(History(scene.repository()).PreviewMerge("main", "side")).conflicts == std::vector<std::string>{"both"});
  const auto refused = scene.Merge("main", "side");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == ErrorCode::kConflict);
  CHECK(scene.TreeOf("main")["both"] == "ours");
  CHECK(Value(History(scene.repository()).Log("main", 0, 10)).total == 3);
}

TEST_CASE("Merge: the same change on both sides merges", "[core][merge]") {
  Branches scene;
  scene.StageOnSide("both", "same");
  scene.CommitSide();
  scene.Stage("both", "same");
  scene.Commit();
  CHECK(Value(History(scene.repository()).ParentsOf(Value(scene.Merge("main", "side")).merge)).size() == 2);
}

TEST_CASE("Workspace: conflicts with a branch are listed", "[core][merge]") {
  Branches scene;
  scene.StageOnSide("both", "theirs");
  scene.CommitSide();
  scene.Stage("both", "ours");
  scene.Stage("ours", "ours");
  CHECK(Value(FindConflicts(scene.workspace(), "side")) == std::vector<std::string>{"both"});
  CHECK(Value(FindConflicts(scene.workspace(), "main")).empty());
  CHECK(scene.StatusLines().size() == 2);
}

TEST_CASE("History: a path's commits are those that changed it or what is below it", "[core][merge]") {
  Branches scene;
  scene.Stage("d/new", "1");
  const std::string second = scene.Commit("second");
  scene.Stage("ours", "1");
  scene.Commit("third");
  scene.Rename("d", "e");
  const std::string moved = scene.Commit("moved");
  const auto history = [&](const std::string& path) {
    std::vector<std::string> messages;
    for (const auto& commit :
         Value(History(scene.repository()).LogOf("main", Value(RepoPath::ParseDirectory(path)), 0, 10)).commits) {
      messages.push_back(commit.message);
    }
    return messages;
  };
  CHECK(history("both") == Lines{"base"});
  CHECK(history("d") == Lines{"moved", "second", "base"});
  CHECK(history("d/new") == Lines{"moved", "second"});
  CHECK(history("e/new") == Lines{"moved"});
  CHECK(history("").size() == 5);
  CHECK(Value(History(scene.repository()).LogOf("main", RepoPath(), 1, 2)).commits.size() == 2);
}

TEST_CASE("History: what one of two commits descends from and the other does not", "[core][merge]") {
  Branches scene;
  scene.StageOnSide("theirs", "1");
  const CommitInfo theirs = scene.CommitSide();
  scene.Stage("ours", "1");
  scene.Commit("ours");
  scene.Stage("ours", "2");
  scene.Commit("ours again");
  History history(scene.repository());
  const CommitSeq main = Value(history.Resolve("main")).seq;
  const auto apart = [&](CommitSeq base, CommitSeq head, bool both, int64_t skip = 0, size_t limit = 10) {
    const ApartPage page = Value(history.LogApart(base, head, both, skip, limit));
    Lines lines{std::to_string(page.total)};
    for (const auto& [commit, of_base] : page.commits) lines.push_back((of_base ? "base " : "head ") + commit.message);
    return lines;
  };
  CHECK(apart(theirs.seq, main, false) == Lines{"2", "head ours again", "head ours"});
  CHECK(apart(main, theirs.seq, false) == Lines{"1", "head side"});
  CHECK(apart(main, main, true) == Lines{"0"});
  CHECK(apart(main, theirs.seq, true) == Lines{"3", "base ours again", "base ours", "head side"});
  CHECK(apart(main, theirs.seq, true, 1, 1) == Lines{"3", "base ours"});
  CHECK(Value(history.MergeBase(main, theirs.seq)).message == "base");
  CHECK(Value(history.MergeBase(main, main)).message == "ours again");
  Value(scene.Merge("main", "side"));
  const CommitSeq merged = Value(history.Resolve("main")).seq;
  CHECK(apart(merged, theirs.seq, false) == Lines{"0"});
  CHECK(apart(main, merged, false) == Lines{"2", "head merge", "head side"});
  CHECK(Value(history.MergeBase(merged, theirs.seq)).seq == theirs.seq);
}

TEST_CASE("Seed: files go into the first commit, and only there", "[core][merge]") {
  Scene scene;
  const VersionInfo readme = Value(scene.repository().PutBytes("# hello"));
  const RepoPath path = Value(RepoPath::Parse("docs/README.md"));
  const CommitInfo first = Value(History(scene.repository()).Seed({{path, readme.id}}));
  CHECK(Value(History(scene.repository()).Log("main", 0, 10)).total == 1);
  CHECK(Value(OpenTree(scene.repository(), first))->Find(path));
  CHECK(scene.Read("docs/README.md") == "# hello");
  scene.Stage("x", "1");
  scene.Commit();
  CHECK(History(scene.repository()).Seed({{path, readme.id}}).error().code() == ErrorCode::kConflict);
}

TEST_CASE("StageVersions: one that cannot be staged leaves the others", "[core][workspace]") {
  Scene scene;
  scene.Stage("file", "0");
  const VersionId version = Value(scene.repository().PutBytes("x")).id;
  std::vector<Workspace::NamedVersion> files;
  for (const char* path : {"a/b", "file/below", "c"})
    files.push_back({Value(RepoPath::Parse(path)), version});
  const auto outcomes = Value(scene.workspace().StageVersions(files, {}));
  REQUIRE(outcomes.size() == 3);
  CHECK(outcomes[0]);
  CHECK(outcomes[1].error().code() == ErrorCode::kNotDirectory);
  CHECK(outcomes[2]);
  CHECK(scene.AllFiles() == Files{{"a/b", "x"}, {"c", "x"}, {"file", "0"}});
}

TEST_CASE("Root: a repository that was deleted and made again is another one", "[core][root]") {
  TempFolder folder;
  const RepositoryName name{"t", "r"};
  Root root(folder.path());
  auto first = Value(root.Create(name));
  CHECK(root.Create(name).error().code() == ErrorCode::kExists);
  CHECK(Value(root.Open(name)) == first);
  Value(first->PutBytes("kept"));
  // Deleting waits for whoever uses it.
  std::jthread user([&first] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    first.reset();
  });
  Ok(root.Delete(name));
  CHECK(root.Open(name).error().code() == ErrorCode::kNotFound);
  Ok(CreateRepository(folder.path(), name));
  const auto second = Value(root.Open(name));
  CHECK_FALSE(second->FindVersion(ToHex(HashOf("kept").sha256)));
  // By another process, as far as this one can tell.
  Ok(DeleteRepository(folder.path(), name));
  CHECK(root.Open(name).error().code() == ErrorCode::kNotFound);
}

}  // namespace stagefs::test
