// LookAhead: how often the tree is asked.
#include "mount/look_ahead.h"

#include "tests/scene.h"

namespace stagefs::test {
namespace {

// Names in the root folder, and how often it was asked for them.
class CountingTree : public Tree {
 public:
  Result<std::optional<Entry>> LookUp(const Slot& slot) override {
    ++asked;
    const auto found = names.find(slot.name);
    return found == names.end() ? std::nullopt : std::optional(Entry::OfFile(found->second, 1, 1));
  }
  Result<std::vector<Named<Entry>>> List(FolderId, std::string_view after, size_t limit) override {
    ++listed;
    std::vector<Named<Entry>> page;
    for (auto it = names.upper_bound(std::string(after)); it != names.end() && page.size() < limit; ++it) {
      page.push_back({it->first, Entry::OfFile(it->second, 1, 1)});
    }
    return page;
  }
  Result<std::optional<Slot>> PlaceOf(FolderId) override { return std::optional<Slot>(); }

  std::map<std::string, VersionId> names = {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"f", 6}};
  int asked = 0, listed = 0;
};

struct LookAheadScene {
  VersionId Find(const std::string& name) {
    const auto entry = Value(ahead.LookUp({kRootFolder, name}, heard, generation));
    return entry ? entry->version : 0;
  }

  CountingTree tree;
  LookAhead ahead{tree};
  std::optional<int64_t> heard = 1;
  int64_t generation = 1;
};

}  // namespace

TEST_CASE("LookAhead: who goes through a folder in order asks twice", "[fs][look_ahead]") {
  LookAheadScene scene;
  for (const auto& [name, version] : scene.tree.names) CHECK(scene.Find(name) == version);
  CHECK(scene.tree.asked == 2);
  CHECK(scene.tree.listed == 1);
}

TEST_CASE("LookAhead: a name that is not there is known not to be there", "[fs][look_ahead]") {
  LookAheadScene scene;
  scene.Find("a");
  scene.Find("b");
  CHECK(scene.Find("e") == 0);
  CHECK(scene.Find("z") == 0);
  CHECK(scene.tree.asked == 2);
}

TEST_CASE("LookAhead: who jumps about lists nothing", "[fs][look_ahead]") {
  LookAheadScene scene;
  for (const char* name : {"d", "c", "b", "a"}) CHECK(scene.Find(name) != 0);
  CHECK(scene.tree.asked == 4);
  CHECK(scene.tree.listed == 0);
}

TEST_CASE("LookAhead: what was heard of makes every answer old", "[fs][look_ahead]") {
  LookAheadScene scene;
  scene.Find("a");
  scene.Find("b");
  scene.tree.names["c"] = 33;
  CHECK(scene.Find("c") == 3);
  SECTION("a mark") { scene.heard = 2; }
  SECTION("a generation") { scene.generation = 2; }
  CHECK(scene.Find("c") == 33);
}

TEST_CASE("LookAhead: where nobody tells of changes the tree is asked each time", "[fs][look_ahead]") {
  LookAheadScene scene;
  scene.heard = std::nullopt;
  for (const auto& [name, version] : scene.tree.names) CHECK(scene.Find(name) == version);
  CHECK(scene.tree.asked == 5);
  CHECK(scene.tree.listed == 0);
}

}  // namespace stagefs::test
