#include "mount/control/base_folder.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 512;

}  // namespace

Result<std::shared_ptr<Node>> BaseFolder::Child(const Node& folder, const std::string& name) {
  if (folder.kind != NodeKind::kBaseFolder) return ControlPlace::Child(folder, name);
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, env_.workspace->base().LookUp({folder.folder(), name}));
  if (!entry) return NoSuchName(name);
  auto table = env_.nodes.Lock();
  const bool is_folder = entry->kind == EntryKind::kFolder;
  const ControlKey key = is_folder ? "b:" + std::to_string(entry->child)
                                   : "b:" + std::to_string(folder.folder()) + '/' + name + '/' +
                                         std::to_string(entry->version);
  auto node = table->FindOrAddControl(key, is_folder ? NodeKind::kBaseFolder : NodeKind::kBaseFile,
                                      table->NumberAt(folder, name));
  node->SetEntry(*entry);
  return node;
}

Result<ListedPage> BaseFolder::List(const Node& folder, const std::string& after) {
  if (folder.kind != NodeKind::kBaseFolder) return ControlPlace::List(folder, after);
  STAGEFS_ASSIGN_OR_RETURN(const auto entries, env_.workspace->base().List(folder.folder(), after, kListPage));
  ListedPage page;
  for (const auto& [name, entry] : entries) {
    const bool is_folder = entry.kind == EntryKind::kFolder;
    page.names.push_back({name, is_folder ? NodeKind::kBaseFolder : NodeKind::kBaseFile, entry});
  }
  page.is_last = entries.size() < kListPage;
  return page;
}

Result<std::unique_ptr<FileHandle>> BaseFolder::Open(const std::shared_ptr<Node>& node, int flags) {
  if (node->kind != NodeKind::kBaseFile) return ControlPlace::Open(node, flags);
  return OpenVersionOf(node, flags);
}

}  // namespace stagefs
