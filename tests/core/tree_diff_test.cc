// What trees show differently, and old states staged again, beside plain walks of both trees.
#include "stagefs/tree_diff.h"

#include <random>

#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "stagefs/restore.h"
#include "stagefs/workspaces.h"
#include "stagefs/written_manifest.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

using Files = std::map<std::string, std::string>;

struct TreeScene : Scene {
  RepoPath Path(const std::string& text) { return Value(RepoPath::ParseDirectory(text)); }
  Revision Now() {
    Revision now;
    now.workspace = Value(workspace().Info());
    now.commit = *Value(Value(repository().index().Read())->GetCommit(now.workspace->base));
    return now;
  }
  Revision BaseOfNow() {
    Revision base = Now();
    base.workspace.reset();
    return base;
  }
  // "A path", "M path", "D path", "R from > path".
  Lines Diff(const Revision& before, const Revision& after, const std::vector<std::string>& paths = {},
             bool find_moves = true) {
    DiffRequest request{before, after, {}, find_moves};
    for (const std::string& path : paths) request.paths.push_back(Path(path));
    Lines lines;
    Ok(DiffTrees(repository(), request, [&](const TreeChange& change, IndexReader&) -> Status {
      const char kind = "AMDR"[static_cast<int>(change.kind)];
      lines.push_back(std::string(1, kind) + ' ' + (kind == 'R' ? change.moved_from + " > " : "") + change.path);
      return {};
    }));
    return lines;
  }
  // "A path/", "M path/", "D path/" of the folders that something differs below.
  Lines ChangedFolders(const Revision& before, const Revision& after, const std::string& path = "") {
    Lines lines;
    const DiffRequest request{before, after, {Path(path)}, false};
    Ok(DiffTrees(
        repository(), request, [](const TreeChange&, IndexReader&) { return Status(); },
        [&](const std::string& folder, TreeChange::Kind kind) -> Status {
          lines.push_back(std::string(1, "AMDR"[static_cast<int>(kind)]) + ' ' + folder + '/');
          return {};
        }));
    return lines;
  }
  void Move(const std::string& from, const std::string& to) { Ok(workspace().MovePath(Path(from), Path(to))); }
  void Remove(const std::string& path) { Ok(workspace().RemovePaths({Path(path)})); }
  std::string Manifest(const Revision& revision, const ManifestStyle& style, const std::string& path = "") {
    std::string text;
    Ok(WriteManifest(repository(), revision, Path(path), style, [&](std::string_view piece) -> Status {
         text += piece;
         return {};
       }).WithoutValue());
    return text;
  }
};

std::string HexOfText(const std::string& text) { return ToHex(HashOf(text).sha256); }

// What a diff without moves says, by looking at everything.
Lines PlainDiff(const Files& before, const Files& after) {
  std::map<std::string, char> kinds;
  for (const auto& [path, text] : before) kinds[path] = 'D';
  for (const auto& [path, text] : after) {
    const auto old = before.find(path);
    if (old == before.end()) kinds[path] = 'A';
    else if (old->second == text) kinds.erase(path);
    else kinds[path] = 'M';
  }
  Lines lines;
  for (const auto& [path, kind] : kinds) lines.push_back(std::string(1, kind) + ' ' + path);
  return lines;
}

// What folders a diff enters, by looking at everything.
Lines PlainChangedFolders(const Files& before, const Files& after) {
  const auto has = [](const Files& files, const std::string& folder) {
    const auto in = [&](const auto& file) { return folder.empty() || file.first.starts_with(folder + '/'); };
    return folder.empty() || std::any_of(files.begin(), files.end(), in);
  };
  std::map<std::string, char> kinds;
  for (const std::string& line : PlainDiff(before, after)) {
    std::string folder = line.substr(2);
    do {
      folder.resize(folder.find('/') == std::string::npos ? 0 : folder.rfind('/'));
      kinds[folder] = !has(before, folder) ? 'A' : !has(after, folder) ? 'D' : 'M';
    } while (!folder.empty());
  }
  Lines lines;
  for (const auto& [folder, kind] : kinds) lines.push_back(std::string(1, kind) + ' ' + folder + '/');
  return lines;
}

Lines Sorted(Lines lines) {
  const auto by_path = [](const std::string& a, const std::string& b) { return a.substr(2) < b.substr(2); };
  std::sort(lines.begin(), lines.end(), by_path);
  return lines;
}

// A few random changes, and now and then a commit; names are few, so that they come again.
class RandomChanges {
 public:
  RandomChanges(TreeScene& scene, unsigned seed) : scene_(scene), random_(seed) {}

  void Run(int changes) {
    for (int i = 0; i < changes; ++i) Change();
  }

 private:
  size_t Below(size_t end) { return random_() % end; }
  std::string RandomPath() {
    static const char* kNames[] = {"a", "b", "a-b", "c"};
    std::string path = kNames[Below(4)];
    while (Below(2) == 0) path += std::string("/") + kNames[Below(4)];
    return path;
  }
  std::string RandomThere() {
    Files files = scene_.AllFiles();
    if (files.empty()) return RandomPath();
    std::string path = std::next(files.begin(), static_cast<ptrdiff_t>(Below(files.size())))->first;
    while (Below(3) == 0 && path.find('/') != std::string::npos) path = path.substr(0, path.rfind('/'));
    return path;
  }
  // What cannot be done is not.
  void Change() {
    switch (Below(7)) {
      case 6: scene_.StageLink(RandomPath(), "to" + std::to_string(Below(3))); break;
      case 0: (void)scene_.workspace().RemovePaths({scene_.Path(RandomThere())}); break;
      case 1:
        (void)scene_.workspace().MovePath(scene_.Path(RandomThere()), scene_.Path(RandomPath()));
        break;
      default:
        (void)scene_.workspace().StagePath(scene_.Path(RandomPath()), scene_.Put(std::to_string(Below(5))), {});
    }
  }

  TreeScene& scene_;
  std::mt19937 random_;
};

}  // namespace

TEST_CASE("DiffTrees: what was added, modified, removed and moved", "[core][diff]") {
  TreeScene scene;
  scene.Stage("same", "same");
  scene.Stage("changed", "old");
  scene.Stage("gone", "gone");
  scene.Stage("d/moved", "moved");
  scene.Stage("d/stays", "stays");
  scene.Commit("one");
  scene.Stage("changed", "new");
  scene.Stage("new", "new file");
  scene.Remove("gone");
  scene.Move("d/moved", "e/moved too");
  scene.Commit("two");
  CHECK(scene.Diff(scene.At("main~1"), scene.At("main")) ==
        Lines{"M changed", "R d/moved > e/moved too", "D gone", "A new"});
  CHECK(scene.Diff(scene.At("main"), scene.At("main~1")) ==
        Lines{"M changed", "R e/moved too > d/moved", "A gone", "D new"});
  CHECK(scene.Diff(scene.At("main"), scene.At("main")).empty());
  CHECK(scene.Diff(scene.At("main~1"), scene.At("main"), {"e", "new", "new"}) == Lines{"A e/moved too", "A new"});
  CHECK(scene.Diff(scene.At("main~1"), scene.At("main"), {"same"}).empty());
  const DiffRequest nowhere{scene.At("main~1"), scene.At("main"), {scene.Path("nowhere")}, true};
  CHECK(DiffTrees(scene.repository(), nowhere, nullptr).error().code() == ErrorCode::kNotFound);
}

TEST_CASE("DiffTrees: files of one content that move pair in order, empty ones do not", "[core][diff]") {
  TreeScene scene;
  for (const char* name : {"a1", "a2", "a3"}) scene.Stage(name, "one content");
  scene.Stage("empty", "");
  scene.Commit("one");
  for (const char* name : {"a1", "a2", "a3", "empty"}) scene.Remove(name);
  for (const char* name : {"b1", "b2"}) scene.Stage(name, "one content");
  scene.Stage("void", "");
  scene.Commit("two");
  CHECK(scene.Diff(scene.At("main~1"), scene.At("main")) ==
        Lines{"D a3", "R a1 > b1", "R a2 > b2", "D empty", "A void"});
}

TEST_CASE("DiffTrees: of a workspace counts what a commit would take", "[core][diff]") {
  TreeScene scene;
  scene.Stage("a", "old");
  scene.Stage("b", "text");
  scene.Commit("one");
  const Slot slot = scene.SlotOf("b");
  Ok(scene.workspace().SetTraits(slot, 5, std::nullopt).WithoutValue());
  CHECK(scene.Diff(scene.BaseOfNow(), scene.Now()).empty());
  scene.Stage("a", "old", /*update_timestamp=*/true);
  CHECK(scene.Diff(scene.BaseOfNow(), scene.Now()) == Lines{"M a"});
  Ok(scene.workspace().SetTraits(slot, std::nullopt, FileMode{true, std::nullopt}).WithoutValue());
  CHECK(scene.Diff(scene.BaseOfNow(), scene.Now()) == Lines{"M a", "M b"});
  CHECK(scene.Diff(scene.Now(), scene.BaseOfNow()) == Lines{"M a", "M b"});
}

TEST_CASE("DiffTrees: a folder in the place of a file, and the reverse", "[core][diff]") {
  TreeScene scene;
  scene.Stage("x", "file");
  scene.Stage("y/deep/er", "1");
  scene.Commit("one");
  scene.Remove("x");
  scene.Stage("x/inside", "2");
  scene.Remove("y");
  scene.Stage("y", "3");
  scene.Commit("two");
  CHECK(scene.Diff(scene.At("main~1"), scene.At("main")) == Lines{"D x", "A x/inside", "A y", "D y/deep/er"});
}

TEST_CASE("DiffTrees: tells the folders on the way to what differs, once, before it", "[core][diff]") {
  TreeScene scene;
  scene.Stage("d/e/same", "same");
  scene.Stage("d/e/f/gone", "1");
  scene.Stage("moves/a", "moved");
  scene.Commit("one");
  scene.Remove("d/e/f");
  scene.Stage("d/e/one", "1");
  scene.Stage("d/e/two", "2");
  scene.Stage("new/er/x", "x");
  scene.Move("moves/a", "new/a");
  scene.Commit("two");
  CHECK(scene.ChangedFolders(scene.At("main~1"), scene.At("main")) ==
        Lines{"M /", "M d/", "M d/e/", "D d/e/f/", "D moves/", "A new/", "A new/er/"});
  CHECK(scene.ChangedFolders(scene.At("main~1"), scene.At("main"), "d/e") == Lines{"M d/e/", "D d/e/f/"});
  CHECK(scene.ChangedFolders(scene.At("main"), scene.At("main")).empty());
  Lines told;
  const DiffRequest request{scene.At("main~1"), scene.At("main"), {scene.Path("moves"), scene.Path("new")}, true};
  Ok(DiffTrees(
      scene.repository(), request,
      [&](const TreeChange& change, IndexReader&) { return told.push_back(change.path), Status(); },
      [&](const std::string& path, TreeChange::Kind) { return told.push_back(path + '/'), Status(); }));
  CHECK(told == Lines{"new/", "new/a", "new/er/", "new/er/x"});
}

TEST_CASE("DiffTrees: a folder with more changes than are remembered by name", "[core][diff]") {
  TreeScene scene;
  std::string manifest;
  const std::string hash = scene.Put("1"), other = scene.Put("2");
  for (int i = 0; i < 5000; ++i) manifest += hash + "  many/" + std::to_string(i) + "\n";
  scene.StageManifest(manifest);
  scene.Commit("one");
  CHECK(scene.Diff(scene.At("main~1"), scene.At("main")).size() == 5000);
  scene.Stage("many/77", "2");
  CHECK(scene.Diff(scene.BaseOfNow(), scene.Now()) == Lines{"M many/77"});
}

TEST_CASE("DiffTrees, Restore, Revert: as walks of both trees say, on random histories", "[core][diff]") {
  const auto seed = GENERATE(1U, 2U, 3U, 4U, 5U, 6U);
  CAPTURE(seed);
  TreeScene scene;
  RandomChanges changes(scene, seed);
  constexpr int kCommits = 8;
  int commits = 0;
  for (int i = 0; i < kCommits; ++i) {
    changes.Run(10);
    if (CommitStaged(scene.workspace(), "change", {"Ann", ""}, std::nullopt)) ++commits;
  }
  changes.Run(8);
  const auto at = [&](int back) { return "main~" + std::to_string(back); };
  for (int a = 0; a <= commits; ++a) {
    for (int b = 0; b <= commits; ++b) {
      CAPTURE(a, b);
      CHECK(Sorted(scene.Diff(scene.At(at(a)), scene.At(at(b)), {}, false)) ==
            PlainDiff(scene.FilesAt(at(a)), scene.FilesAt(at(b))));
      Lines folders = scene.ChangedFolders(scene.At(at(a)), scene.At(at(b)));
      Lines expected = PlainChangedFolders(scene.FilesAt(at(a)), scene.FilesAt(at(b)));
      CHECK(Sorted(folders) == Sorted(expected));
    }
    CHECK(Sorted(scene.Diff(scene.At(at(a)), scene.Now(), {}, false)) ==
          PlainDiff(scene.FilesAt(at(a)), scene.AllFiles()));
  }
  for (int a = 0; a <= commits; ++a) {
    CAPTURE(a);
    // One folder or file first, then all.
    const Files there = scene.FilesAt(at(a));
    if (!there.empty()) {
      const std::string top = there.begin()->first.substr(0, there.begin()->first.find('/'));
      Files expected = scene.AllFiles();
      std::erase_if(expected, [&](const auto& file) { return file.first == top || file.first.starts_with(top + '/'); });
      for (const auto& [path, text] : there) {
        if (path == top || path.starts_with(top + '/')) expected[path] = text;
      }
      Ok(Restore(scene.workspace(), scene.At(at(a)), {scene.Path(top)}).WithoutValue());
      CHECK(scene.AllFiles() == expected);
    }
    Ok(Restore(scene.workspace(), scene.At(at(a)), {scene.Path("")}).WithoutValue());
    CHECK(scene.AllFiles() == there);
    CHECK(scene.Diff(scene.At(at(a)), scene.Now()).empty());
  }
  // Each commit undone, the newest first, leads back to the beginning.
  Ok(Restore(scene.workspace(), scene.At("main"), {scene.Path("")}).WithoutValue());
  for (int a = 0; a < commits; ++a) {
    Ok(Revert(scene.workspace(), scene.At(at(a)).commit).WithoutValue());
    CHECK(scene.AllFiles() == scene.FilesAt(at(a + 1)));
  }
}

TEST_CASE("Restore: of what is as it was nothing is staged", "[core][diff]") {
  TreeScene scene;
  scene.Stage("d/a", "1");
  scene.Stage("b", "1");
  scene.Commit("one");
  CHECK(Value(Restore(scene.workspace(), scene.At("main"), {scene.Path("")})).staged == 0);
  scene.Remove("d");
  const Restored restored = Value(Restore(scene.workspace(), scene.At("main"), {scene.Path("d")}));
  CHECK(restored.staged == 1);
  CHECK(restored.removed == 0);
  CHECK(scene.StatusLines().empty());
  CHECK(Restore(scene.workspace(), scene.At("main"), {scene.Path("d"), scene.Path("no")}).error().code() ==
        ErrorCode::kNotFound);
}

TEST_CASE("Restore: time and executable bit come back, too", "[core][diff]") {
  TreeScene scene;
  scene.Stage("a", "1");
  Ok(scene.workspace().SetTraits(scene.SlotOf("a"), 1'234'567'890'123, FileMode{true, std::nullopt}).WithoutValue());
  scene.Commit("one");
  scene.Stage("a", "2");
  Ok(scene.workspace().SetTraits(scene.SlotOf("a"), 5, FileMode{false, std::nullopt}).WithoutValue());
  scene.Commit("two");
  Ok(Restore(scene.workspace(), scene.At("main~1"), {scene.Path("a")}).WithoutValue());
  const Entry entry = Value(scene.workspace().tree().Find(scene.Path("a"))).entry;
  CHECK(entry.executable);
  CHECK(entry.mtime_ns == 1'234'567'890'123);
}

TEST_CASE("Restore: over what is being written is refused", "[core][diff]") {
  TreeScene scene;
  scene.Stage("a", "1");
  scene.Commit("one");
  scene.Stage("a", "2");
  const auto copies = Value(WorkingCopies::Open(scene.repository()));
  WorkingCopyPlace place = PlaceAtRoot(scene.workspace(), "a");
  const UniqueFd written = Value(copies->Create(&place));
  CHECK(Restore(scene.workspace(), scene.At("main"), {scene.Path("a")}).error().code() == ErrorCode::kBusy);
  CHECK(Restore(scene.workspace(), scene.At("main"), {scene.Path("")}).error().code() == ErrorCode::kBusy);
  CHECK(scene.Read("a") == "2");
  Ok(copies->Forget(place, false));
}

TEST_CASE("RestoreTo: puts an old state where nothing is", "[core][diff]") {
  TreeScene scene;
  scene.Stage("d/a", "1");
  scene.Stage("d/e/b", "2");
  scene.Commit("one");
  scene.Remove("d");
  scene.Commit("two");
  CHECK(Value(RestoreTo(scene.workspace(), scene.At("main~1"), scene.Path("d"), scene.Path("old/d"))).staged == 2);
  CHECK(Value(RestoreTo(scene.workspace(), scene.At("main~1"), scene.Path("d/a"), scene.Path("a"))).staged == 1);
  CHECK(scene.AllFiles() == Files{{"a", "1"}, {"old/d/a", "1"}, {"old/d/e/b", "2"}});
  CHECK(RestoreTo(scene.workspace(), scene.At("main~1"), scene.Path("d"), scene.Path("old")).error().code() ==
        ErrorCode::kExists);
  CHECK(RestoreTo(scene.workspace(), scene.At("main"), scene.Path("d"), scene.Path("new")).error().code() ==
        ErrorCode::kNotFound);
}

TEST_CASE("Revert: refused, and nothing changed, where a path is something else by now", "[core][diff]") {
  TreeScene scene;
  scene.Stage("a", "1");
  scene.Stage("b", "1");
  scene.Commit("one");
  scene.Stage("a", "2");
  scene.Stage("b", "2");
  scene.Commit("two");
  scene.Stage("b", "3");
  const auto reverted = Revert(scene.workspace(), scene.At("main").commit);
  CHECK(reverted.error().code() == ErrorCode::kConflict);
  CHECK(reverted.error().message().ends_with("1 paths were changed since:\n  b"));
  CHECK(scene.AllFiles() == Files{{"a", "2"}, {"b", "3"}});
  CHECK(Revert(scene.workspace(), scene.At("main~2").commit).error().code() == ErrorCode::kInvalidArgument);
}

TEST_CASE("WriteManifest: in each format, and staged again it is the same", "[core][diff]") {
  TreeScene scene;
  const std::string newline = "new\nline\\", quote = "say \"hi\", \t you";
  for (const std::string& name : {std::string("d/plain"), newline, quote, std::string("z")}) scene.Stage(name, name);
  scene.Commit("one");
  const Files files = scene.FilesAt("main");
  for (const ManifestStyle& style :
       {ManifestStyle{}, ManifestStyle{ManifestFormat::kSum, true, false, false},
        ManifestStyle{ManifestFormat::kSum, false, true, true}, ManifestStyle{ManifestFormat::kSum, true, false, true},
        ManifestStyle{ManifestFormat::kNdjson, false, false, true}, ManifestStyle{ManifestFormat::kJson},
        ManifestStyle{ManifestFormat::kCsv}, ManifestStyle{ManifestFormat::kTsv}}) {
    const std::string manifest = scene.Manifest(scene.At("main"), style);
    CAPTURE(manifest);
    scene.Remove("d");
    for (const std::string& name : {newline, quote, std::string("z")}) scene.Remove(name);
    CHECK(scene.AllFiles().empty());
    const StageReport report = scene.StageManifest(manifest);
    CHECK(report.refused.size() == 0);
    CHECK(scene.AllFiles() == files);
  }
  const std::string one = scene.Manifest(scene.At("main"), {}, "d");
  CHECK(one == HexOfText("d/plain") + "  d/plain\n");
  CHECK(scene.Manifest(scene.At("main"), {}, "z") == HexOfText("z") + "  z\n");
  CHECK(scene.Manifest(scene.At("main~1"), {}).empty());
  CHECK(scene.Manifest(scene.At("main~1"), {ManifestFormat::kJson}) == "[]\n");
  CHECK(WriteManifest(scene.repository(), scene.At("main"), scene.Path(""), {ManifestFormat::kCsv, true}, nullptr)
            .error()
            .code() == ErrorCode::kInvalidArgument);
}

}  // namespace stagefs::test
