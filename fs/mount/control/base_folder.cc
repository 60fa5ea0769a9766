#include "mount/control/base_folder.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 512;

}  // namespace

Result<std::shared_ptr<Node>> TreeFolders::Child(const Node& folder, const std::string& name) {
  if (folder.kind != kinds_.folder) return ControlPlace::Child(folder, name);
  const Shown shown = ShownIn(folder);
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry, shown.tree.LookUp({folder.folder(), name}));
  if (!entry) return NoSuchName(name);
  auto table = env_.nodes.Lock();
  const bool is_folder = entry->kind == EntryKind::kFolder;
  const ControlKey key = shown.key + ':' +
                         (is_folder ? std::to_string(entry->child)
                                    : std::to_string(folder.folder()) + '/' + name + '/' + std::to_string(entry->version));
  auto node = table->FindOrAddControl(key, is_folder ? kinds_.folder : kinds_.file, table->NumberAt(folder, name));
  if (is_folder && entry->mtime_ns == 0) entry->mtime_ns = shown.folders_ns;
  node->SetEntry(*entry);
  if (is_folder) Adopt(folder, node.get());
  return node;
}

Result<ListedPage> TreeFolders::List(const Node& folder, const std::string& after) {
  if (folder.kind != kinds_.folder) return ControlPlace::List(folder, after);
  STAGEFS_ASSIGN_OR_RETURN(const auto entries, ShownIn(folder).tree.List(folder.folder(), after, kListPage));
  ListedPage page;
  for (const auto& [name, entry] : entries) {
    const bool is_folder = entry.kind == EntryKind::kFolder;
    page.names.push_back({name, is_folder ? kinds_.folder : kinds_.file, entry});
  }
  page.is_last = entries.size() < kListPage;
  return page;
}

Result<std::unique_ptr<FileHandle>> TreeFolders::Open(const std::shared_ptr<Node>& node, int flags) {
  if (node->kind != kinds_.file) return ControlPlace::Open(node, flags);
  return OpenVersionOf(node, flags);
}

}  // namespace stagefs
