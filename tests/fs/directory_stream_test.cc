// DirectoryStream: offsets and pages, over names that nothing but the test changes.
#include "mount/directory_stream.h"

#include <set>

#include "tests/scene.h"

namespace stagefs::test {
namespace {

// What the pages of a folder show, and what was done with them.
struct FakeFolder {
  std::set<std::string> names;
  size_t page_names = 3;
  int begun = 0, pages = 0;
  bool is_current = true;
  off_t ended_after = -1;
  std::multiset<NodeId> looked_up;
};

class FakePages : public FolderPages {
 public:
  explicit FakePages(FakeFolder& folder) : folder_(folder) {}
  Attributes OfFolder() override { return {}; }
  void Begin() override { ++folder_.begun; }
  Result<ListedPage> After(const std::string& name) override {
    ++folder_.pages;
    folder_.is_current = true;
    ListedPage page;
    for (auto it = folder_.names.upper_bound(name); it != folder_.names.end(); ++it) {
      if (page.names.size() == folder_.page_names) return page;
      page.names.push_back({*it, NodeKind::kFile, {}, static_cast<NodeId>((*it)[0])});
    }
    page.is_last = true;
    return page;
  }
  bool IsCurrent() override { return folder_.is_current; }
  Shown Show(const Listed& listed, bool plus) override {
    if (plus) folder_.looked_up.insert(listed.id);
    Attributes attributes;
    attributes.id = listed.id;
    return {attributes, plus};
  }
  void TakeBack(NodeId id) override { folder_.looked_up.erase(folder_.looked_up.find(id)); }
  void End(off_t names) override { folder_.ended_after = names; }

 private:
  FakeFolder& folder_;
};

class StreamScene {
 public:
  explicit StreamScene(std::set<std::string> names) { folder.names = std::move(names); }

  // The next names, at most `room`, as a readdir() that goes on where the last one ended.
  Lines Next(size_t room, bool plus = false) {
    Lines names;
    Ok(stream_->List(offset_, plus, [&](const DirectoryStream::Name& name) {
      if (names.size() == room) return false;
      names.push_back(name.name);
      offset_ = name.next;
      return true;
    }));
    return names;
  }
  off_t offset() const { return offset_; }
  void SeekTo(off_t offset) { offset_ = offset; }
  void OpenAgain() { stream_ = std::make_unique<DirectoryStream>(std::make_unique<FakePages>(folder)); }

  FakeFolder folder;

 private:
  std::unique_ptr<DirectoryStream> stream_ = std::make_unique<DirectoryStream>(std::make_unique<FakePages>(folder));
  off_t offset_ = 0;
};

}  // namespace

TEST_CASE("DirectoryStream: the dots come first, then each name once", "[fs][directory_stream]") {
  StreamScene scene({"a", "b", "c", "d", "e", "f", "g"});
  CHECK(scene.Next(100) == Lines{".", "..", "a", "b", "c", "d", "e", "f", "g"});
  CHECK(scene.Next(100).empty());
  CHECK(scene.folder.ended_after == 7);
}

TEST_CASE("DirectoryStream: a listing goes on where there was no more room", "[fs][directory_stream]") {
  StreamScene scene({"a", "b", "c", "d", "e"});
  CHECK(scene.Next(1) == Lines{"."});
  CHECK(scene.Next(3) == Lines{"..", "a", "b"});
  CHECK(scene.Next(3) == Lines{"c", "d", "e"});
  CHECK(scene.folder.begun == 1);
}

TEST_CASE("DirectoryStream: an empty folder has its dots", "[fs][directory_stream]") {
  StreamScene scene({});
  CHECK(scene.Next(100) == Lines{".", ".."});
}

TEST_CASE("DirectoryStream: offset 0 starts anew and sees what is new", "[fs][directory_stream]") {
  StreamScene scene({"b"});
  scene.Next(100);
  scene.folder.names.insert("a");
  scene.SeekTo(0);
  CHECK(scene.Next(100) == Lines{".", "..", "a", "b"});
}

TEST_CASE("DirectoryStream: an offset that was passed is found again", "[fs][directory_stream]") {
  StreamScene scene({"a", "b", "c", "d", "e"});
  scene.Next(4);
  const off_t after_b = scene.offset();
  scene.Next(3);
  scene.SeekTo(after_b);
  CHECK(scene.Next(2) == Lines{"c", "d"});
  CHECK(scene.folder.begun == 1);
}

TEST_CASE("DirectoryStream: an offset leads to its place after a rewind and elsewhere", "[fs][directory_stream]") {
  StreamScene scene({"a", "b", "c", "d", "e"});
  scene.Next(4);
  const off_t after_b = scene.offset();
  scene.folder.names.insert("aa");
  SECTION("rewound") {
    scene.SeekTo(0);
    scene.Next(2);
  }
  SECTION("opened again") { scene.OpenAgain(); }
  scene.SeekTo(after_b);
  CHECK(scene.Next(100) == Lines{"c", "d", "e"});
  CHECK(scene.folder.ended_after != 5);
}

TEST_CASE("DirectoryStream: a listing goes on after a name that was removed", "[fs][directory_stream]") {
  StreamScene scene({"a", "b", "c", "d", "e", "f"});
  scene.Next(4);
  const off_t after_b = scene.offset();
  scene.Next(3);  // Had no room with whoever asked.
  for (const char* name : {"a", "b"}) scene.folder.names.erase(name);
  scene.SeekTo(after_b);
  CHECK(scene.Next(100) == Lines{"c", "d", "e", "f"});
}

TEST_CASE("DirectoryStream: an offset that leads nowhere ends the listing", "[fs][directory_stream]") {
  StreamScene scene({"a", "b"});
  scene.SeekTo(12345);
  CHECK(scene.Next(100).empty());
  CHECK(scene.Next(100).empty());
  scene.SeekTo(0);
  CHECK(scene.Next(100) == Lines{".", "..", "a", "b"});
}

TEST_CASE("DirectoryStream: whoever comes back for names of a page has it still", "[fs][directory_stream]") {
  StreamScene scene({});
  for (char name = 'a'; name <= 'z'; ++name) scene.folder.names.insert(std::string(1, name));
  scene.folder.page_names = 50;
  scene.Next(3);
  for (int i = 0; i < 10; ++i) {
    scene.Next(2);
    const off_t taken = scene.offset();
    scene.Next(2);
    scene.SeekTo(taken);
  }
  CHECK(scene.folder.pages == 1);
}

TEST_CASE("DirectoryStream: a page from which names may have gone is asked for again", "[fs][directory_stream]") {
  StreamScene scene({"a", "b", "c"});
  CHECK(scene.Next(3) == Lines{".", "..", "a"});
  scene.folder.names.erase("b");
  scene.folder.is_current = false;
  CHECK(scene.Next(100) == Lines{"c"});
}

TEST_CASE("DirectoryStream: names removed while listing hide and repeat no other", "[fs][directory_stream]") {
  StreamScene scene({"a", "b", "c", "d", "e", "f", "g"});
  CHECK(scene.Next(5) == Lines{".", "..", "a", "b", "c"});
  for (const char* name : {"a", "b", "c", "g"}) scene.folder.names.erase(name);
  CHECK(scene.Next(100) == Lines{"d", "e", "f"});
}

TEST_CASE("DirectoryStream: names added while listing hide and repeat no other", "[fs][directory_stream]") {
  StreamScene scene({"b", "d", "f", "h", "j", "l", "n"});
  CHECK(scene.Next(5) == Lines{".", "..", "b", "d", "f"});
  for (const char* name : {"a", "c", "m"}) scene.folder.names.insert(name);
  CHECK(scene.Next(100) == Lines{"h", "j", "l", "m", "n"});
}

TEST_CASE("DirectoryStream: a name that did not fit counts as looked up once", "[fs][directory_stream]") {
  StreamScene scene({"a", "b"});
  scene.Next(3, /*plus=*/true);
  CHECK(scene.folder.looked_up == std::multiset<NodeId>{'a'});
  scene.Next(100, /*plus=*/true);
  CHECK(scene.folder.looked_up == std::multiset<NodeId>{'a', 'b'});
}

}  // namespace stagefs::test
