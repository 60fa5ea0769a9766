// Symbolic links: staged, committed, compared, written down, checked out and merged as files are.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "core/tree/overlay.h"
#include "stagefs/checkout.h"
#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "stagefs/missing.h"
#include "stagefs/restore.h"
#include "stagefs/revision.h"
#include "stagefs/tree_diff.h"
#include "stagefs/version_source.h"
#include "stagefs/workspaces.h"
#include "stagefs/written_manifest.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

using Files = std::map<std::string, std::string>;

struct LinkScene : Scene {
  RepoPath Path(const std::string& text) { return Value(RepoPath::ParseDirectory(text)); }
  // As 0.1.0 left it in a workspace.
  void KeepUnstaged(const std::string& path, const std::string& target, StagedState state = StagedState::kKept) {
    const Slot slot = SlotOf(path);
    const auto change = Value(repository().index().Begin(Durability::kPowerLoss));
    Ok(change->PutStaged(workspace().id(), slot, {Entry::OfSymlink(target, 1'000), state}));
    Ok(change->Commit());
  }
  std::string Manifest(const std::string& revision, ManifestFormat format, WrittenManifest* written = nullptr) {
    std::string text;
    ManifestStyle style;
    style.format = format;
    const auto done = Value(WriteManifest(repository(), At(revision), RepoPath(), style, [&](std::string_view piece) {
      text += piece;
      return Status();
    }));
    if (written != nullptr) *written = done;
    return text;
  }
  CommitResult CommitIn(Workspace& in) { return Value(CommitStaged(in, "change", {"Ann", "a"}, std::nullopt)); }
  // What clients that know no links are shown of a path: its text, or why it is left out.
  std::string Followed(const std::string& path) {
    const auto tree = Value(RevisionTree::Open(repository(), At("main"), LinksAre::kFollowed));
    const auto at = tree->Find(Path(path));
    if (!at) return tree->left_out_links().contains(path) ? tree->left_out_links().at(path) : at.error().message();
    const auto version = Value(tree->VersionOf(at->entry));
    std::string text(version.size_bytes, '\0');
    Value(Value(tree->OpenVersion(version))->ReadAt(text.data(), text.size(), 0));
    return text;
  }
};

}  // namespace

TEST_CASE("Symlink: staged, shown, committed, changed and removed like a file", "[core][symlink]") {
  LinkScene scene;
  scene.Stage("v1", "1");
  scene.StageLink("latest", "v1");
  CHECK(scene.StatusLines() == Lines{"A  latest -> v1 (symbolic link)", "A  v1"});
  CHECK(scene.CommitIn(scene.workspace()).left_out.total == 0);
  CHECK(scene.StatusLines().empty());
  const Files first{{"latest", "-> v1"}, {"v1", "1"}};
  CHECK(scene.FilesAt("main") == first);

  const int64_t time_ns = Value(scene.workspace().tree().LookUp({kRootFolder, "latest"}))->mtime_ns;
  scene.StageLink("latest", "v1");
  CHECK(scene.StatusLines().empty());
  CHECK(Value(scene.workspace().tree().LookUp({kRootFolder, "latest"}))->mtime_ns == time_ns);
  Ok(scene.workspace().SetTraits({kRootFolder, "latest"}, 5, std::nullopt).WithoutValue());
  CHECK(scene.StatusLines().empty());  // Times are the workspace's own.

  scene.StageLink("latest", "v2");
  CHECK(scene.StatusLines() == Lines{"M  latest -> v2 (symbolic link)"});
  CHECK(Value(scene.workspace().StatusOf({kRootFolder, "latest"})) == "modified");
  scene.Commit();
  scene.Rename("latest", "newest");
  CHECK(scene.StatusLines() == Lines{"D  latest", "A  newest -> v2 (symbolic link)"});
  scene.Commit();
  scene.Stage("newest", "a file now");
  CHECK(scene.StatusLines() == Lines{"M  newest"});
  scene.Commit();
  scene.Remove("newest");
  scene.StageLink("v1", "gone");
  scene.Commit();
  CHECK(scene.FilesAt("main") == Files{{"v1", "-> gone"}});
  CHECK(scene.FilesAt("main~1") == Files{{"newest", "a file now"}, {"v1", "1"}});
  CHECK(scene.FilesAt("main~4") == first);

  Value(Restore(scene.workspace(), scene.At("main~4"), {RepoPath()}));
  CHECK(scene.AllFiles() == first);
  Value(scene.workspace().Unstage({RepoPath()}));
  CHECK(scene.AllFiles() == scene.FilesAt("main"));
}

TEST_CASE("Symlink: its target has limits", "[core][symlink]") {
  CHECK(CheckLinkTarget(std::string(kLinkTargetBytesMax, 'x')));
  CHECK(CheckLinkTarget(std::string(kLinkTargetBytesMax + 1, 'x')).error().code() == ErrorCode::kNameTooLong);
  CHECK(CheckLinkTarget("").error().code() == ErrorCode::kInvalidArgument);
  CHECK(CheckLinkTarget(std::string("a\0b", 3)).error().code() == ErrorCode::kInvalidArgument);
  LinkScene scene;
  const StageReport report = scene.StageManifest(R"([{"path": "a", "target": ""}, {"path": "b", "target": "b"}])");
  CHECK(report.refused.size() == 1);
  CHECK(scene.AllFiles() == Files{{"b", "-> b"}});
}

TEST_CASE("Symlink: one that 0.1.0 kept stays unstaged until it is touched", "[core][symlink]") {
  LinkScene scene;
  scene.Stage("file", "1");
  scene.Stage("other", "1");
  scene.Commit();
  scene.KeepUnstaged("link", "file");
  scene.KeepUnstaged("file", "other", StagedState::kRemoved);
  const Lines status{"D  file", "L  file -> other (symbolic link, not staged: touch -h or rename it to stage it)",
                     "L  link -> file (symbolic link, not staged: touch -h or rename it to stage it)"};
  CHECK(scene.StatusLines() == status);
  Lines changes;
  Ok(ForEachChange(scene.workspace(), [&](const StatusLine& line) -> Status {
    changes.push_back(std::string(ToString(line.kind)) + ' ' + line.path);
    return {};
  }));
  CHECK(changes == Lines{"removed file", "symlink file", "symlink link"});
  CHECK(Value(scene.workspace().StatusOf({kRootFolder, "link"})) == "symlink");

  const auto other = scene.Other();  // A rebase in between keeps them as they are.
  scene.StageLinkIn(*other, "theirs", "x");
  scene.CommitIn(*other);
  Value(Rebase(scene.workspace()));
  CHECK(scene.StatusLines() == status);

  const CommitResult committed = scene.CommitIn(scene.workspace());
  CHECK(committed.left_out.paths == Lines{"file", "link"});
  CHECK(scene.FilesAt("main") == Files{{"other", "1"}, {"theirs", "-> x"}});
  SECTION("by its time") { Ok(scene.workspace().SetTraits({kRootFolder, "link"}, 7, std::nullopt).WithoutValue()); }
  SECTION("by a rename") {
    scene.Rename("link", "aside");
    scene.Rename("aside", "link");
  }
  CHECK(scene.StatusLines().back() == "A  link -> file (symbolic link)");
}

TEST_CASE("Symlink: both sides of a merge", "[core][symlink]") {
  LinkScene scene;
  scene.StageLink("link", "old");
  scene.Commit();
  History history(scene.repository());
  Ok(history.CreateBranch("side", "main"));
  Value(Workspaces(scene.repository()).Create("side", "s", std::nullopt));
  const auto side = Value(Workspace::Open(scene.repository(), "s"));
  const auto merge = [&] { return history.Merge("main", "side", "merge", {"Ann", "a"}); };
  SECTION("one changed it") {
    scene.StageLinkIn(*side, "link", "new");
    scene.CommitIn(*side);
    scene.Stage("file", "1");
    scene.Commit();
    Value(merge());
    CHECK(scene.FilesAt("main") == Files{{"file", "1"}, {"link", "-> new"}});
  }
  SECTION("both, alike") {
    scene.StageLinkIn(*side, "link", "new");
    scene.CommitIn(*side);
    scene.StageLink("link", "new");
    scene.Commit();
    Value(merge());
    CHECK(scene.FilesAt("main") == Files{{"link", "-> new"}});
  }
  SECTION("both, differently") {
    scene.StageLinkIn(*side, "link", "theirs");
    scene.CommitIn(*side);
    scene.StageLink("link", "ours");
    scene.Commit();
    const auto refused = merge();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == ErrorCode::kConflict);
    CHECK(refused.error().message().find("base   a symbolic link to old") != std::string::npos);
    CHECK(scene.FilesAt("main") == Files{{"link", "-> ours"}});
  }
  SECTION("a link here, a file there") {
    scene.Stage("new", "1");
    scene.Commit();
    scene.StageLinkIn(*side, "new", "1");
    scene.CommitIn(*side);
    CHECK(merge().error().code() == ErrorCode::kConflict);
  }
}

TEST_CASE("Symlink: JSON says what it is, other manifests count it", "[core][symlink]") {
  LinkScene scene;
  scene.Stage("d/file", "1");
  scene.StageLink("d/link", "../d/file");
  scene.StageManifest(R"({"path": "raw", "target_base64": "/w=="})");
  scene.Commit();
  CHECK(Value(scene.workspace().tree().LookUp({kRootFolder, "raw"}))->target == "\xff");
  for (const ManifestFormat format : {ManifestFormat::kNdjson, ManifestFormat::kJson}) {
    const std::string manifest = scene.Manifest("main", format);
    INFO(manifest);
    CHECK(manifest.find(R"({"target":"../d/file","path":"d/link")") != std::string::npos);
    Ok(scene.workspace().RemovePaths({scene.Path("d"), scene.Path("raw")}));
    CHECK(scene.StageManifest(manifest).refused.size() == 0);
    CHECK(scene.AllFiles() == scene.FilesAt("main"));
    CHECK(scene.StatusLines().empty());
    std::string missing;
    const auto source = NewStringSource(manifest);
    const auto report = Value(FindMissing(scene.repository(), *source, format, {}, [&](std::string_view text) {
      missing += text;
      return Status();
    }));
    CHECK(missing.empty());
    CHECK(report.missing == 0);
    CHECK(report.refused.size() == 0);
  }
  WrittenManifest written;
  CHECK(scene.Manifest("main", ManifestFormat::kSum, &written).find("link") == std::string::npos);
  CHECK(written.links == 2);
  CHECK(written.files == 1);
  // What a data set calls a target is not one.
  const std::string labelled = R"([{"path": "cat", "hash": ")" + scene.Put("1") + R"(", "target": "cat"},)" +
                               R"( {"path": "dog", "hash": ")" + scene.Put("2") + R"(", "target": {"id": 1}}])";
  CHECK(scene.StageManifest(labelled).refused.size() == 0);
  CHECK(scene.Read("cat") == "1");
}

TEST_CASE("Symlink: where clients know none it is the file that it leads to", "[core][symlink]") {
  LinkScene scene;
  scene.Stage("a/b/file", "text");
  scene.StageLink("link", "a/b/file");
  scene.StageLink("a/up", "../link");
  scene.StageLink("a/./x/over", "../../a//b/./file");
  scene.StageLink("through", "folder/b/file");
  scene.StageLink("folder", "a");
  scene.StageLink("dangling", "a/b/nothing");
  scene.StageLink("below", "link/x");
  scene.StageLink("out", "../x");
  scene.StageLink("absolute", "/etc/hosts");
  scene.StageLink("ring", "ring2");
  scene.StageLink("ring2", "ring");
  for (int i = 0; i < 41; ++i) scene.StageLink("n" + std::to_string(i), i == 0 ? "link" : "n" + std::to_string(i - 1));
  scene.Commit();
  for (const char* path : {"link", "a/up", "through", "n38"}) {
    INFO(path);
    CHECK(scene.Followed(path) == "text");
  }
  CHECK(scene.Followed("n39") == "it leads over more than 40 links, or in a ring");
  CHECK(scene.Followed("ring") == "it leads over more than 40 links, or in a ring");
  CHECK(scene.Followed("folder") == "it leads to a folder");
  CHECK(scene.Followed("dangling") == "it leads to nothing");
  CHECK(scene.Followed("below") == "it leads to nothing");
  CHECK(scene.Followed("out") == "it leads out of the tree");
  CHECK(scene.Followed("absolute") == "it leads out of the tree");
  const auto tree = Value(RevisionTree::Open(scene.repository(), scene.At("main"), LinksAre::kFollowed));
  for (const auto& [name, entry] : Value(tree->List(kRootFolder, "", 1'000))) CHECK(entry.kind != EntryKind::kSymlink);
  CHECK(tree->left_out_links().size() == 9);
}

TEST_CASE("Symlink: checked out, updated, and never followed", "[core][symlink]") {
  LinkScene scene;
  scene.Stage("v1", "1");
  scene.StageLink("latest", "v1");
  scene.StageLink("gone", "nowhere");
  scene.Commit();
  scene.StageLink("latest", "v2");
  scene.Stage("gone", "a file");
  scene.Remove("v1");
  scene.StageLink("v1", "elsewhere");
  scene.Commit();
  TempFolder desk;
  const std::string folder = desk / "out";
  const bool link = GENERATE(false, true);
  const auto check_out = [&](const std::string& revision, bool force = false) {
    CheckoutRequest request;
    request.revision = scene.At(revision);
    request.folder = folder;
    request.root = scene.root();
    request.force = force;
    request.link = link;
    return Checkout(scene.repository(), request);
  };
  const auto target = [&](const std::string& name) {
    return std::filesystem::read_symlink(folder + '/' + name).string();
  };
  CHECK(Value(check_out("main~1")).written == 3);
  CHECK(target("latest") == "v1");
  CHECK(ReadFile(folder + "/latest") == "1");
  CHECK(Value(check_out("main~1")).written == 0);
  CHECK(Value(check_out("main")).written == 3);
  CHECK(target("latest") == "v2");
  CHECK(target("v1") == "elsewhere");
  CHECK(ReadFile(folder + "/gone") == "a file");
  CHECK(Value(check_out("main~1")).written == 3);
  CHECK(ReadFile(folder + "/v1") == "1");

  // A link of somebody's own is an own change.
  std::filesystem::remove(folder + "/latest");
  std::filesystem::create_symlink("mine", folder + "/latest");
  const auto refused = check_out("main");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == ErrorCode::kConflict);
  CHECK(refused.error().message().find("latest") != std::string::npos);
  CHECK(target("latest") == "mine");
  CHECK(target("gone") == "nowhere");
  CHECK(Value(check_out("main", true)).files == 3);
  CHECK(target("latest") == "v2");
}

}  // namespace stagefs::test
