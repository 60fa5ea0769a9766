// The control folder: each kind of node in it.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "stagefs/posix_env.h"
#include "stagefs/recovered.h"
#include "tests/fs/fs_scene.h"

namespace stagefs::test {
namespace {

constexpr const char* kTop = ".stagefs";

Status Command(FsScene& scene, const std::string& lines) {
  const auto handle = scene.Open(".stagefs/control", O_WRONLY);
  return handle->Write(lines.data(), lines.size(), 0).WithoutValue();
}

// As a crash leaves it.
void LeaveRecovered(FsScene& scene, const std::string& path, const std::string& text) {
  WriteFile(RecoveredFolder(scene.repository(), Value(scene.workspace().Info())) + '/' + path, text);
}

std::vector<ErrorCode> ChangesOf(FsScene& scene, const std::string& folder) {
  const NodeId id = scene.Find(folder);
  StageFs& fs = scene.fs();
  return {fs.MakeFolder(id, "x").error().code(), fs.CreateFile(id, "x", 0644).error().code(),
          fs.MakeSymlink(id, "x", "y").error().code(), fs.Remove(id, "x").error().code(),
          fs.RemoveFolder(id, "x").error().code(), fs.Rename(id, "x", id, "y", RenameMode::kReplace).error().code(),
          fs.SetAttributesOf(id, {}, nullptr).error().code()};
}

}  // namespace

TEST_CASE("ControlFolder: it has thirteen names and is always there", "[fs][control]") {
  FsScene scene;
  CHECK(scene.Names(kTop) == Lines{"base", "commits", "config.json", "control", "inbox", "last.json", "manifest.sum",
                                   "recovered", "stats", "status", "status.json", "taken-back", "versions"});
  CHECK(Value(scene.fs().LookUp(kRootNode, kTop)).cacheable);
  CHECK(scene.WhyNot(".stagefs/nothing") == ErrorCode::kNotFound);
}

TEST_CASE("ControlFolder: nothing can be made, removed or renamed in its read-only parts", "[fs][control]") {
  FsScene scene;
  for (const std::string folder : {".stagefs", ".stagefs/versions", ".stagefs/base"}) {
    INFO(folder);
    CHECK(ChangesOf(scene, folder) == std::vector<ErrorCode>(7, ErrorCode::kPermission));
  }
}

TEST_CASE("VersionsFolder: a version is found by any spelling of its hash", "[fs][control]") {
  FsScene scene;
  const std::string hash = scene.Put("some text");
  const NodeId id = scene.Find(".stagefs/versions/" + hash);
  CHECK(scene.Find(".stagefs/versions/sha256:" + hash) == id);
  CHECK(scene.Load(".stagefs/versions/" + hash) == "some text");
  const Lines names = scene.Names(".stagefs/versions");
  CHECK(std::find(names.begin(), names.end(), hash) != names.end());
}

TEST_CASE("VersionsFolder: a version cannot be written to, and what is none is not there", "[fs][control]") {
  FsScene scene;
  const NodeId id = scene.Find(".stagefs/versions/" + scene.Put("some text"));
  CHECK(scene.fs().Open(id, O_RDWR).error().code() == ErrorCode::kPermission);
  CHECK(scene.fs().Open(scene.Find(".stagefs/versions"), O_RDONLY).error().code() == ErrorCode::kIsDirectory);
  CHECK(scene.WhyNot(".stagefs/versions/nothing") == ErrorCode::kNotFound);
}

TEST_CASE("VersionsFolder: linking a version stages it", "[fs][control]") {
  FsScene scene;
  const NodeId id = scene.Find(".stagefs/versions/" + scene.Put("some text"));
  Ok(scene.fs().Link(id, kRootNode, "linked").WithoutValue());
  CHECK(scene.Read("linked") == "some text");
}

TEST_CASE("BaseFolder: it shows the base commit whatever is staged", "[fs][control]") {
  FsScene scene;
  scene.Stage("folder/a", "committed");
  scene.Commit();
  scene.Stage("folder/a", "changed");
  scene.Stage("folder/b", "new");
  CHECK(scene.Names(".stagefs/base/folder") == Lines{"a"});
  CHECK(scene.Load(".stagefs/base/folder/a") == "committed");
  CHECK(scene.WhyNot(".stagefs/base/folder/b") == ErrorCode::kNotFound);
}

TEST_CASE("InboxFolder: a manifest is staged when it is closed", "[fs][control]") {
  FsScene scene;
  scene.Save(".stagefs/inbox/photos/list.sum", scene.Put("a cat") + "  cat.jpg\n");
  CHECK(scene.Read("photos/cat.jpg") == "a cat");
  CHECK(scene.Names(".stagefs/inbox/photos") == Lines{"list.sum", "list.sum.result.json"});
}

TEST_CASE("InboxFolder: a manifest that is being written is found before it is stored", "[fs][control]") {
  FsScene scene;
  auto handle = scene.Create(".stagefs/inbox/list.part");
  WriteTo(*handle, "half");
  CHECK(scene.Find(".stagefs/inbox/list.part") == handle->node()->id);
  CHECK(scene.AttributesOf(".stagefs/inbox/list.part").size_bytes == 4);
  CloseFile(std::move(handle));
}

TEST_CASE("InboxFolder: a malformed manifest is refused at its close and stays readable", "[fs][control]") {
  FsScene scene;
  auto handle = scene.Create(".stagefs/inbox/list.json");
  WriteTo(*handle, "{ nonsense");
  CHECK(handle->Flush().error().code() == ErrorCode::kInvalidArgument);
  handle->Release();
  CHECK(scene.Load(".stagefs/inbox/list.json") == "{ nonsense");
}

TEST_CASE("InboxFolder: a new name is a folder unless it looks like a manifest's", "[fs][control]") {
  FsScene scene;
  CHECK(scene.AttributesOf(".stagefs/inbox/photos").type == S_IFDIR);
  for (const char* name : {"list.json", "SHA256SUMS", "md5sum", "MANIFEST", "draft~"}) {
    CHECK(scene.WhyNot(".stagefs/inbox/" + std::string(name)) == ErrorCode::kNotFound);
  }
  Ok(scene.fs().MakeFolder(scene.Find(".stagefs/inbox"), "v1.0").WithoutValue());
  CHECK(scene.AttributesOf(".stagefs/inbox/v1.0").type == S_IFDIR);
}

TEST_CASE("InboxFolder: a manifest is renamed and removed without a trace", "[fs][control]") {
  FsScene scene;
  scene.Save(".stagefs/inbox/draft.part", "not a manifest yet");
  scene.Move(".stagefs/inbox/draft.part", ".stagefs/inbox/other.part");
  CHECK(scene.Names(".stagefs/inbox") == Lines{"other.part"});
  CHECK(scene.Load(".stagefs/inbox/other.part") == "not a manifest yet");
  Ok(scene.fs().Remove(scene.Find(".stagefs/inbox"), "other.part"));
  CHECK(scene.Names(".stagefs/inbox").empty());
}

TEST_CASE("InboxFolder: nothing is renamed into it or out of it", "[fs][control]") {
  FsScene scene;
  scene.Save("a", "text");
  const NodeId inbox = scene.Find(".stagefs/inbox");
  for (const NodeId other : {kRootNode, scene.Find(".stagefs/versions")}) {
    CHECK(scene.fs().Rename(other, "a", inbox, "a", RenameMode::kReplace).error().code() == ErrorCode::kCrossDevice);
    CHECK(scene.fs().Rename(inbox, "a", other, "a", RenameMode::kReplace).error().code() == ErrorCode::kCrossDevice);
  }
}

TEST_CASE("RecoveredFiles: what a crash left is listed, read and dismissed", "[fs][control][embedded]") {
  FsScene scene;
  LeaveRecovered(scene, "folder/a", "unsaved");
  CHECK(scene.Names(".stagefs/recovered") == Lines{"folder"});
  CHECK(scene.Names(".stagefs/recovered/folder") == Lines{"a"});
  CHECK(scene.Load(".stagefs/recovered/folder/a") == "unsaved");
  Ok(scene.fs().Remove(scene.Find(".stagefs/recovered/folder"), "a"));
  CHECK(scene.WhyNot(".stagefs/recovered/folder") == ErrorCode::kNotFound);
}

TEST_CASE("TextFiles: a text is what it was when it was opened", "[fs][control]") {
  FsScene scene;
  scene.Stage("a", "text");
  const auto handle = scene.Open(".stagefs/status", O_RDONLY);
  scene.Stage("b", "text");
  CHECK(ReadAll(*handle) == "A  a\n");
  CHECK(scene.Load(".stagefs/status") == "A  a\nA  b\n");
}

TEST_CASE("TextFiles: config, stats and the newest report say what they know", "[fs][control]") {
  FsScene scene;
  CHECK(scene.Load(".stagefs/config.json").find("\"repository\":\"t/r\"") != std::string::npos);
  CHECK(scene.Load(".stagefs/stats").find("\noperations: ") != std::string::npos);
  CHECK(scene.Load(".stagefs/last.json") == "{}\n");
  scene.Save(".stagefs/inbox/list.sum", scene.Put("text") + "  a\n");
  CHECK(scene.Load(".stagefs/last.json").find("\"added\":1") != std::string::npos);
  CHECK(scene.fs().Open(scene.Find(".stagefs/stats"), O_WRONLY).error().code() == ErrorCode::kPermission);
}

TEST_CASE("CommandFile: an unknown command is refused, and a known one carried out", "[fs][control]") {
  FsScene scene;
  CHECK(Command(scene, "explode\n").error().code() == ErrorCode::kInvalidArgument);
  CHECK(Command(scene, "retry\n").error().code() == ErrorCode::kInvalidArgument);
  CHECK(Command(scene, "dismiss nothing\n").error().code() == ErrorCode::kNotFound);
  Ok(Command(scene, "sync\n"));
}

TEST_CASE("CommandFile: a request ends where its write does, so a name with a newline is no second one",
          "[fs][control][embedded]") {
  FsScene scene;
  for (const char* name : {"a", "a\nb"}) LeaveRecovered(scene, name, name);
  for (const std::string& request : {std::string("dismiss a\nb\n"), std::string("retry a\nb"),
                                    std::string("dismiss a\0dismiss b\0", 20)}) {
    CHECK(Command(scene, request).error().code() == ErrorCode::kInvalidArgument);
  }
  CHECK(scene.Load(".stagefs/recovered/a") == "a");
  Ok(Command(scene, std::string("dismiss a\nb\0", 12)));
  CHECK(scene.Names(".stagefs/recovered") == Lines{"a"});
}

TEST_CASE("CommandFile: what was recovered is staged by retry", "[fs][control][embedded]") {
  FsScene scene;
  LeaveRecovered(scene, "a", "unsaved");
  Ok(Command(scene, "retry a\n"));
  CHECK(scene.Read("a") == "unsaved");
}

TEST_CASE("CommandFile: a file that was refused is staged by retry or given up by dismiss", "[fs][control]") {
  FsScene scene;
  scene.MakeFolder("folder");
  auto handle = scene.Create("folder/a");
  WriteTo(*handle, "text");
  // A folder of that name, which another process made meanwhile.
  OtherProcess other(scene);
  other.Stage("folder/a/b", "in the way");
  REQUIRE(!handle->Flush());
  handle->Release();
  CHECK(scene.Load("folder/a") == "text");
  SECTION("retry") {
    other.Remove("folder/a/b");
    Ok(other.workspace().RemoveFolder({scene.SlotOf("folder/a").folder, "a"}));
    Ok(Command(scene, "retry folder/a\n"));
    CHECK(scene.Read("folder/a") == "text");
  }
  SECTION("dismiss") {
    Ok(Command(scene, "dismiss folder/a\n"));
    CHECK(scene.AttributesOf("folder/a").type == S_IFDIR);
  }
}

}  // namespace stagefs::test
