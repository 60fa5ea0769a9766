// TreePages: the names of a folder of the tree, through StageFs.
#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include "stagefs/staging_index.h"
#include "tests/fs/fs_scene.h"

namespace stagefs::test {
namespace {

// So many that they come in several pages: n0000, n0001, …
Lines ManyNames(size_t count) {
  Lines names;
  for (size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    names.push_back("n" + std::string(4 - number.size(), '0') + number);
  }
  return names;
}

void StageAll(Workspace& workspace, const std::string& hash, const Lines& names) {
  std::vector<Workspace::NamedVersion> files;
  const VersionId version = Value(workspace.repository().FindVersion(hash)).id;
  for (const std::string& name : names) files.push_back({Value(RepoPath::Parse(name)), version});
  Ok(workspace.StageVersions(files, {}).WithoutValue());
}

// Lists with each name looked up, and gives the look-ups back but one.
Lines ListPlus(FsScene& scene) {
  Lines names;
  const auto stream = Value(scene.fs().OpenFolder(kRootNode));
  Ok(stream->List(0, true, [&](const DirectoryStream::Name& name) {
    if (name.looked_up) names.push_back(name.name);
    return true;
  }));
  return names;
}

// Goes on with a listing until `listed` has so many names; all that are left otherwise.
void GoOn(DirectoryStream& stream, bool plus, off_t* next, Lines* listed, size_t most = SIZE_MAX) {
  Ok(stream.List(*next, plus, [&](const DirectoryStream::Name& name) {
    if (listed->size() == most) return false;
    if (name.next > 2) listed->push_back(name.name);
    *next = name.next;
    return true;
  }));
}

// At once; within ten seconds where a server tells of changes, our own ones, too.
bool Soon(FsScene& scene, const std::function<bool()>& is) {
  const auto patience = std::chrono::seconds(scene.repository().index().IsShared() ? 10 : 0);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!is()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace

TEST_CASE("TreePages: a folder of several pages has each name once and in order", "[fs][tree_pages]") {
  FsScene scene;
  const Lines names = ManyNames(600);
  StageAll(scene.workspace(), scene.Put("text"), names);
  CHECK(scene.Names("") == names);
}

TEST_CASE("TreePages: files that are only open are listed where they belong", "[fs][tree_pages]") {
  FsScene scene;
  Lines names = ManyNames(600);
  StageAll(scene.workspace(), scene.Put("text"), names);
  std::vector<std::unique_ptr<FileHandle>> open;
  for (const char* name : {"a", "n0255x", "n0400x", "z"}) {
    open.push_back(scene.Create(name));
    names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  CHECK(scene.Names("") == names);
  for (auto& handle : open) CloseFile(std::move(handle));
  CHECK(scene.Names("") == names);
}

TEST_CASE("TreePages: a listing that looks up gives each name its node", "[fs][tree_pages]") {
  FsScene scene;
  for (const char* name : {"a", "b"}) scene.Stage(name, name);
  CHECK(ListPlus(scene) == Lines{"a", "b"});
  CHECK(scene.fs().nodes().Lock()->FindSlot({kRootFolder, "a"})->lookups == 1);
}

TEST_CASE("TreePages: names that are all known come from memory until something changes", "[fs][tree_pages]") {
  FsScene scene;
  Lines names = ManyNames(600);
  StageAll(scene.workspace(), scene.Put("text"), names);
  scene.Refresh();
  ListPlus(scene);
  CHECK(Soon(scene, [&] {
    CHECK(scene.Names("") == names);  // This one finds that each name is known.
    return scene.fs().nodes().Lock()->Find(kRootNode)->extra().all_known_at != -1;
  }));
  CHECK(scene.Names("") == names);
  OtherProcess(scene).Stage("added", "text");
  names.insert(names.begin(), "added");
  CHECK(Soon(scene, [&] { return scene.Names("") == names; }));
}

TEST_CASE("TreePages: a name that another process removed is not listed from memory", "[fs][tree_pages]") {
  FsScene scene;
  for (const char* name : {"a", "b", "c"}) scene.Save(name, name);
  CHECK(scene.Names("") == Lines{"a", "b", "c"});
  OtherProcess(scene).Remove("b");
  CHECK(Soon(scene, [&] { return scene.Names("") == Lines{"a", "c"}; }));
  CHECK(scene.Names("") == Lines{"a", "c"});
}

TEST_CASE("TreePages: a name removed between two pages hides no other", "[fs][tree_pages]") {
  FsScene scene;
  const Lines names = ManyNames(600);
  StageAll(scene.workspace(), scene.Put("text"), names);
  const auto stream = Value(scene.fs().OpenFolder(kRootNode));
  Lines listed;
  off_t next = 0;
  GoOn(*stream, false, &next, &listed, 299);
  Ok(scene.fs().Remove(kRootNode, "n0100"));
  Ok(scene.fs().Remove(kRootNode, "n0599"));
  GoOn(*stream, false, &next, &listed);
  CHECK(listed == Lines(names.begin(), names.end() - 1));
}

TEST_CASE("TreePages: a name that others removed after it was read gets no node", "[fs][tree_pages]") {
  FsScene scene;
  const Lines names = ManyNames(100);
  StageAll(scene.workspace(), scene.Put("text"), names);
  const auto stream = Value(scene.fs().OpenFolder(kRootNode));
  Lines listed;
  off_t next = 0;
  GoOn(*stream, true, &next, &listed, 50);
  OtherProcess(scene).Remove("n0070");
  scene.Refresh();
  GoOn(*stream, true, &next, &listed);
  CHECK(listed.size() == 99);
  CHECK(scene.fs().nodes().Lock()->FindSlot({kRootFolder, "n0070"}) == nullptr);
}

TEST_CASE("TreePages: a listing from before does not undo what was written meanwhile", "[fs][tree_pages]") {
  FsScene scene;
  for (const char* name : {"a", "b"}) scene.Save(name, "one");
  const auto stream = Value(scene.fs().OpenFolder(kRootNode));
  off_t next = 0;
  Ok(stream->List(0, true, [&](const DirectoryStream::Name& name) {
    if (name.name == "b") return false;
    next = name.next;
    return true;
  }));
  scene.Save("b", "longer");
  Ok(stream->List(next, true, [&](const DirectoryStream::Name& name) {
    CHECK(name.attributes.size_bytes == 6);
    return true;
  }));
  CHECK(scene.Load("b") == "longer");
}

TEST_CASE("TreePages: a listing tells the numbers that the files have", "[fs][tree_pages]") {
  FsScene scene;
  for (const char* path : {"a", "b/c", "b/d"}) scene.Stage(path, path);
  scene.Find("a");
  for (const std::string folder : {"", "b/"}) {
    const auto stream = Value(scene.fs().OpenFolder(scene.Find(folder)));
    Ok(stream->List(0, false, [&](const DirectoryStream::Name& name) {
      if (name.name == ".") CHECK(name.attributes.number == scene.AttributesOf(folder).number);
      if (name.name == "..") CHECK(name.attributes.number == kRootNode);
      if (name.next > 2) CHECK(name.attributes.number == scene.AttributesOf(folder + name.name).number);
      return true;
    }));
  }
}

TEST_CASE("TreePages: the control folder is listed where it was asked for", "[fs][tree_pages]") {
  MountOptions options;
  options.show_control = true;
  FsScene scene(options);
  scene.Save("a", "text");
  CHECK(scene.Names("") == Lines{".stagefs", "a"});
  CHECK(FsScene().Names("").empty());
}

}  // namespace stagefs::test
