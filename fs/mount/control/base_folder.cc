#include "mount/control/base_folder.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 512;

}  // namespace

NodeKind TreeFolders::KindIn(const Entry& entry) const {
  if (entry.kind == EntryKind::kFolder) return kinds_.folder;
  return entry.kind == EntryKind::kSymlink ? NodeKind::kTreeLink : kinds_.file;
}

TreeFolders::In TreeFolders::TreeOf(const Node& folder) {
  const ShownTree& shown = *folder.extra().tree;
  return {*shown.tree, shown.key, shown.folders_ns};
}

std::shared_ptr<Node> TreeFolders::RootOf(const Node& folder, const std::string& name, ShownTree tree) {
  Entry root = Entry::OfFolder(kRootFolder);
  root.mtime_ns = tree.folders_ns;
  auto table = env_.nodes.Lock();
  auto node = table->FindOrAddControl(tree.key + ":1", kinds_.folder, table->NumberAt(folder, name));
  node->SetEntry(root);
  if (!node->extra().tree) node->MakeExtra().tree = std::make_shared<const ShownTree>(std::move(tree));
  return node;
}

Result<std::shared_ptr<Node>> TreeFolders::Child(const Node& folder, const std::string& name) {
  if (folder.kind != kinds_.folder) return ControlPlace::Child(folder, name);
  const In in = TreeOf(folder);
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry, in.tree.LookUp({folder.folder(), name}));
  if (!entry) return NoSuchName(name);
  auto table = env_.nodes.Lock();
  const bool is_folder = entry->kind == EntryKind::kFolder;
  const std::string held = entry->kind == EntryKind::kSymlink
                               ? "> " + entry->target
                               : std::to_string(is_folder ? entry->child : entry->version);
  const ControlKey key =
      in.key + ':' + (is_folder ? held : std::to_string(folder.folder()) + '/' + name + '/' + held);
  auto node = table->FindOrAddControl(key, KindIn(*entry), table->NumberAt(folder, name));
  if (is_folder && entry->mtime_ns == 0) entry->mtime_ns = in.folders_ns;
  node->SetEntry(*entry);
  if (is_folder && folder.extra().tree && !node->extra().tree) node->MakeExtra().tree = folder.extra().tree;
  return node;
}

Result<ListedPage> TreeFolders::List(const Node& folder, const std::string& after) {
  if (folder.kind != kinds_.folder) return ControlPlace::List(folder, after);
  STAGEFS_ASSIGN_OR_RETURN(const auto entries, TreeOf(folder).tree.List(folder.folder(), after, kListPage));
  ListedPage page;
  for (const auto& [name, entry] : entries) page.names.push_back({name, KindIn(entry), entry});
  page.is_last = entries.size() < kListPage;
  return page;
}

Result<std::unique_ptr<FileHandle>> TreeFolders::Open(const std::shared_ptr<Node>& node, int flags) {
  if (node->kind != kinds_.file) return ControlPlace::Open(node, flags);
  return OpenVersionOf(node, flags);
}

}  // namespace stagefs
