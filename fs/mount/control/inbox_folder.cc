#include "mount/control/inbox_folder.h"

#include <fcntl.h>

#include <cctype>
#include <mutex>

namespace stagefs {
namespace {

// Whether a name that is not there yet is more likely a manifest that is about to be written than a folder.
// Folders that exist in the workspace are known; for new ones mkdir works too.
bool LooksLikeManifest(const std::string& name) {
  std::string upper;
  for (const char c : name) upper += static_cast<char>(toupper(static_cast<unsigned char>(c)));
  return name.find('.') != std::string::npos || upper.ends_with("SUMS") || upper.ends_with("SUM") ||
         name == "MANIFEST" || name.ends_with('~') || name == "4913";
}

ControlKey KeyOfFile(const std::string& directory, const std::string& name) { return "i:" + directory + '\0' + name; }

// REQUIRES: the table's lock is held.
std::shared_ptr<Node> FileNode(InodeTable& table, const Node& folder, const std::string& name) {
  const std::string& directory = folder.extra().path;
  auto node = table.FindOrAddControl(KeyOfFile(directory, name), NodeKind::kInboxFile, table.NumberAt(folder, name));
  node->MakeExtra().path = directory;
  node->slot = {0, name};
  node->attached = true;
  return node;
}

}  // namespace

Result<std::shared_ptr<Node>> InboxFolder::Child(const Node& folder, const std::string& name) {
  if (folder.kind != NodeKind::kInboxFolder) return ControlPlace::Child(folder, name);
  const std::string& directory = folder.extra().path;
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath parsed, RepoPath::ParseDirectory(directory));
  STAGEFS_ASSIGN_OR_RETURN(const auto file, Inbox(*env_.behind).LookUp(parsed, name));
  {
    auto table = env_.nodes.Lock();
    const auto writing = table->FindControl(KeyOfFile(directory, name));
    if (writing && writing->written) return writing;
    if (writing && file && writing->entry().version != file->version) table->Detach(writing);  // Others replaced it.
    if (file) {
      auto node = FileNode(*table, folder, name);
      node->SetEntry(Entry::OfFile(file->version, file->size_bytes, file->mtime_ns));
      return node;
    }
  }
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(JoinPath(directory, name)));
  const auto in_tree = env_.workspace->tree().Find(path);
  const bool is_folder = in_tree ? in_tree->entry.kind == EntryKind::kFolder : !LooksLikeManifest(name);
  if (!is_folder && !made_folders_.Lock()->contains(path.str())) return NoSuchName(name);
  auto table = env_.nodes.Lock();
  auto node = table->FindOrAddControl("f:" + path.str(), NodeKind::kInboxFolder, table->NumberAt(folder, name));
  node->MakeExtra().path = path.str();
  return node;
}

Result<ListedPage> InboxFolder::List(const Node& folder, const std::string& after) {
  if (folder.kind != NodeKind::kInboxFolder) return ControlPlace::List(folder, after);
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(folder.extra().path));
  STAGEFS_ASSIGN_OR_RETURN(const auto files, Inbox(*env_.behind).List(directory));
  ListedPage page;
  page.is_last = true;
  for (const InboxFile& file : files) {
    if (file.name > after) page.names.push_back({file.name, NodeKind::kInboxFile, {}});
  }
  return page;
}

Result<std::unique_ptr<FileHandle>> InboxFolder::Open(const std::shared_ptr<Node>& node, int flags) {
  if (node->kind != NodeKind::kInboxFile) return ControlPlace::Open(node, flags);
  return OpenHandle(env_.files, node, flags);
}

Result<LookedUp> InboxFolder::MakeFolder(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode) {
  if (folder->kind != NodeKind::kInboxFolder) return ControlPlace::MakeFolder(folder, name, mode);
  STAGEFS_RETURN_IF_ERROR(CheckEntryName(name));
  made_folders_.Lock()->insert(JoinPath(folder->extra().path, name));
  return LookUp(folder, name);
}

Status InboxFolder::RemoveFolder(const std::shared_ptr<Node>& folder, const std::string& name) {
  if (folder->kind != NodeKind::kInboxFolder) return ControlPlace::RemoveFolder(folder, name);
  made_folders_.Lock()->erase(JoinPath(folder->extra().path, name));
  return {};
}

Result<Created> InboxFolder::MakeFile(const std::shared_ptr<Node>& folder, const std::string& name, mode_t mode) {
  if (folder->kind != NodeKind::kInboxFolder) return ControlPlace::MakeFile(folder, name, mode);
  STAGEFS_RETURN_IF_ERROR(CheckEntryName(name));
  const auto node = FileNode(*env_.nodes.Lock(), *folder, name);
  return OpenCreated(env_.files, node, mode);
}

Status InboxFolder::Remove(const std::shared_ptr<Node>& folder, const std::string& name) {
  if (folder->kind != NodeKind::kInboxFolder) return ControlPlace::Remove(folder, name);
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(folder->extra().path));
  const auto node = env_.nodes.Lock()->FindControl(KeyOfFile(folder->extra().path, name));
  return env_.files.Remove(node, [&] { return Inbox(*env_.workspace).Remove(directory, name); });
}

Status InboxFolder::Rename(const std::shared_ptr<Node>& from, const std::string& name, const std::shared_ptr<Node>& to,
                           const std::string& new_name, RenameMode) {
  if (from->kind != NodeKind::kInboxFolder || to->kind != NodeKind::kInboxFolder) {
    // mv falls back to a copy, which works in both directions.
    return Error(ErrorCode::kCrossDevice, "copy it instead");
  }
  STAGEFS_RETURN_IF_ERROR(CheckEntryName(new_name));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(from->extra().path));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath target, RepoPath::ParseDirectory(to->extra().path));
  const auto node = env_.nodes.Lock()->FindControl(KeyOfFile(from->extra().path, name));
  if (const auto file = env_.files.FileOf(node)) {
    std::lock_guard lock(file->mutex());
    STAGEFS_RETURN_IF_ERROR(env_.files.StageIfWaiting(node, *file));
  }
  STAGEFS_RETURN_IF_ERROR(Inbox(*env_.behind).Rename(directory, name, target, new_name));
  if (node) {
    auto table = env_.nodes.Lock();
    table->Rekey(node, KeyOfFile(to->extra().path, new_name));
    node->MakeExtra().path = to->extra().path;
    node->slot.name = new_name;
  }
  env_.worker->Wake();
  return {};
}

Result<Attributes> InboxFolder::SetAttributesOf(const std::shared_ptr<Node>& node, const SetAttributes& set,
                                                FileHandle* handle) {
  if (node->kind != NodeKind::kInboxFile) return ControlPlace::SetAttributesOf(node, set, handle);
  std::shared_ptr<OpenFile> file = handle != nullptr ? handle->file() : env_.files.FileOf(node);
  std::unique_ptr<FileHandle> own;
  if (!file) {
    STAGEFS_ASSIGN_OR_RETURN(own, Open(node, O_WRONLY));
    file = own->file();
  }
  const Status done = env_.files.SetOn(node, *file, set, /*staged_at_once=*/handle == nullptr).WithoutValue();
  if (own) own->Release();
  if (!done) return done.error();
  return env_.files.AttributesOf(node);
}

}  // namespace stagefs
