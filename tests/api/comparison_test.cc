// Pages of what two commits show differently, beside all of it; and how it is written.
#include "api/handlers/comparison.h"

#include <nlohmann/json.hpp>

#include "api/wire/compare_bodies.h"
#include "stagefs/history.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

using Json = nlohmann::json;

struct ComparisonScene : Scene {
  Compared Between(const std::string& base, const std::string& head, const std::string& path = "") {
    return {At(base), At(head), false, Value(RepoPath::ParseDirectory(path))};
  }
  ComparisonView View(int64_t page = 1, int64_t size = 10'000, const std::string& path = "") {
    return Value(ViewComparison(repository(), Between("main~1", "main", path), PageView{page, size, 0}));
  }
  Json Folders(const std::string& path = "") {
    std::string text;
    ChangedFoldersBody body([&](std::string_view piece) { return text += piece, Status(); });
    Ok(body.Begin());
    Ok(ForEachChangedFolder(repository(), Between("main~1", "main", path),
                            [&](const ChangedFolderView& folder) { return body.Add(folder); }));
    Ok(body.End());
    return Json::parse(text)["dirs"];
  }
};

// "added path 1 2 3": its files that were added, modified and removed, if it is a folder.
Lines Shown(const ComparisonView& view) {
  Lines lines;
  for (const DifferenceView& entry : view.entries) {
    lines.push_back(std::string(ToString(entry.kind)) + ' ' + entry.path);
    if (!entry.files) continue;
    for (const int64_t count : {entry.files->added, entry.files->modified, entry.files->removed}) {
      lines.back() += ' ' + std::to_string(count);
    }
  }
  return lines;
}

}  // namespace

TEST_CASE("Comparison: pages of every size follow one another", "[http][compare]") {
  ComparisonScene scene;
  for (int i = 0; i < 20; ++i) scene.Stage("d" + std::to_string(i % 5) + "/f" + std::to_string(i), "old");
  scene.Stage("gone/deep/er/x", "x");
  scene.Commit("one");
  for (int i = 0; i < 20; i += 3) scene.Stage("d" + std::to_string(i % 5) + "/f" + std::to_string(i), "new");
  scene.Stage("d1/new/x", "new");
  scene.Remove("gone");
  scene.Stage("a", "new");
  scene.Commit("two");
  const ComparisonView whole = scene.View();
  const Lines all = Shown(whole);
  CHECK(Lines(all.begin(), all.begin() + 9) ==
        Lines{"modified d0 0 2 0", "modified d1 1 1 0", "added d1/new 1 0 0", "modified d2 0 1 0", "modified d3 0 2 0",
              "modified d4 0 1 0", "removed gone 0 0 1", "removed gone/deep 0 0 1", "removed gone/deep/er 0 0 1"});
  CHECK(Lines(all.begin() + 9, all.begin() + 12) == Lines{"added a", "modified d0/f0", "modified d0/f15"});
  CHECK(all.size() == 9 + 10);
  for (int64_t size = 1; size <= 20; ++size) {
    CAPTURE(size);
    Lines pages;
    for (int64_t page = 1; page <= 21; ++page) {
      const ComparisonView view = scene.View(page, size);
      CHECK(view.page.total_entries == 19);
      CHECK(view.files.added == 2);
      CHECK(view.files.modified == 7);
      CHECK(view.files.removed == 1);
      CHECK(view.entries.size() <= static_cast<size_t>(size));
      const Lines lines = Shown(view);
      pages.insert(pages.end(), lines.begin(), lines.end());
    }
    CHECK(pages == all);
  }
}

TEST_CASE("Comparison: a file in the place of a folder, and the reverse", "[http][compare]") {
  ComparisonScene scene;
  scene.Stage("x", "file");
  scene.Stage("y/deep/er", "1");
  scene.Commit("one");
  scene.Remove("x");
  scene.Stage("x/inside", "2");
  scene.Remove("y");
  scene.Stage("y", "3");
  scene.Commit("two");
  CHECK(Shown(scene.View()) == Lines{"added x 1 0 0", "removed y 0 0 1", "removed y/deep 0 0 1", "removed x",
                                     "added x/inside", "added y", "removed y/deep/er"});
  CHECK(Shown(scene.View(1, 100, "x")) == Lines{"added x/inside"});
  CHECK(Shown(scene.View(1, 100, "y")) == Lines{"removed y/deep 0 0 1", "removed y/deep/er"});
  CHECK(scene.View(1, 100, "y").folder->kind == TreeChange::Kind::kRemoved);
  const auto file = [&](const std::string& path) {
    return Value(ViewFileComparison(scene.repository(), scene.Between("main~1", "main", path))).file;
  };
  CHECK(file("x").kind == TreeChange::Kind::kRemoved);
  CHECK(file("y").kind == TreeChange::Kind::kAdded);
  CHECK(ViewFileComparison(scene.repository(), scene.Between("main~1", "main", "y/deep")).error().code() ==
        ErrorCode::kNotFound);
}

TEST_CASE("Comparison: of the folders in a folder ten are listed, and all counted", "[http][compare]") {
  ComparisonScene scene;
  scene.Stage("same/x", "same");
  scene.Commit("one");
  for (int i = 10; i < 20; ++i) scene.Stage("ten/f" + std::to_string(i) + "/x", "x");
  for (int i = 10; i < 21; ++i) scene.Stage("eleven/f" + std::to_string(i) + "/x", "x");
  scene.Commit("two");
  const Json folders = scene.Folders();
  REQUIRE(folders.size() == 3);
  CHECK(folders[0]["name"] == "eleven");
  CHECK(folders[0]["num_subdirs"] == 11);
  CHECK(folders[0]["can_display"] == true);
  CHECK(folders[0]["children"].size() == 10);
  CHECK(folders[0]["children"][9] == Json{{"name", "eleven/f19"}, {"status", "added"}});
  CHECK(folders[1]["name"] == "ten");
  CHECK(folders[1]["can_display"] == false);
  CHECK(folders[1]["children"].size() == 10);
  CHECK(folders[2]["name"] == "");
  CHECK(folders[2]["status"] == "modified");
  CHECK(folders[2]["num_subdirs"] == 2);
}

TEST_CASE("Comparison: bytes that are not UTF-8 come beside the path, not in what clients read strictly",
          "[http][compare]") {
  ComparisonScene scene;
  scene.Stage("a", "x");
  scene.Commit("one");
  scene.Stage("d\xff/a\xff", "x");
  scene.Commit("two");
  const Json compare = Json::parse(ComparedEntriesBody(scene.View()))["compare"];
  for (const Json& entry : compare["entries"]) {
    CAPTURE(entry.dump());
    CHECK(entry.contains("path_base64"));
    CHECK(entry["head_resource"].contains("path_base64"));
    CHECK_FALSE(entry["head_entry"].contains("path_base64"));
    CHECK_FALSE(entry["head_entry"].contains("changes"));
  }
  CHECK(compare["entries"][1]["path_base64"] == "ZP8vYf8=");
  CHECK(scene.Folders()[0]["children"][0]["path_base64"] == "ZP8=");
}

TEST_CASE("Comparison: lines are told of text, up to a size", "[http][compare]") {
  ComparisonScene scene;
  const auto has_lines = [&](const std::string& path) {
    return Value(ViewFileComparison(scene.repository(), scene.Between("main~1", "main", path))).file.lines.has_value();
  };
  scene.Stage("large.txt", std::string((1 << 20) + 1, 'a'));
  scene.Stage("many.txt", std::string(20'000, '\n'));
  scene.Stage("latin1.txt", "\xe4");
  scene.Commit("one");
  for (const char* path : {"large.txt", "many.txt", "latin1.txt", "new.txt", "Makefile", "t.csv", "i.png"}) {
    scene.Stage(path, "text\n");
  }
  scene.Commit("two");
  for (const char* path : {"new.txt", "Makefile"}) {
    INFO(path);
    CHECK(has_lines(path));
  }
  for (const char* path : {"large.txt", "many.txt", "latin1.txt", "t.csv", "i.png"}) {
    INFO(path);
    CHECK_FALSE(has_lines(path));
  }
}

}  // namespace stagefs::test
