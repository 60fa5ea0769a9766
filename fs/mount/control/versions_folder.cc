#include "mount/control/versions_folder.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 512;

}  // namespace

Result<std::shared_ptr<Node>> VersionsFolder::Child(const Node& folder, const std::string& name) {
  if (folder.kind != NodeKind::kVersionsFolder) return ControlPlace::Child(folder, name);
  auto version = env_.repository.FindVersion(name);
  if (!version) {
    env_.files.StageAllClosed();
    version = env_.repository.FindVersion(name);
  }
  if (!version) return NoSuchName(name);
  auto table = env_.nodes.Lock();
  auto node = table->FindOrAddControl("v:" + std::to_string(version->id), NodeKind::kVersion,
                                      table->NumberAt(folder, ToHex(version->content.sha256)));
  node->SetEntry(Entry::OfFile(version->id, version->size_bytes, version->stored_ns));
  return node;
}

Result<ListedPage> VersionsFolder::List(const Node& folder, const std::string& after) {
  if (folder.kind != NodeKind::kVersionsFolder) return ControlPlace::List(folder, after);
  std::optional<Sha256> from;
  if (const auto ref = HashRef::Parse("sha256:" + after); ref && !after.empty()) from = *ref->sha256();
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, env_.repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto versions, reader->ListVersions(from, kListPage));
  ListedPage page;
  for (const VersionInfo& version : versions) {
    std::string name = ToHex(version.content.sha256);
    if (name > after) page.names.push_back({std::move(name), NodeKind::kVersion, {}});
  }
  page.is_last = versions.size() < kListPage;
  return page;
}

Result<std::unique_ptr<FileHandle>> VersionsFolder::Open(const std::shared_ptr<Node>& node, int flags) {
  if (node->kind != NodeKind::kVersion) return ControlPlace::Open(node, flags);
  return OpenVersionOf(node, flags);
}

}  // namespace stagefs
