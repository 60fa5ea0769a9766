#include "mount/control/recovered_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "stagefs/posix_env.h"
#include "stagefs/recovered.h"

namespace stagefs {

Result<std::shared_ptr<Node>> RecoveredFiles::Child(const Node& folder, const std::string& name) {
  if (folder.kind != NodeKind::kRecoveredFolder) return ControlPlace::Child(folder, name);
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, env_.workspace->Info());
  const std::string path = JoinPath(folder.extra().path, name);
  struct stat found {};
  if (lstat((RecoveredFolder(env_.repository, info) + '/' + path).c_str(), &found) != 0) return NoSuchName(name);
  auto table = env_.nodes.Lock();
  const NodeKind kind = S_ISDIR(found.st_mode) ? NodeKind::kRecoveredFolder : NodeKind::kRecoveredFile;
  auto node = table->FindOrAddControl("r:" + path, kind, table->NumberAt(folder, name));
  node->MakeExtra().path = path;
  node->SetEntry(Entry::OfFile(0, static_cast<uint64_t>(found.st_size), ToNs(found.st_mtim)));
  return node;
}

Result<ListedPage> RecoveredFiles::List(const Node& folder, const std::string& after) {
  if (folder.kind != NodeKind::kRecoveredFolder) return ControlPlace::List(folder, after);
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, env_.workspace->Info());
  STAGEFS_ASSIGN_OR_RETURN(auto files, ListRecovered(env_.repository, info));
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const std::string prefix = folder.extra().path.empty() ? "" : folder.extra().path + '/';
  ListedPage page;
  page.is_last = true;
  for (const RecoveredFile& file : files) {
    if (!file.name.starts_with(prefix)) continue;
    const std::string rest = file.name.substr(prefix.size());
    const size_t slash = rest.find('/');
    std::string name = rest.substr(0, slash);
    if (name <= after || (!page.names.empty() && page.names.back().name == name)) continue;
    page.names.push_back({std::move(name),
                          slash == std::string::npos ? NodeKind::kRecoveredFile : NodeKind::kRecoveredFolder, {}});
  }
  return page;
}

Result<std::unique_ptr<FileHandle>> RecoveredFiles::Open(const std::shared_ptr<Node>& node, int flags) {
  if (node->kind != NodeKind::kRecoveredFile) return ControlPlace::Open(node, flags);
  if (WantsToWrite(flags)) return NeverChanges();
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, env_.workspace->Info());
  const std::string path = RecoveredFolder(env_.repository, info) + '/' + node->extra().path;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoError("open recovered file");
  CopySource source;
  source.file = std::make_shared<SharedFd>(fd);
  {
    auto table = env_.nodes.Lock();
    source.size_bytes = node->entry().size_bytes;
  }
  return std::make_unique<BytesHandle>(env_.files, node, std::move(source));
}

Status RecoveredFiles::Remove(const std::shared_ptr<Node>& folder, const std::string& name) {
  if (folder->kind != NodeKind::kRecoveredFolder) return ControlPlace::Remove(folder, name);
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, env_.workspace->Info());
  return DismissRecovered(env_.repository, info, JoinPath(folder->extra().path, name));
}

}  // namespace stagefs
