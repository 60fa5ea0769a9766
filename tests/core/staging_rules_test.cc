// What staging one path means: every row of the rules.
#include "core/tree/overlay.h"
#include "stagefs/status.h"
#include "tests/catch.h"
#include "tests/scene.h"
#include "stagefs/scratch_names.h"
#include "stagefs/status.h"

namespace stagefs::test {

TEST_CASE("Staging: a path the base does not have is added", "[core][staging]") {
  Scene scene(GENERATE(false, true));
  CHECK(scene.Stage("images/cat.jpg", "cat") == StageOutcome::kAdded);
  CHECK(scene.Read("images/cat.jpg") == "cat");
  CHECK(scene.StatusLines() == Lines{"A  images/cat.jpg"});
}

TEST_CASE("Staging: other content than the base's is modified", "[core][staging]") {
  Scene scene;
  scene.Stage("a", "1");
  scene.Commit();
  CHECK(scene.Stage("a", "2") == StageOutcome::kModified);
  CHECK(scene.StatusLines() == Lines{"M  a"});
  CHECK(scene.Read("a") == "2");
}

TEST_CASE("Staging: the base's own content is unchanged and withdraws what is pending", "[core][staging]") {
  Scene scene;
  scene.Stage("a", "1");
  scene.Commit();
  CHECK(scene.Stage("a", "1") == StageOutcome::kUnchanged);
  scene.Stage("a", "2");
  CHECK(scene.Stage("a", "1") == StageOutcome::kUnchanged);
  CHECK(scene.StatusLines().empty());
  scene.Remove("a");
  CHECK(scene.StatusLines() == Lines{"D  a"});
  CHECK(scene.Stage("a", "1") == StageOutcome::kUnchanged);
  CHECK(scene.StatusLines().empty());
  CHECK(scene.Read("a") == "1");
}

TEST_CASE("Staging: update_timestamp stages the base's own content as modified, with time now",
          "[core][staging]") {
  Scene scene;
  scene.Stage("a", "1");
  scene.Commit();
  const int64_t before = Value(scene.workspace().tree().LookUp({kRootFolder, "a"}))->mtime_ns;
  CHECK(scene.Stage("a", "1", true) == StageOutcome::kModified);
  CHECK(Value(scene.workspace().tree().LookUp({kRootFolder, "a"}))->mtime_ns > before);
  CHECK(scene.StatusLines() == Lines{"M  a"});
  scene.Commit();
  CHECK(scene.StatusLines().empty());
}

TEST_CASE("Staging: without update_timestamp a path has its version's time", "[core][staging]") {
  Scene scene;
  const auto version = Value(scene.repository().PutBytes("old"));
  Ok(scene.workspace()
         .StagePath(Value(RepoPath::Parse("a")), ToHex(version.content.xxh3), {})
         .WithoutValue());
  CHECK(Value(scene.workspace().tree().LookUp({kRootFolder, "a"}))->mtime_ns == version.stored_ns);
}

TEST_CASE("Staging: an unknown version is refused by name and changes nothing", "[core][staging]") {
  Scene scene;
  const std::string hash(64, 'a');
  const auto staged = scene.workspace().StagePath(Value(RepoPath::Parse("x/y")), hash, {});
  REQUIRE_FALSE(staged);
  CHECK(staged.error().code() == ErrorCode::kNotFound);
  CHECK(staged.error().message().find(hash) != std::string::npos);
  CHECK_FALSE(scene.Exists("x"));
}

TEST_CASE("Staging: a file cannot be where a folder is, nor the reverse", "[core][staging]") {
  Scene scene;
  scene.Stage("folder/file", "1");
  const std::string hash = scene.Put("2");
  CHECK(scene.workspace().StagePath(Value(RepoPath::Parse("folder")), hash, {}).error().code() ==
        ErrorCode::kIsDirectory);
  CHECK(scene.workspace().StagePath(Value(RepoPath::Parse("folder/file/below")), hash, {}).error().code() ==
        ErrorCode::kNotDirectory);
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"folder/file", "1"}});
}

TEST_CASE("Staging: removing a staged addition unstages it", "[core][staging]") {
  Scene scene;
  scene.Stage("a", "1");
  scene.Remove("a");
  CHECK(scene.StatusLines().empty());
  CHECK_FALSE(scene.Exists("a"));
}

TEST_CASE("Staging: removing a folder removes its files and nothing else", "[core][staging]") {
  Scene scene;
  scene.Stage("d/a", "1");
  scene.Stage("d/e/b", "2");
  scene.Stage("keep", "3");
  scene.Commit();
  scene.Stage("d/new", "4");
  scene.Remove("d");
  CHECK(scene.StatusLines() == Lines{"D  d/a", "D  d/e/b"});
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"keep", "3"}});
  scene.MakeFolder("d");
  CHECK(scene.Stage("d/a", "1") == StageOutcome::kUnchanged);
  CHECK(scene.StatusLines() == Lines{"D  d/e/b"});
}

TEST_CASE("Rename: a file is removed there and added here", "[core][staging]") {
  Scene scene;
  scene.Stage("a", "1");
  scene.Commit();
  scene.Rename("a", "b");
  CHECK(scene.StatusLines() == Lines{"D  a", "A  b"});
  scene.Rename("b", "a");
  CHECK(scene.StatusLines().empty());
}

TEST_CASE("Rename: all four styles of saving are one modification", "[core][staging]") {
  Scene scene;
  scene.Stage("doc", "old");
  scene.Commit();
  SECTION("in place") { scene.Write("doc", "new"); }
  SECTION("written aside and renamed over") {
    scene.Write(".doc.Xy12Zq", "new");
    CHECK(scene.StatusLines() == Lines{"?  .doc.Xy12Zq (scratch, never staged)"});
    scene.Rename(".doc.Xy12Zq", "doc");
  }
  SECTION("removed, then renamed into place") {
    scene.Write("doc.part", "new");
    scene.Remove("doc");
    scene.Rename("doc.part", "doc");
  }
  SECTION("renamed away and made again") {
    scene.Rename("doc", "doc~");
    scene.Write("doc", "new");
    scene.Remove("doc~");
  }
  CHECK(scene.StatusLines() == Lines{"M  doc"});
  CHECK(scene.Read("doc") == "new");
}

TEST_CASE("Rename: a folder of any size costs a constant number of rows", "[core][staging]") {
  Scene scene;
  for (int i = 0; i < 50; ++i) scene.Stage("old/sub/" + std::to_string(i), std::to_string(i % 5));
  scene.Commit();
  scene.Rename("old", "new");
  CHECK(Value(Value(scene.repository().index().Read())->ScanStaged(scene.workspace().id(), std::nullopt, 100)).size() ==
        2);
  CHECK(scene.StatusLines() == Lines{"R  old -> new (50 files)"});
  CHECK(scene.Read("new/sub/7") == "2");
  CHECK_FALSE(scene.Exists("old"));
  SECTION("and is undone by either name") {
    scene.Unstage(GENERATE("old", "new"));
    CHECK(scene.StatusLines().empty());
    CHECK(scene.Read("old/sub/7") == "2");
  }
  SECTION("and by renaming it back") {
    scene.Rename("new", "old");
    CHECK(scene.StatusLines().empty());
  }
  SECTION("and is committed as it is") {
    scene.Commit();
    CHECK(scene.StatusLines().empty());
    CHECK(scene.BaseFiles().size() == 50);
    CHECK(scene.BaseFiles() == scene.AllFiles());
  }
  SECTION("and keeps what is changed inside it apart") {
    scene.Stage("new/sub/7", "changed");
    scene.Stage("new/added", "x");
    CHECK(scene.StatusLines() == Lines{"R  old -> new (51 files)", "A  new/added", "M  new/sub/7"});
    scene.Commit();
    CHECK(scene.Read("new/sub/7") == "changed");
    CHECK(scene.BaseFiles() == scene.AllFiles());
  }
}

TEST_CASE("Rename: a folder cannot move into itself, nor over one that holds something", "[core][staging]") {
  Scene scene;
  scene.Stage("a/b/c", "1");
  scene.Stage("d/e", "2");
  CHECK(scene.workspace()
            .Rename(scene.SlotOf("a"), scene.SlotOf("a/b/x"), RenameMode::kReplace)
            .error()
            .code() == ErrorCode::kInvalidArgument);
  CHECK(scene.workspace().Rename(scene.SlotOf("a"), scene.SlotOf("d"), RenameMode::kReplace).error().code() ==
        ErrorCode::kNotEmpty);
  CHECK(
      scene.workspace().Rename(scene.SlotOf("a"), scene.SlotOf("d/e"), RenameMode::kReplace).error().code() ==
      ErrorCode::kNotDirectory);
  CHECK(scene.workspace()
            .Rename(scene.SlotOf("d/e"), scene.SlotOf("a/b"), RenameMode::kReplace)
            .error()
            .code() == ErrorCode::kIsDirectory);
}

TEST_CASE("Rename: NOREPLACE refuses and EXCHANGE swaps", "[core][staging]") {
  Scene scene;
  scene.Stage("a", "1");
  scene.Stage("d/b", "2");
  scene.Commit();
  CHECK(scene.workspace()
            .Rename(scene.SlotOf("a"), scene.SlotOf("d/b"), RenameMode::kNoReplace)
            .error()
            .code() == ErrorCode::kExists);
  Ok(scene.workspace().Rename(scene.SlotOf("a"), scene.SlotOf("d"), RenameMode::kExchange));
  CHECK(scene.Read("d") == "1");
  CHECK(scene.Read("a/b") == "2");
  scene.Commit();
  CHECK(scene.BaseFiles() == std::map<std::string, std::string>{{"a/b", "2"}, {"d", "1"}});
}

TEST_CASE("Traits: a changed time is kept and not staged, a changed exec bit is a modification",
          "[core][staging]") {
  Scene scene;
  scene.Stage("a", "1");
  scene.Commit();
  const Slot slot = scene.SlotOf("a");
  Ok(scene.workspace().SetTraits(slot, 1'000'000'005, std::nullopt).WithoutValue());
  CHECK(scene.StatusLines().empty());
  CHECK(Value(scene.workspace().tree().LookUp(slot))->mtime_ns == 1'000'000'005);
  Ok(scene.workspace().SetTraits(slot, std::nullopt, FileMode{true, std::nullopt}).WithoutValue());
  CHECK(scene.StatusLines() == Lines{"M  a"});
  Ok(scene.workspace().SetTraits(slot, std::nullopt, FileMode{false, std::nullopt}).WithoutValue());
  CHECK(scene.StatusLines().empty());
  CHECK(scene.workspace().SetTraits({kRootFolder, "nope"}, 1, std::nullopt).error().code() ==
        ErrorCode::kNotFound);
}

TEST_CASE("Traits: permissions stay with what is staged or kept, and are no part of a commit", "[core][staging]") {
  Scene scene;
  scene.Stage("d/kept", "1");
  scene.Commit();
  const FileMode only_mine{false, 0600};
  const auto mode_of = [&](const std::string& path) {
    return Value(scene.workspace().tree().LookUp(scene.SlotOf(path)))->mode();
  };
  Ok(scene.workspace().SetTraits(scene.SlotOf("d/kept"), std::nullopt, only_mine).WithoutValue());
  Ok(scene.workspace().SetTraits(scene.SlotOf("d"), std::nullopt, FileMode{true, 0700}).WithoutValue());
  CHECK(scene.StatusLines().empty());
  scene.Stage("new", "2");
  Ok(scene.workspace().SetTraits(scene.SlotOf("new"), std::nullopt, only_mine).WithoutValue());
  scene.Stage("new", "3");
  Ok(scene.workspace().Rename(scene.SlotOf("new"), scene.SlotOf("other"), RenameMode::kReplace));
  CHECK(mode_of("other") == only_mine);
  scene.Commit();
  CHECK(mode_of("other") == FileMode());
  CHECK(mode_of("d/kept") == only_mine);
  CHECK(mode_of("d").permissions == 0700);
  // Away and back it is still not as in the base.
  Ok(scene.workspace().Rename(scene.SlotOf("d"), scene.SlotOf("e"), RenameMode::kReplace));
  Ok(scene.workspace().Rename(scene.SlotOf("e"), scene.SlotOf("d"), RenameMode::kReplace));
  CHECK(mode_of("d").permissions == 0700);
  CHECK(scene.StatusLines().empty());
  for (const char* path : {"d/kept", "d"}) {
    Ok(scene.workspace().SetTraits(scene.SlotOf(path), std::nullopt, FileMode()).WithoutValue());
    CHECK_FALSE(mode_of(path).permissions);
  }
}

TEST_CASE("Scratch: written names are scratch, named ones are not", "[core][staging]") {
  Scene scene;
  CHECK(scene.Write(".DS_Store", "junk") == StageOutcome::kScratch);
  CHECK(scene.Stage("Thumbs.db", "meant") == StageOutcome::kAdded);
  CHECK(scene.StatusLines() == Lines{"?  .DS_Store (scratch, never staged)", "A  Thumbs.db"});
  scene.Commit();
  CHECK(scene.BaseFiles().size() == 1);
  CHECK(scene.Read(".DS_Store") == "junk");
  CHECK(scene.Write("Thumbs.db", "in the base: ordinary") == StageOutcome::kModified);
}

TEST_CASE("Scratch: an unfinished file is scratch only while the finished one is beside it", "[core][staging]") {
  Scene scene;
  scene.Stage("film", "whole");
  scene.Stage("folder/film", "whole");
  CHECK(scene.Write("film.part", "half") == StageOutcome::kScratch);
  CHECK(scene.Write("folder/alone.part", "all there is") == StageOutcome::kScratch);
  scene.Stage("named.part", "meant");
  scene.Stage("named", "too");
  CHECK(scene.StatusLines() == Lines{"A  film", "?  film.part (scratch, never staged)", "A  folder/alone.part",
                                     "A  folder/film", "A  named", "A  named.part"});
  CHECK(Value(scene.workspace().StatusOf(scene.SlotOf("folder/alone.part"))) == "added");
  CHECK(Value(scene.workspace().StatusOf(scene.SlotOf("film.part"))) == "scratch");
  scene.Commit();
  CHECK(scene.StatusLines() == Lines{"?  film.part (scratch, never staged)"});
  CHECK(scene.BaseFiles() == std::map<std::string, std::string>{
                                 {"film", "whole"}, {"folder/alone.part", "all there is"}, {"folder/film", "whole"},
                                 {"named", "too"}, {"named.part", "meant"}});
  Ok(scene.workspace().Remove(scene.SlotOf("film")));
  CHECK(scene.StatusLines() == Lines{"D  film", "A  film.part"});
  scene.Commit();
  CHECK(scene.StatusLines().empty());
  CHECK(scene.BaseFiles().count("film.part") == 1);
}

TEST_CASE("Scratch: the names that are and those that never are", "[core][staging]") {
  for (const char* name :
       {".goutputstream-A1B2C3", ".photo.jpg.a8Xk2Q", "video.mkv.part", ".notes.swp", ".x.swo", "4913",
        ".~lock.table.ods#", ".DS_Store", "._photo.jpg", "Thumbs.db", "desktop.ini", ".nfs0001",
        ".fuse_hidden0001", "batch.stage.json", "a.stage.csv", "b.stage.sum.result.json"}) {
    INFO(name);
    CHECK(IsScratchFile(name, 0));
  }
  for (const char* name :
       {"index.lock", "tmpabcdefgh", "sedXXXXXX", "notes~", ".hidden", ".eslint.config", "part", ".part",
        "photo.jpg", "stage.json", "49130", ".gitignore", "result.json"}) {
    INFO(name);
    CHECK_FALSE(IsScratchFile(name, 0));
  }
  CHECK_FALSE(IsScratchFile("4913", 1));
}

TEST_CASE("Link: a target that is content stages it, any other stays a link", "[core][staging]") {
  Scene scene;
  const std::string hash = scene.Put("cat");
  scene.Stage("d/file", "dog");
  const auto link = [&](const std::string& target) {
    const std::string name = "l" + std::to_string(std::hash<std::string>()(target));
    return Value(scene.workspace().Link(
        {Value(scene.workspace().tree().Find(Value(RepoPath::Parse("d")))).entry.child, name}, target, "/mnt/w"));
  };
  for (const std::string& target :
       {hash, "sha256:" + hash, "../.stagefs/versions/" + hash, "/elsewhere/" + hash}) {
    INFO(target);
    CHECK(link(target).staged);
  }
  for (const char* target :
       {"nowhere", "file", "./file", "/mnt/w/d/file", "../../outside", "/mnt/w/d", "/mnt/wider/d/file",
        "/etc/passwd", "cafe"}) {
    INFO(target);
    const auto linked = link(target);
    CHECK_FALSE(linked.staged);
    CHECK(linked.entry.target == target);
  }
  const auto unknown = scene.workspace().Link({kRootFolder, "u"}, std::string(64, 'b'), "/mnt/w");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code() == ErrorCode::kNotFound);
}

TEST_CASE("Listing: pages merge the base and what is staged", "[core][staging]") {
  Scene scene;
  for (const char* name : {"a", "c", "e", "g", "i"}) scene.Stage(name, name);
  scene.Commit();
  for (const char* name : {"b", "d", "h", "j"}) scene.Stage(name, name);
  for (const char* name : {"a", "e", "i"}) scene.Remove(name);
  std::string names;
  std::string after;
  const size_t limit = GENERATE(1, 2, 3, 100);
  for (;;) {
    const auto page = Value(scene.workspace().tree().List(kRootFolder, after, limit));
    for (const auto& [name, entry] : page) names += name;
    if (page.size() < limit) break;
    after = page.back().name;
  }
  CHECK(names == "bcdghj");
}

TEST_CASE("Folders: an empty one lives in the workspace, not in commits", "[core][staging]") {
  Scene scene;
  scene.MakeFolder("empty");
  scene.Stage("full/a", "1");
  CHECK(scene.StatusLines() == Lines{"E  empty/ (empty folder, not in commits)", "A  full/a"});
  scene.Commit();
  CHECK(scene.Exists("empty"));
  CHECK_FALSE(scene.workspace().base().Find(Value(RepoPath::Parse("empty"))));
  scene.Remove("full/a");
  scene.Commit();
  CHECK(scene.Exists("full"));
  CHECK_FALSE(scene.workspace().base().Find(Value(RepoPath::Parse("full"))));
  scene.Reopen();
  CHECK(scene.Exists("full"));
  scene.Stage("full/again", "2");
  scene.Commit();
  CHECK(scene.BaseFiles() == std::map<std::string, std::string>{{"full/again", "2"}});
}

TEST_CASE("Staging: folders nested deeper than any stack are listed, compared, committed and removed", "[core][deep]") {
  Scene scene;
  FolderId folder = kRootFolder;
  // As an index may have them that was made before paths were limited in every door.
  {
    const WorkspaceInfo info = Value(scene.workspace().Info());
    const auto change = Value(DurableChange::Begin(scene.repository(), Durability::kProcessDeath,
                                                   Turn::Workspace(scene.workspace().id())));
    Overlay overlay(*change, info, Value(change->index().ViewOf(info.base)), kNoMount);
    for (int i = 0; i < 20'000; ++i) {
      const FolderId below = Value(change->index().NewFolder());
      Ok(overlay.Place({folder, "d"}, Entry::OfFolder(below)).WithoutValue());
      folder = below;
    }
    const VersionInfo version = *Value(change->index().FindVersion(HashRef(EmptyContent().sha256)));
    Ok(overlay.StageVersion({folder, "f"}, version, {}).WithoutValue());
    Ok(change->Commit());
  }
  int lines = 0;
  const auto count = [&](const StatusLine& line) -> Status {
    ++lines;
    CHECK(line.path.size() == 40'001);
    return {};
  };
  Ok(ForEachStatus(scene.workspace(), count));
  Ok(ForEachChange(scene.workspace(), count));
  CHECK(lines == 2);
  scene.Commit();
  CHECK(Value(scene.workspace().tree().PathOf(folder)).size() == 39'999);
  scene.Remove("d");
  CHECK(scene.StatusLines().size() == 1);
  Ok(scene.workspace().Unstage({RepoPath()}).WithoutValue());
  CHECK(scene.StatusLines().empty());
}

TEST_CASE("Staging: no folder gets a path of more than 4,096 bytes, made or moved name by name", "[core][deep]") {
  Scene scene;
  const std::string name(255, 'n');
  FolderId folder = kRootFolder;
  for (int i = 0; i < 16; ++i) folder = Value(scene.workspace().MakeFolder({folder, name})).child;
  CHECK(Value(scene.workspace().tree().PathOf(folder)).size() == 4'095);
  CHECK(scene.workspace().MakeFolder({folder, "x"}).error().code() == ErrorCode::kNameTooLong);
  Ok(scene.workspace().MakeFolder({kRootFolder, "x"}).WithoutValue());
  const Status moved = scene.workspace().Rename({kRootFolder, "x"}, {folder, "x"}, RenameMode::kReplace);
  CHECK(moved.error().code() == ErrorCode::kNameTooLong);
}

}  // namespace stagefs::test
