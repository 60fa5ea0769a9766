// ChangeNotifier: what the kernel is told of others' changes.
#include "mount/change_notifier.h"

#include <fcntl.h>

#include <chrono>
#include <thread>

#include "tests/fs/fs_scene.h"

namespace stagefs::test {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("ChangeNotifier: what is done through the mount is no news", "[fs][notifier]") {
  FsScene scene;
  scene.Save("a", "one");
  scene.Move("a", "b");
  CHECK(scene.Refresh().empty());
}

TEST_CASE("ChangeNotifier: a file that another process replaced gets a new inode", "[fs][notifier]") {
  FsScene scene;
  scene.Save("a", "one");
  const NodeId before = scene.Find("a");
  OtherProcess(scene).Stage("a", "two");
  CHECK(scene.Refresh() == Told{"entry a", "attributes", "changed a"});
  CHECK(scene.Find("a") != before);
  CHECK(scene.Load("a") == "two");
}

TEST_CASE("ChangeNotifier: a file that another process removed is told as gone", "[fs][notifier]") {
  FsScene scene;
  scene.Save("a", "one");
  OtherProcess(scene).Remove("a");
  CHECK(scene.Refresh() == Told{"entry a", "attributes", "gone a"});
  CHECK(scene.Find("a") == 0);
}

TEST_CASE("ChangeNotifier: a name the kernel remembers as missing is told when it comes", "[fs][notifier]") {
  FsScene scene;
  REQUIRE(scene.Find("a") == 0);
  OtherProcess(scene).Stage("a", "one");
  CHECK(scene.Refresh() == Told{"entry a", "attributes"});
}

TEST_CASE("ChangeNotifier: only attributes are told where the content is the same", "[fs][notifier]") {
  FsScene scene;
  scene.Save("a", "one");
  const NodeId before = scene.Find("a");
  OtherProcess other(scene);
  Ok(other.workspace().SetTraits({kRootFolder, "a"}, 12345, std::nullopt).WithoutValue());
  CHECK(scene.Refresh() == Told{"attributes", "attributes", "changed a"});
  CHECK(scene.AttributesOf("a").mtime_ns == 12345);
  Ok(other.workspace().SetTraits({kRootFolder, "a"}, std::nullopt, FileMode{false, 0600}).WithoutValue());
  CHECK(scene.Refresh() == Told{"attributes", "attributes", "changed a"});
  CHECK(scene.AttributesOf("a").permissions == 0600);
  CHECK(scene.Find("a") == before);
}

TEST_CASE("ChangeNotifier: a folder that nobody looked at leads to nothing", "[fs][notifier]") {
  FsScene scene;
  scene.MakeFolder("seen");
  scene.MakeFolder("unseen");
  scene.Find("seen");
  scene.Refresh();
  OtherProcess(scene).Stage("unseen/a", "one");
  CHECK(scene.Refresh().empty());
}

TEST_CASE("ChangeNotifier: what is written is passed over until its writer closes it", "[fs][notifier]") {
  FsScene scene;
  scene.Save("a", "one");
  auto reader = scene.Open("a", O_RDONLY);
  auto writer = scene.Open("a", O_RDWR);
  OtherProcess(scene).Stage("a", "two");
  CHECK(scene.Refresh() == Told{"attributes"});
  CHECK(ReadAll(*writer) == "one");
  CloseFile(std::move(writer));
  CHECK(scene.Refresh() == Told{"entry a", "changed a"});
  CHECK(ReadAll(*reader) == "one");
  CHECK(scene.Load("a") == "two");
  CloseFile(std::move(reader));
}

TEST_CASE("ChangeNotifier: a reader keeps what it opened and hides nothing from others", "[fs][notifier]") {
  FsScene scene;
  for (const char* name : {"replaced", "removed"}) scene.Save(name, "one");
  auto replaced = scene.Open("replaced", O_RDONLY), removed = scene.Open("removed", O_RDONLY);
  const NodeId before = scene.Find("replaced");
  OtherProcess(scene).Stage("replaced", "second");
  OtherProcess(scene).Remove("removed");
  CHECK(scene.Refresh() ==
        Told{"entry removed", "entry replaced", "attributes", "gone removed", "changed replaced"});
  CHECK(scene.Find("replaced") != before);
  CHECK(scene.AttributesOf("replaced").size_bytes == 6);
  CHECK(scene.Load("replaced") == "second");
  CHECK(scene.Names("") == Lines{"replaced"});
  CHECK(Value(scene.fs().GetAttributes(before)).size_bytes == 3);
  for (auto* reader : {&replaced, &removed}) {
    CHECK(ReadAll(**reader) == "one");
    CloseFile(std::move(*reader));
  }
}

TEST_CASE("ChangeNotifier: a folder whose last file others removed is empty, though it is read", "[fs][notifier]") {
  FsScene scene;
  scene.MakeFolder("folder");
  scene.Save("folder/a", "one");
  auto reader = scene.Open("folder/a", O_RDONLY);
  OtherProcess(scene).Remove("folder/a");
  scene.Refresh();
  Ok(scene.fs().RemoveFolder(kRootNode, "folder"));
  CloseFile(std::move(reader));
}

TEST_CASE("ChangeNotifier: whoever lost its row takes everything for changed", "[fs][notifier]") {
  FsScene scene;
  scene.Save("a", "one");
  Ok(scene.fs().registration().Erase());
  OtherProcess(scene).Stage("a", "two");
  CHECK(scene.Refresh() == Told{"entry a", "attributes", "changed a"});
  CHECK(scene.Refresh().empty());
}

TEST_CASE("ChangeNotifier: so does a mount that was taken for dead, and said since that it lives", "[fs][notifier]") {
  FsScene scene;
  scene.Save("a", "one");
  CHECK(scene.Refresh().empty());
  Ok(scene.fs().registration().Erase());
  OtherProcess(scene).Stage("a", "two");
  Ok(scene.fs().registration().NoteAgain());
  CHECK(scene.Refresh() == Told{"entry a", "attributes", "changed a"});
  CHECK(scene.Refresh().empty());
}

TEST_CASE("ChangeNotifier: a name to be shown again is told without a change", "[fs][notifier]") {
  FsScene scene;
  scene.fs().notifier().ShowAgain({kRootFolder, "a"});
  CHECK(scene.Refresh() == Told{"entry a"});
}

TEST_CASE("ChangeNotifier: another process's change wakes who waits", "[fs][notifier]") {
  FsScene scene({}, FsScene::Notifier::kIsWaitedFor);
  while (!scene.Refresh().empty()) {
  }
  REQUIRE(scene.fs().notifier().WaitForChange());
  std::thread other([&] { OtherProcess(scene).Stage("a", "one"); });
  CHECK(scene.fs().notifier().WaitForChange());
  other.join();
}

TEST_CASE("ChangeNotifier: whoever changes something here goes on once it is shown", "[fs][notifier]") {
  FsScene scene({}, FsScene::Notifier::kIsWaitedFor);
  std::atomic<bool> shown = false;
  std::thread notifier([&] {
    while (scene.fs().notifier().WaitForChange()) {
      std::this_thread::sleep_for(20ms);
      scene.Refresh();
      shown = true;
    }
  });
  while (!shown) std::this_thread::sleep_for(1ms);  // The first look at all.
  shown = false;
  scene.Stage("a", "one");
  CHECK(shown);
  scene.fs().Stop();
  notifier.join();
}

TEST_CASE("ChangeNotifier: who waits is let go when it is stopped", "[fs][notifier]") {
  FsScene scene({}, FsScene::Notifier::kIsWaitedFor);
  std::thread stopper([&] { scene.fs().Stop(); });
  while (scene.fs().notifier().WaitForChange()) {
  }
  stopper.join();
}

TEST_CASE("ListUnseen: names the kernel looked up long ago are seen", "[fs][notifier]") {
  FsScene scene;
  for (const char* name : {"a", "b", "c"}) scene.Save(name, name);
  OtherProcess(scene).Stage("new", "text");
  const auto unseen = Value(ListUnseen(scene.fs().nodes(), scene.fs().tree(), kRootFolder, 10));
  REQUIRE(unseen.size() == 1);
  CHECK(unseen[0].name == "new");
}

}  // namespace stagefs::test
