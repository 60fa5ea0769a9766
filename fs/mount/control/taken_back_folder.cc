#include "mount/control/taken_back_folder.h"

#include <algorithm>
#include <charconv>

#include "stagefs/taken_back.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 512;

// 0: `name` is no number as it is written here.
int64_t NumberOf(const std::string& name) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && *end == '\0' && number > 0 && std::to_string(number) == name ? number : 0;
}

}  // namespace

Result<std::shared_ptr<Node>> TakenBackFolder::Child(const Node& folder, const std::string& name) {
  if (folder.kind != NodeKind::kTakenBackFolder) return TreeFolders::Child(folder, name);
  const int64_t number = NumberOf(name);
  if (number == 0) return NoSuchName(name);
  STAGEFS_ASSIGN_OR_RETURN(auto tree, OpenTakenBack(*env_.workspace, number));
  return RootOf(folder, name, {std::move(tree), "k" + std::to_string(number), 0});
}

// Each change once, however many files it took back.
Result<ListedPage> TakenBackFolder::List(const Node& folder, const std::string& after) {
  if (folder.kind != NodeKind::kTakenBackFolder) return TreeFolders::List(folder, after);
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, env_.repository.index().Read());
  ListedPage page;
  page.is_last = true;
  for (TakenBackPlace place;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto next, reader->ListTakenBack(env_.workspace->id(), place, 1));
    if (next.empty()) break;
    const std::string name = std::to_string(next.front().number);
    if (name > after) page.names.push_back({name, NodeKind::kTakenBackTree, Entry::OfFolder(kRootFolder)});
    place = {next.front().number, INT64_MAX};
  }
  std::sort(page.names.begin(), page.names.end(), [](const Listed& a, const Listed& b) { return a.name < b.name; });
  if (page.names.size() > kListPage) {
    page.names.resize(kListPage);
    page.is_last = false;
  }
  return page;
}

}  // namespace stagefs
