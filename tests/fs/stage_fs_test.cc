// StageFs: names and files, as the kernel asks for them.
#include "mount/stage_fs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "stagefs/recovered.h"
#include "tests/fs/fs_scene.h"

namespace stagefs::test {

TEST_CASE("StageFs: a name that is there is looked up, one that is not is remembered", "[fs][stage_fs]") {
  FsScene scene;
  scene.Stage("folder/a", "text");
  CHECK(scene.AttributesOf("folder").type == S_IFDIR);
  CHECK(scene.AttributesOf("folder/a").size_bytes == 4);
  const LookedUp absent = Value(scene.fs().LookUp(kRootNode, "nothing"));
  CHECK(absent.attributes.id == 0);
  CHECK(absent.cacheable);
  CHECK(scene.WhyNot("folder/a/b") == ErrorCode::kNotDirectory);
}

TEST_CASE("StageFs: the same content keeps its inode", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", "text");
  const NodeId id = scene.Find("a");
  CHECK(scene.Find("a") == id);
  scene.Save("a", "other");
  CHECK(scene.Find("a") == id);
}

TEST_CASE("StageFs: an inode the kernel gave back is unknown", "[fs][stage_fs]") {
  FsScene scene;
  scene.Stage("a", "text");
  const NodeId id = scene.Find("a");
  scene.fs().Forget(id, 1);
  CHECK(scene.fs().GetAttributes(id).error().code() == ErrorCode::kStale);
}

TEST_CASE("StageFs: what is written is staged at the flush and not before", "[fs][stage_fs]") {
  FsScene scene;
  auto handle = scene.Create("a");
  WriteTo(*handle, "text");
  CHECK(!scene.Exists("a"));
  CHECK(scene.AttributesOf("a").size_bytes == 4);
  Ok(handle->Flush());
  CHECK(scene.Read("a") == "text");
  handle->Release();
}

TEST_CASE("StageFs: a file that nobody wrote to is staged by its last close", "[fs][stage_fs]") {
  FsScene scene;
  auto handle = scene.Create("a");
  auto second = scene.Open("a", O_WRONLY);
  auto reader = scene.Open("a", O_RDONLY);
  CloseFile(std::move(handle));
  CHECK(!scene.Exists("a"));
  CloseFile(std::move(second));
  CHECK(scene.Read("a").empty());
  CloseFile(std::move(reader));
}

TEST_CASE("StageFs: what comes after the last flush is staged by the release", "[fs][stage_fs]") {
  FsScene scene;
  auto handle = scene.Create("a");
  Ok(handle->Flush());
  WriteTo(*handle, "mapped");
  handle->Release();
  CHECK(scene.Read("a") == "mapped");
}

TEST_CASE("StageFs: two handles share what is written", "[fs][stage_fs]") {
  FsScene scene;
  auto writer = scene.Create("a");
  auto reader = scene.Open("a", O_RDONLY);
  WriteTo(*writer, "text");
  CHECK(ReadAll(*reader) == "text");
  CloseFile(std::move(writer));
  CloseFile(std::move(reader));
}

TEST_CASE("StageFs: an open file that is renamed is staged under its new name alone", "[fs][stage_fs]") {
  FsScene scene;
  auto handle = scene.Create("a");
  WriteTo(*handle, "text");
  scene.Move("a", "b");
  WriteTo(*handle, "TEXT");
  CloseFile(std::move(handle));
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"b", "TEXT"}});
  CHECK(scene.Find("a") == 0);
}

TEST_CASE("StageFs: an open file that another one replaced writes into nothing", "[fs][stage_fs]") {
  FsScene scene;
  auto replaced = scene.Create("a");
  WriteTo(*replaced, "old");
  scene.Save("b", "new");
  scene.Move("b", "a");
  WriteTo(*replaced, "OLD");
  CHECK(ReadAll(*replaced) == "OLD");
  CloseFile(std::move(replaced));
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"a", "new"}});
}

TEST_CASE("StageFs: two names change places, open or not", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", "one");
  auto handle = scene.Create("b");
  WriteTo(*handle, "two");
  scene.Move("a", "b", RenameMode::kExchange);
  CloseFile(std::move(handle));
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"a", "two"}, {"b", "one"}});
}

TEST_CASE("StageFs: a file that is unlinked while open is readable and never staged", "[fs][stage_fs]") {
  FsScene scene;
  auto handle = scene.Create("a");
  WriteTo(*handle, "text");
  Ok(scene.fs().Remove(kRootNode, "a"));
  CHECK(ReadAll(*handle) == "text");
  CHECK(Value(scene.fs().GetAttributes(handle->node()->id)).links == 0);
  CloseFile(std::move(handle));
  CHECK(scene.AllFiles().empty());
  CHECK(scene.Find("a") == 0);
}

TEST_CASE("StageFs: a folder in which something is written is not empty", "[fs][stage_fs]") {
  FsScene scene;
  Ok(scene.fs().MakeFolder(kRootNode, "folder").WithoutValue());
  auto handle = scene.Create("folder/a");
  CHECK(scene.fs().RemoveFolder(kRootNode, "folder").error().code() == ErrorCode::kNotEmpty);
  Ok(scene.fs().Remove(scene.Find("folder"), "a"));
  CloseFile(std::move(handle));
  Ok(scene.fs().RemoveFolder(kRootNode, "folder"));
}

TEST_CASE("StageFs: a link stages what is being written first", "[fs][stage_fs]") {
  FsScene scene;
  auto handle = scene.Create("a");
  WriteTo(*handle, "text");
  Ok(scene.fs().Link(handle->node()->id, kRootNode, "b").WithoutValue());
  CHECK(scene.Read("b") == "text");
  CHECK(scene.fs().Link(handle->node()->id, kRootNode, "b").error().code() == ErrorCode::kExists);
  CloseFile(std::move(handle));
}

TEST_CASE("StageFs: a symbolic link to content is that content, any other is kept", "[fs][stage_fs]") {
  FsScene scene;
  Ok(scene.fs().MakeSymlink(kRootNode, "file", scene.Put("text")).WithoutValue());
  CHECK(scene.Read("file") == "text");
  for (const char* target : {"elsewhere", "file", "/nowhere/file"}) {
    const std::string name = std::string("link to ") + (target[0] == '/' ? "the whole path" : target);
    Ok(scene.fs().MakeSymlink(kRootNode, name, target).WithoutValue());
    CHECK(Value(scene.fs().ReadLink(scene.Find(name))) == target);
  }
}

TEST_CASE("StageFs: a symbolic link to a file that is named by its hash is a link", "[fs][stage_fs]") {
  FsScene scene;
  const std::string hash = scene.Put("text");
  scene.MakeFolder("blobs");
  scene.Save("blobs/" + hash, "other");
  Ok(scene.fs().MakeSymlink(kRootNode, "model", "blobs/" + hash).WithoutValue());
  CHECK(Value(scene.fs().ReadLink(scene.Find("model"))) == "blobs/" + hash);
  Ok(scene.fs().MakeSymlink(kRootNode, "gone", "nothing/" + hash).WithoutValue());
  const std::string version = ".stagefs/versions/xxh3:" + ToHex(HashOf("text").xxh3);
  Ok(scene.fs().MakeSymlink(kRootNode, "version", version).WithoutValue());
  for (const char* name : {"gone", "version"}) CHECK(scene.Read(name) == "text");
}

TEST_CASE("StageFs: a file that others made meanwhile is opened unless it must be new", "[fs][stage_fs]") {
  FsScene scene;
  REQUIRE(scene.Find("a") == 0);
  OtherProcess(scene).Stage("a", "others");
  CHECK(scene.fs().CreateFile(kRootNode, "a", 0644, O_CREAT | O_EXCL | O_WRONLY).error().code() == ErrorCode::kExists);
  auto made = Value(scene.fs().CreateFile(kRootNode, "a", 0644, O_CREAT | O_TRUNC | O_WRONLY));
  CHECK(made.found.attributes.size_bytes == 0);
  CHECK(made.found.attributes.id == scene.Find("a"));
  WriteTo(*made.handle, "mine");
  CloseFile(std::move(made.handle));
  CHECK(scene.Read("a") == "mine");
  scene.MakeFolder("folder");
  CHECK(scene.fs().CreateFile(kRootNode, "folder", 0644, O_CREAT | O_WRONLY).error().code() == ErrorCode::kStale);
}

TEST_CASE("StageFs: a piece of a version that is copied ends where the piece does", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", std::string(8192, 'x'));
  const auto from = scene.Open("a", O_RDONLY);
  auto to = scene.Create("b");
  CHECK(Value(to->CopyFrom(*from, 0, 0, 5000)) == 5000);
  CHECK(Value(to->Read(8192, 0)).size_bytes == 5000);
  CHECK(Value(to->Seek(0, SEEK_HOLE)) == 5000);
  CHECK(Value(to->Seek(4999, SEEK_DATA)) == 4999);
  CHECK(!to->Seek(6000, SEEK_DATA));
  CHECK(!to->Seek(5000, SEEK_HOLE));
  CloseFile(std::move(to));
  from->Release();
}

TEST_CASE("StageFs: truncate by path is staged at once, through a handle at its flush", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", "long text");
  SetAttributes cut;
  cut.size_bytes = 4;
  CHECK(Value(scene.fs().SetAttributesOf(scene.Find("a"), cut, nullptr)).size_bytes == 4);
  CHECK(scene.Read("a") == "long");
  auto handle = scene.Open("a", O_WRONLY);
  cut.size_bytes = 2;
  Ok(scene.fs().SetAttributesOf(scene.Find("a"), cut, handle.get()).WithoutValue());
  CHECK(scene.Read("a") == "long");
  CloseFile(std::move(handle));
  CHECK(scene.Read("a") == "lo");
}

TEST_CASE("StageFs: times and permissions are kept", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", "text");
  SetAttributes set;
  set.mode = S_IFREG | S_ISUID | 0700;
  set.mtime_ns = 12345;
  const Attributes now = Value(scene.fs().SetAttributesOf(scene.Find("a"), set, nullptr));
  CHECK(now.permissions == 0700);
  CHECK(now.mtime_ns == 12345);
}

TEST_CASE("StageFs: attributes tell a file's hash and its state", "[fs][stage_fs]") {
  FsScene scene;
  auto handle = scene.Create("a");
  WriteTo(*handle, "text");
  const NodeId id = scene.Find("a");
  CHECK(Value(scene.fs().GetXattr(id, "user.stagefs.status")) == "being written");
  CloseFile(std::move(handle));
  CHECK(Value(scene.fs().GetXattr(id, "user.stagefs.status")) == "added");
  CHECK(Value(scene.fs().GetXattr(id, "user.stagefs.sha256")) == ToHex(HashOf("text").sha256));
  CHECK(scene.fs().GetXattr(id, "user.other").error().code() == ErrorCode::kNotFound);
  for (const char* name : {"security.selinux", "security.capability", "system.posix_acl_access", "trusted.x"}) {
    CHECK(scene.fs().GetXattr(id, name).error().code() == ErrorCode::kUnsupported);
  }
}

TEST_CASE("StageFs: a file that another process replaced is stale for whoever opens it", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", "one");
  const NodeId id = scene.Find("a");
  OtherProcess(scene).Stage("a", "two");
  CHECK(scene.fs().Open(id, O_WRONLY).error().code() == ErrorCode::kStale);
  CHECK(scene.Load("a") == "two");
}

TEST_CASE("StageFs: a file that is replaced again and again opens at the second time", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", "one");
  OtherProcess other(scene);
  const auto look_up_and_replace = [&](const std::string& text) {
    const NodeId found = scene.Find("a");
    other.Stage("a", text);
    return found;
  };
  CHECK(scene.fs().Open(look_up_and_replace("two"), O_RDONLY).error().code() == ErrorCode::kStale);
  const NodeId second = look_up_and_replace("three");
  CHECK(ReadAll(*Value(scene.fs().Open(second, O_RDONLY))) == "two");
  CHECK(scene.Load("a") == "three");
  auto writer = Value(scene.fs().Open(look_up_and_replace("four"), O_WRONLY));
  WriteTo(*writer, "T");
  CloseFile(std::move(writer));
  CHECK(scene.Read("a") == "Three");
  CHECK(scene.Load("a") == "Three");
}

TEST_CASE("StageFs: a file that is removed here is not written though others replaced it", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", "one");
  const NodeId first = scene.Find("a");
  OtherProcess(scene).Stage("a", "two");
  CHECK(scene.fs().Open(first, O_WRONLY).error().code() == ErrorCode::kStale);
  const NodeId second = scene.Find("a");
  Ok(scene.fs().Remove(kRootNode, "a"));
  CHECK(scene.fs().Open(second, O_WRONLY).error().code() == ErrorCode::kStale);
  CHECK(scene.Find("a") == 0);
}

TEST_CASE("StageFs: whoever writes while others read changes what others staged last", "[fs][stage_fs]") {
  FsScene scene;
  for (const char* name : {"appended", "cut"}) scene.Save(name, "one\n");
  auto appended = scene.Open("appended", O_RDONLY), cut = scene.Open("cut", O_RDONLY);
  OtherProcess other(scene);
  for (const char* name : {"appended", "cut"}) other.Stage(name, "one\ntwo\n");
  Ok(other.workspace().SetTraits({kRootFolder, "cut"}, std::nullopt, FileMode{true, std::nullopt}).WithoutValue());
  auto writer = scene.Open("appended", O_WRONLY | O_APPEND);
  WriteTo(*writer, "three\n", static_cast<off_t>(scene.AttributesOf("appended").size_bytes));
  CloseFile(std::move(writer));
  CHECK(scene.Read("appended") == "one\ntwo\nthree\n");
  SetAttributes shorter;
  shorter.size_bytes = 7;
  Ok(scene.fs().SetAttributesOf(scene.Find("cut"), shorter, nullptr).WithoutValue());
  CHECK(scene.Read("cut") == "one\ntwo");
  CHECK(scene.AttributesOf("cut").permissions == 0755);
  for (auto* reader : {&appended, &cut}) CloseFile(std::move(*reader));
}

TEST_CASE("StageFs: names that are no place to stage are refused", "[fs][stage_fs]") {
  FsScene scene;
  for (const char* name : {".Trash-0", ".stagefs"}) {
    CHECK(scene.fs().MakeFolder(kRootNode, name).error().code() == ErrorCode::kPermission);
    CHECK(scene.fs().CreateFile(kRootNode, name, 0644).error().code() == ErrorCode::kPermission);
  }
  scene.Save("a", "text");
  CHECK(scene.fs().MakeFolder(scene.Find("a"), "b").error().code() == ErrorCode::kNotDirectory);
  CHECK(scene.fs().CreateFile(kRootNode, "a", 0644).error().code() == ErrorCode::kExists);
}

TEST_CASE("StageFs: copying a version within the mount moves no byte", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", "some text");
  const auto from = scene.Open("a", O_RDONLY);
  auto to = scene.Create("b");
  CHECK(Value(to->CopyFrom(*from, 0, 0, 100)) == 9);
  CloseFile(std::move(to));
  from->Release();
  CHECK(scene.Read("b") == "some text");
  CHECK(scene.Load(".stagefs/stats").find("files_staged_without_copying: 1\n") != std::string::npos);
}

namespace {

// A log with one line that was staged, and one that was appended at once, which waits.
struct AppendedScene : FsScene {
  AppendedScene() {
    Save("log", "one\n");
    Append("two\n", 4);
  }
  std::unique_ptr<FileHandle> BeginAppending(const std::string& text, off_t offset) {
    auto handle = Open("log", O_WRONLY | O_APPEND);
    WriteTo(*handle, text, offset);
    return handle;
  }
  void Append(const std::string& text, off_t offset) { CloseFile(BeginAppending(text, offset)); }
};

}  // namespace

TEST_CASE("StageFs: what is appended at once is staged a moment later, or for whoever asks", "[fs][stage_fs]") {
  AppendedScene scene;
  scene.Append("three\n", 8);
  const std::string all = "one\ntwo\nthree\n";
  CHECK(scene.Load("log") == all);
  CHECK(scene.AttributesOf("log").size_bytes == all.size());
  std::string now;
  SECTION("nobody asks") {
    for (int i = 0; i < 500 && now != all; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      now = scene.Read("log");
    }
  }
  SECTION("for its hash") {
    CHECK(Value(scene.fs().GetXattr(scene.Find("log"), "user.stagefs.sha256")) == ToHex(HashOf(all).sha256));
    CHECK(Value(scene.fs().GetXattr(scene.Find("log"), "user.stagefs.status")) == "added");
    now = scene.Read("log");
  }
  SECTION("for the status") {
    CHECK(scene.Load(".stagefs/status") == "A  log\n");
    now = scene.Read("log");
  }
  SECTION("for a version by its hash") {
    CHECK(scene.Load(".stagefs/versions/" + ToHex(HashOf(all).sha256)) == all);
    now = scene.Read("log");
  }
  SECTION("another process looks") {
    OtherProcess other(scene);
    other.workspace().AwaitClosed();
    now = scene.ReadFrom(other.workspace(), "log");
  }
  SECTION("another process commits") {
    OtherProcess other(scene);
    Ok(CommitStaged(other.workspace(), "it", {"me", "me@here"}, std::nullopt).WithoutValue());
    now = scene.ReadFrom(other.workspace(), "log");
  }
  SECTION("a link is made of it") {
    Ok(scene.fs().Link(scene.Find("log"), kRootNode, "link").WithoutValue());
    now = scene.Read("link");
  }
  SECTION("it is copied") {
    const auto from = scene.Open("log", O_RDONLY);
    auto to = scene.Create("copy");
    CHECK(Value(to->CopyFrom(*from, 0, 0, 100)) == all.size());
    CloseFile(std::move(to));
    from->Release();
    now = scene.Read("copy");
    CHECK(scene.Load(".stagefs/stats").find("files_staged_without_copying: 1\n") != std::string::npos);
  }
  CHECK(now == all);
}

TEST_CASE("StageFs: what was appended at once, and is renamed, replaced or removed", "[fs][stage_fs]") {
  AppendedScene scene;
  const std::string hash = ToHex(HashOf("one\ntwo\n").sha256);
  std::map<std::string, std::string> left;
  SECTION("renamed") {
    scene.Move("log", "other");
    left = {{"other", "one\ntwo\n"}};
  }
  SECTION("exchanged") {
    scene.Save("other", "other");
    scene.Move("log", "other", RenameMode::kExchange);
    left = {{"log", "other"}, {"other", "one\ntwo\n"}};
  }
  SECTION("replaced") {
    scene.Save("other", "other");
    scene.Move("other", "log");
    left = {{"log", "other"}};
  }
  SECTION("emptied and written") {
    scene.Save("log", "new");
    left = {{"log", "new"}};
  }
  SECTION("cut") {
    SetAttributes cut;
    cut.size_bytes = 3;
    Ok(scene.fs().SetAttributesOf(scene.Find("log"), cut, nullptr).WithoutValue());
    CHECK(scene.Read("log") == "one");
    CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"log", "one"}});
    return;  // What it was cut from is outgrown.
  }
  SECTION("removed") { Ok(scene.fs().Remove(kRootNode, "log")); }
  SECTION("removed, while another one is written to it") {
    const auto handle = scene.BeginAppending("three\n", 8);
    Ok(scene.fs().Remove(kRootNode, "log"));
    handle->Release();
  }
  SECTION("removed by others") {
    OtherProcess(scene).Remove("log");
  }
  SECTION("replaced by others") {
    OtherProcess(scene).Stage("log", "theirs");
    left = {{"log", "theirs"}};
  }
  CHECK(scene.AllFiles() == left);
  CHECK(scene.repository().FindVersion(hash).has_value());  // As anything that was staged once, until gc.
  CHECK(Value(ListRecovered(scene.repository(), Value(scene.workspace().Info()))).empty());
}

TEST_CASE("StageFs: what one program appended is seen by others while the next one writes", "[fs][stage_fs]") {
  AppendedScene scene;
  auto handle = scene.BeginAppending("thr", 8);
  OtherProcess other(scene);
  std::string seen;
  SECTION("who looks") {
    other.workspace().AwaitClosed();
    seen = scene.ReadFrom(other.workspace(), "log");
  }
  SECTION("who commits") {
    Ok(CommitStaged(other.workspace(), "it", {"me", "me@here"}, std::nullopt).WithoutValue());
    seen = scene.ReadFrom(other.workspace(), "log");
  }
  SECTION("by its hash") {
    CHECK(Value(scene.fs().GetXattr(scene.Find("log"), "user.stagefs.sha256")) ==
          ToHex(HashOf("one\ntwo\n").sha256));
    CHECK(Value(scene.fs().GetXattr(scene.Find("log"), "user.stagefs.status")) == "being written");
    seen = scene.Read("log");
  }
  CHECK(seen == "one\ntwo\n");
  WriteTo(*handle, "ee\n", 11);
  CloseFile(std::move(handle));
  CHECK(scene.AllFiles().at("log") == "one\ntwo\nthree\n");
}

TEST_CASE("StageFs: what was appended is there after the mount ended, however it did", "[fs][stage_fs]") {
  Scene scene;
  {
    const auto fs = Value(StageFs::OfWorkspace(scene.repository(), "w", {}));
    auto log = Value(fs->CreateFile(kRootNode, "log", S_IFREG | 0644));
    WriteTo(*log.handle, "one\n");
    Ok(log.handle->Flush());
    WriteTo(*log.handle, "two\n", 4);
    CloseFile(std::move(log.handle));
    fs->Stop();
    if (GENERATE(false, true)) fs->KeepUnstaged();
  }
  scene.Reopen();
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"log", "one\ntwo\n"}});
}

TEST_CASE("StageFs: what is not closed when the process ends is staged", "[fs][stage_fs]") {
  FsScene scene;
  const auto handle = scene.Create("a");
  WriteTo(*handle, "text");
  scene.fs().KeepUnstaged();
  CHECK(scene.Read("a") == "text");
}

TEST_CASE("StageFs: a commit is read, and every change refused", "[fs][stage_fs]") {
  FsScene scene;
  scene.Save("a", "text");
  scene.Commit();
  scene.Save("b", "staged");
  const auto fs = Value(StageFs::OfCommit(scene.repository(), Value(History(scene.repository()).Resolve("main")), {}));
  const NodeId a = Value(fs->LookUp(kRootNode, "a")).attributes.id;
  CHECK(Value(fs->LookUp(kRootNode, "b")).attributes.id == 0);
  CHECK(ReadAll(*Value(fs->Open(a, O_RDONLY))) == "text");
  CHECK(fs->Open(a, O_WRONLY).error().code() == ErrorCode::kReadOnly);
  CHECK(fs->CreateFile(kRootNode, "c", 0644).error().code() == ErrorCode::kReadOnly);
  CHECK(fs->MakeFolder(kRootNode, "c").error().code() == ErrorCode::kReadOnly);
  CHECK(fs->MakeSymlink(kRootNode, "c", "a").error().code() == ErrorCode::kReadOnly);
  CHECK(fs->Link(a, kRootNode, "c").error().code() == ErrorCode::kReadOnly);
  CHECK(fs->Remove(kRootNode, "a").error().code() == ErrorCode::kReadOnly);
  CHECK(fs->RemoveFolder(kRootNode, "a").error().code() == ErrorCode::kReadOnly);
  CHECK(fs->Rename(kRootNode, "a", kRootNode, "c", RenameMode::kReplace).error().code() == ErrorCode::kReadOnly);
  CHECK(fs->SetAttributesOf(a, {}, nullptr).error().code() == ErrorCode::kReadOnly);
}

TEST_CASE("StageFs: of a commit the control folder has what it is, and what nobody changes", "[fs][stage_fs]") {
  FsScene scene;
  const auto fs = Value(StageFs::OfCommit(scene.repository(), Value(History(scene.repository()).Resolve("main")), {}));
  const NodeId control = Value(fs->LookUp(kRootNode, ".stagefs")).attributes.id;
  Lines names;
  Ok(Value(fs->OpenFolder(control))->List(2, false, [&](const DirectoryStream::Name& name) {
    names.push_back(name.name);
    return true;
  }));
  CHECK(names == Lines{"commits", "config.json", "manifest.sum", "stats", "versions"});
}

TEST_CASE("MountRegistration: a mount is there between its first and its last word", "[fs][stage_fs]") {
  Scene scene;
  MountRegistration registration(scene.repository(), "/nowhere", scene.workspace().id(), 7);
  const auto is_there = [&] {
    return registration.IsAmong(Value(Value(scene.repository().index().Read())->ListMounts()));
  };
  CHECK(!is_there());
  Ok(registration.Note());
  CHECK(is_there());
  Ok(registration.Erase());
  CHECK(!is_there());
}

}  // namespace stagefs::test
