// The tree: names, folders, links, attributes.
#include "stage_fs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cassert>
#include <random>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 256;
constexpr size_t kAbsentNamesMax = 256;
// How often another process's changes are looked for; the promise is one second.
constexpr auto kLookAgain = std::chrono::milliseconds(250);

bool SameContent(const Entry& a, const Entry& b) {
  return a.kind == b.kind && a.version == b.version && a.child == b.child && a.target == b.target;
}

bool IsTrash(const std::string& name) { return name.starts_with(".Trash-") || name == ".Trash"; }

NodeKind KindOf(EntryKind kind) {
  switch (kind) {
    case EntryKind::kFolder: return NodeKind::kFolder;
    case EntryKind::kSymlink: return NodeKind::kSymlink;
    case EntryKind::kFile:
    case EntryKind::kRemoved: break;
  }
  return NodeKind::kFile;
}

}  // namespace

Result<std::unique_ptr<StageFs>> StageFs::Create(Repository& repository, const std::string& workspace,
                                                 MountOptions options) {
  auto fs = std::unique_ptr<StageFs>(new StageFs(repository, std::move(options)));
  std::random_device random;
  fs->writer_ = 1 + static_cast<WriterId>(random() & 0x7fffffff);
  STAGEFS_ASSIGN_OR_RETURN(fs->workspace_, Workspace::Open(repository, workspace, fs->writer_));
  STAGEFS_ASSIGN_OR_RETURN(fs->behind_, Workspace::Open(repository, workspace));
  STAGEFS_ASSIGN_OR_RETURN(fs->copies_, WorkingCopies::Open(repository));
  STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, fs->workspace_->Info());
  fs->seen_seq_ = info.change_seq;
  fs->started_ns_ = NowNs();
  fs->listener_ = repository.AddListener([raw = fs.get()](WorkspaceId workspace, WriterId writer) {
    if (workspace != raw->workspace_->id() || writer == raw->writer_) return;
    std::lock_guard lock(raw->wake_mutex_);
    raw->changed_ = true;
    raw->wake_.notify_all();
  });
  fs->worker_ = std::thread([raw = fs.get()] { raw->StageQueuedManifests(); });
  return fs;
}

void StageFs::WakeWorker() {
  std::lock_guard lock(wake_mutex_);
  queued_ = true;
  wake_.notify_all();
}

// Manifests that were renamed into place, also those that a crash kept waiting.
void StageFs::StageQueuedManifests() {
  std::unique_lock lock(wake_mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return queued_ || stopped_; });
    if (stopped_) return;
    queued_ = false;
    lock.unlock();
    (void)behind_->StageQueued();
    lock.lock();
  }
}

StageFs::~StageFs() {
  Stop();
  if (worker_.joinable()) worker_.join();
  if (listener_ != 0) repository_.RemoveListener(listener_);
}

void StageFs::Stop() {
  std::lock_guard lock(wake_mutex_);
  stopped_ = true;
  wake_.notify_all();
}

bool StageFs::WaitForChange() {
  std::unique_lock lock(wake_mutex_);
  for (;;) {
    wake_.wait_for(lock, kLookAgain, [this] { return changed_ || stopped_; });
    if (stopped_) return false;
    const bool told = std::exchange(changed_, false);
    lock.unlock();
    const auto mark = repository_.index().ChangeMark();
    if (told || (mark && *mark != seen_mark_)) {
      if (mark) seen_mark_ = *mark;
      return true;
    }
    lock.lock();
  }
}

// What was written to `node` is gone: the path shows what is staged, under a new inode.
void StageFs::ShowStagedAgain(const std::shared_ptr<Node>& node) {
  Slot slot;
  {
    auto table = table_.Lock();
    if (!node->attached) return;
    slot = node->slot;
    table->Detach(node);
  }
  shown_again_.Lock()->push_back(slot);
  WakeNotifier();
}

void StageFs::WakeNotifier() {
  std::lock_guard lock(wake_mutex_);
  changed_ = true;
  wake_.notify_all();
}

void StageFs::Refresh(const Notify& notify) {
  const std::vector<Slot> shown_again = std::exchange(*shown_again_.Lock(), {});
  for (const Slot& slot : shown_again) {
    std::shared_ptr<Node> parent;
    {
      auto table = table_.Lock();
      parent = table->FindFolder(slot.folder);
    }
    if (parent) notify.entry(parent->id, slot.name);
  }
  const auto info = workspace_->Info();
  if (!info || info->change_seq == seen_seq_) return;
  const auto reader = repository_.index().Read();
  if (!reader) return;
  const auto folders = (*reader)->ChangedFolders(workspace_->id(), seen_seq_, writer_);
  if (!folders) return;
  seen_seq_ = info->change_seq;
  generation_.fetch_add(1);
  const bool everything = std::find(folders->begin(), folders->end(), 0) != folders->end();

  std::vector<std::shared_ptr<Node>> suspects;
  std::vector<std::pair<NodeId, std::string>> stale;
  std::vector<NodeId> changed_attributes;
  {
    auto table = table_.Lock();
    const auto suspect_folder = [&](Node& folder) {
      for (const std::string& name : folder.absent) stale.emplace_back(folder.id, name);
      folder.absent.clear();
      folder.touched_ns = NowNs();
      changed_attributes.push_back(folder.id);
    };
    if (everything) {
      for (const auto& node : table->All()) {
        if (node->attached) suspects.push_back(node);
        if (node->kind == NodeKind::kFolder) suspect_folder(*node);
      }
    } else {
      for (const FolderId folder : *folders) {
        for (auto& node : table->ChildrenOf(folder)) suspects.push_back(std::move(node));
        if (const auto node = table->FindFolder(folder)) suspect_folder(*node);
      }
    }
  }
  for (const auto& node : suspects) {
    Slot slot;
    {
      auto table = table_.Lock();
      if (!node->attached || node->open) continue;  // What is written here is seen here.
      slot = node->slot;
    }
    const auto now = workspace_->LookUp(slot.folder, slot.name);
    if (!now) continue;
    auto table = table_.Lock();
    if (!node->attached || node->slot != slot || node->open || node->id == kRootNode) continue;
    if (*now && SameContent(**now, node->entry)) {
      if (!(**now == node->entry)) changed_attributes.push_back(node->id);
      node->entry = **now;
      continue;
    }
    if (const auto parent = table->FindFolder(slot.folder)) stale.emplace_back(parent->id, slot.name);
    table->Detach(node);
  }
  for (const auto& [parent, name] : stale) notify.entry(parent, name);
  for (const NodeId id : changed_attributes) notify.attributes(id);
}

Result<std::shared_ptr<Node>> StageFs::Get(NodeId id) {
  operations_.fetch_add(1, std::memory_order_relaxed);
  auto node = table_.Lock()->Find(id);
  if (!node) return Error(ErrorCode::kStale, "unknown inode");
  return node;
}

Result<std::shared_ptr<Node>> StageFs::GetFolder(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(auto node, Get(id));
  if (node->kind == NodeKind::kFolder) return node;
  if (node->kind == NodeKind::kFile || node->kind == NodeKind::kSymlink) {
    return Error(ErrorCode::kNotDirectory, "not a folder");
  }
  return Error(ErrorCode::kPermission, "nothing can be changed here");
}

// The node for what `slot` holds: the known one while the content is the same, a new one otherwise.
std::shared_ptr<Node> StageFs::Remember(const Slot& slot, const Entry& entry, bool count_lookup) {
  auto table = table_.Lock();
  if (const auto folder = table->FindFolder(slot.folder)) folder->absent.erase(slot.name);
  std::shared_ptr<Node> node = table->FindSlot(slot);
  if (node && node->open) {
    // Being written here: this is what the mount shows, whatever is staged meanwhile.
  } else if (node && SameContent(node->entry, entry)) {
    node->entry = entry;
  } else {
    node = entry.kind == EntryKind::kFolder ? table->AddFolder(entry.child) : table->Add(KindOf(entry.kind));
    node->entry = entry;
    table->Attach(node, slot);
  }
  if (count_lookup) ++node->lookups;
  return node;
}

Attributes StageFs::AttributesOf(const Node& node) const {
  Attributes attributes;
  attributes.id = node.id;
  attributes.type = S_IFREG;
  attributes.permissions = 0644;
  attributes.size_bytes = node.entry.size_bytes;
  attributes.mtime_ns = node.entry.mtime_ns;
  switch (node.kind) {
    case NodeKind::kFolder:
      attributes.mtime_ns = std::max({node.touched_ns, node.entry.mtime_ns, int64_t{0}});
      if (attributes.mtime_ns == 0) attributes.mtime_ns = started_ns_;
      [[fallthrough]];
    case NodeKind::kControlFolder:
    case NodeKind::kVersionsFolder:
    case NodeKind::kInboxFolder:
    case NodeKind::kBaseFolder:
    case NodeKind::kRecoveredFolder:
      attributes.type = S_IFDIR;
      attributes.permissions = 0755;
      attributes.links = 2;
      attributes.size_bytes = 4096;
      if (node.kind != NodeKind::kFolder && attributes.mtime_ns == 0) attributes.mtime_ns = started_ns_;
      break;
    case NodeKind::kSymlink:
      attributes.type = S_IFLNK;
      attributes.permissions = 0777;
      attributes.size_bytes = node.entry.target.size();
      return attributes;
    case NodeKind::kText:
      attributes.permissions = 0444;
      attributes.mtime_ns = NowNs();
      break;
    case NodeKind::kCommand: attributes.permissions = 0200; break;
    case NodeKind::kFile:
    case NodeKind::kBaseFile:
    case NodeKind::kVersion:
    case NodeKind::kInboxFile:
    case NodeKind::kRecoveredFile:
      if (node.entry.executable) attributes.permissions |= 0111;
      break;
  }
  attributes.permissions &= ~options_.umask;
  return attributes;
}

Attributes StageFs::AttributesNow(const std::shared_ptr<Node>& node) {
  std::shared_ptr<OpenFile> file;
  Attributes attributes;
  {
    auto table = table_.Lock();
    attributes = AttributesOf(*node);
    file = node->open;
  }
  if (!file) return attributes;
  std::lock_guard lock(file->mutex());
  attributes.size_bytes = file->size_bytes();
  attributes.mtime_ns = file->mtime_ns();
  attributes.permissions = (0644 | (file->executable() ? 0111 : 0)) & ~options_.umask;
  if (file->detached()) attributes.links = 0;
  return attributes;
}

void StageFs::TouchFolder(FolderId folder) {
  auto table = table_.Lock();
  if (const auto node = table->FindFolder(folder)) node->touched_ns = NowNs();
}

Result<LookedUp> StageFs::LookUp(NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, Get(parent));
  if (folder->kind != NodeKind::kFolder || (parent == kRootNode && name == kControlFolder)) {
    return LookUpControl(*folder, name);
  }
  if (name.size() > kNameBytesMax) return Error(ErrorCode::kNameTooLong, "name too long");
  const Slot slot{folder->folder, name};
  std::shared_ptr<Node> open_here;
  {
    auto table = table_.Lock();
    if (auto node = table->FindSlot(slot); node && node->open) {
      ++node->lookups;
      open_here = std::move(node);
    }
  }
  if (open_here) return LookedUp{AttributesNow(open_here)};
  const int64_t generation = generation_.load();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, workspace_->LookUp(slot.folder, slot.name));
  if (!entry) return RememberAbsent(folder, name, generation);
  const auto node = Remember(slot, *entry, true);
  return LookedUp{AttributesNow(node), generation == generation_.load()};
}

// A manifest or another process may have replaced what the kernel still takes for the content of a path.
// ESTALE makes it look the path up again and find the new inode; without this a write would go to a file that
// no path leads to.
Status StageFs::CheckCurrent(const std::shared_ptr<Node>& node) {
  Slot slot;
  {
    auto table = table_.Lock();
    if (node->open && node->attached) return {};  // Written here: this is what the path shows.
    if (!node->attached) return Error(ErrorCode::kStale, "replaced");
    slot = node->slot;
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, workspace_->LookUp(slot.folder, slot.name));
  auto table = table_.Lock();
  if (!node->attached || node->slot != slot) return Error(ErrorCode::kStale, "replaced");
  if (node->open) return {};
  if (entry && SameContent(*entry, node->entry)) {
    node->entry = *entry;
    return {};
  }
  table->Detach(node);
  return Error(ErrorCode::kStale, "replaced");
}

LookedUp StageFs::RememberAbsent(const std::shared_ptr<Node>& folder, const std::string& name,
                                 int64_t generation) {
  auto table = table_.Lock();
  LookedUp absent;
  absent.cacheable = folder->absent.size() < kAbsentNamesMax && generation == generation_.load();
  if (absent.cacheable) folder->absent.insert(name);
  return absent;
}

void StageFs::Forget(NodeId id, uint64_t count) { table_.Lock()->Forget(id, count); }

Result<Attributes> StageFs::GetAttributes(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, Get(id));
  Slot slot;
  bool ask = false;
  {
    auto table = table_.Lock();
    ask = node->attached && !node->open && id != kRootNode &&
          (node->kind == NodeKind::kFile || node->kind == NodeKind::kFolder);
    slot = node->slot;
  }
  if (ask) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, workspace_->LookUp(slot.folder, slot.name));
    auto table = table_.Lock();
    if (entry && !node->open && SameContent(*entry, node->entry)) node->entry = *entry;
  } else if (id == kRootNode) {
    // A deleted workspace is told from an empty one here.
    STAGEFS_RETURN_IF_ERROR(workspace_->Info().WithoutValue());
  }
  return AttributesNow(node);
}

Result<Attributes> StageFs::SetAttributesOf(NodeId id, const SetAttributes& set, Handle* handle) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, Get(id));
  const std::optional<bool> executable = set.mode ? std::optional((*set.mode & 0111) != 0) : std::nullopt;
  if (node->kind == NodeKind::kFile || node->kind == NodeKind::kInboxFile) {
    std::shared_ptr<OpenFile> file = handle ? handle->file : table_.Lock()->Find(id)->open;
    std::unique_ptr<Handle> own;
    if (!file && (set.size_bytes || node->kind == NodeKind::kInboxFile)) {
      STAGEFS_ASSIGN_OR_RETURN(own, Open(id, O_WRONLY));
      file = own->file;
    }
    if (file) {
      Status status;
      bool waiting = false;
      {
        std::lock_guard lock(file->mutex());
        if (set.size_bytes) status = file->Truncate(*set.size_bytes, PlacerOf(node));
        if (set.mtime_ns) file->SetTimes(*set.mtime_ns);
        if (executable) file->SetExecutable(*executable);
        waiting = file->dirty() || file->fresh() || file->detached();
        // truncate() by path has no close that could stage it.
        if (status && set.size_bytes && file->writers <= (own ? 1 : 0)) {
          status = StageNode(node, *file);
        }
      }
      if (own) Release(std::move(own));
      if (!status) return status.error();
      if (waiting || node->kind == NodeKind::kInboxFile) return AttributesNow(node);
    }
  }
  if (node->kind == NodeKind::kFile || node->kind == NodeKind::kFolder) {
    if (set.mtime_ns || executable) {
      Slot slot;
      {
        auto table = table_.Lock();
        if (node->id == kRootNode) {
          if (set.mtime_ns) node->touched_ns = *set.mtime_ns;
        } else if (!node->attached) {
          return AttributesOf(*node);
        }
        slot = node->slot;
      }
      if (node->id != kRootNode) {
        STAGEFS_ASSIGN_OR_RETURN(const Entry entry, workspace_->SetTraits(slot, set.mtime_ns, executable));
        auto table = table_.Lock();
        node->entry.mtime_ns = entry.mtime_ns;
        node->entry.executable = entry.executable;
        if (node->kind == NodeKind::kFolder && set.mtime_ns) node->touched_ns = 0;
      }
    }
    return AttributesNow(node);
  }
  if (node->kind == NodeKind::kSymlink) return AttributesNow(node);
  if (node->kind == NodeKind::kCommand) return AttributesNow(node);
  return Error(ErrorCode::kPermission, "nothing can be changed here");
}

Result<std::unique_ptr<Handle>> StageFs::OpenFolder(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(auto node, Get(id));
  auto handle = std::make_unique<Handle>();
  handle->node = std::move(node);
  return handle;
}

// Core's names and those that exist only as open files, merged.
Result<std::pair<std::vector<Handle::Listed>, bool>> StageFs::ListPage(const Node& node,
                                                                       const std::string& after) {
  std::vector<Handle::Listed> page;
  if (node.kind != NodeKind::kFolder) {
    bool end = true;
    STAGEFS_ASSIGN_OR_RETURN(page, ListControl(node, after, &end));
    return std::make_pair(std::move(page), end);
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto entries, workspace_->List(node.folder, after, kListPage));
  const bool end = entries.size() < kListPage;
  std::map<std::string, Handle::Listed> merged;
  for (const auto& [name, entry] : entries) merged[name] = {name, KindOf(entry.kind), entry};
  if (const std::string control(kControlFolder); options_.show_control && node.id == kRootNode &&
                                                 control > after && (end || control < entries.back().name)) {
    merged[control] = {control, NodeKind::kControlFolder, Entry()};
  }
  {
    auto table = table_.Lock();
    for (const auto& child : table->ChildrenOf(node.folder)) {
      const std::string& name = child->slot.name;
      if (!child->open || name <= after || (!end && name > entries.back().name)) continue;
      merged.try_emplace(name, Handle::Listed{name, child->kind, child->entry});
    }
  }
  for (auto& [name, listed] : merged) page.push_back(std::move(listed));
  return std::make_pair(std::move(page), end);
}

Status StageFs::List(Handle& handle, off_t offset, bool plus, const std::function<bool(const Name&)>& add) {
  const Node& node = *handle.node;
  std::lock_guard lock(handle.listing_mutex);
  if (offset < handle.offset || offset == 0) {
    handle.page.clear();
    handle.page_at = 0;
    handle.offset = 0;
    handle.last_name.clear();
    handle.end = false;
  }
  // Offsets count names: 1 and 2 are "." and "..".
  for (;; ++handle.offset) {
    if (handle.offset < 2) {
      if (handle.offset < offset) continue;
      Name dot;
      dot.name = handle.offset == 0 ? "." : "..";
      dot.attributes = AttributesNow(handle.node);
      dot.next = handle.offset + 1;
      if (!add(dot)) return {};
      continue;
    }
    if (handle.page_at == handle.page.size()) {
      if (handle.end) return {};
      STAGEFS_ASSIGN_OR_RETURN(auto page, ListPage(node, handle.last_name));
      handle.page = std::move(page.first);
      handle.end = page.second;
      handle.page_at = 0;
      if (!handle.page.empty()) handle.last_name = handle.page.back().name;
      if (handle.page.empty() && handle.end) return {};
      if (handle.page.empty()) {
        --handle.offset;
        continue;
      }
    }
    const Handle::Listed& listed = handle.page[handle.page_at];
    if (handle.offset >= offset) {
      Name name;
      name.name = listed.name;
      name.next = handle.offset + 1;
      std::shared_ptr<Node> known;
      if (node.kind == NodeKind::kFolder && plus && listed.kind != NodeKind::kControlFolder) {
        known = Remember({node.folder, listed.name}, listed.entry, true);
        name.attributes = AttributesNow(known);
        name.looked_up = true;
      } else {
        Node unknown;
        unknown.kind = listed.kind;
        unknown.entry = listed.entry;
        if (node.kind == NodeKind::kFolder) {
          auto table = table_.Lock();
          if (const auto found = table->FindSlot({node.folder, listed.name})) unknown.id = found->id;
        }
        name.attributes = AttributesOf(unknown);
      }
      if (!add(name)) {
        if (known) Forget(known->id, 1);
        return {};
      }
    }
    ++handle.page_at;
  }
}

Status StageFs::CheckNewName(const Node& parent, const std::string& name) const {
  if (IsTrash(name)) {
    return Error(ErrorCode::kPermission, "no trash here: removing unstages");
  }
  if (parent.id == kRootNode && name == kControlFolder) {
    return Error(ErrorCode::kPermission, "the control folder is not a place to stage");
  }
  return CheckEntryName(name);
}

Result<LookedUp> StageFs::MakeFolder(NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto any, Get(parent));
  if (any->kind == NodeKind::kInboxFolder) {
    STAGEFS_RETURN_IF_ERROR(CheckEntryName(name));
    made_inbox_folders_.Lock()->insert(any->path.empty() ? name : any->path + '/' + name);
    return LookUpControl(*any, name);
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetFolder(parent));
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
  const Slot slot{folder->folder, name};
  STAGEFS_ASSIGN_OR_RETURN(const Entry entry, workspace_->MakeFolder(slot));
  TouchFolder(slot.folder);
  return LookedUp{AttributesNow(Remember(slot, entry, true))};
}

Status StageFs::RemoveFolder(NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto any, Get(parent));
  if (any->kind == NodeKind::kInboxFolder) {
    made_inbox_folders_.Lock()->erase(any->path.empty() ? name : any->path + '/' + name);
    return {};
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetFolder(parent));
  const Slot slot{folder->folder, name};
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, workspace_->LookUp(slot.folder, name));
  if (entry && entry->kind == EntryKind::kFolder) {
    auto table = table_.Lock();
    for (const auto& child : table->ChildrenOf(entry->child)) {
      if (child->open) return Error(ErrorCode::kNotEmpty, "a file in it is being written");
    }
  }
  STAGEFS_RETURN_IF_ERROR(workspace_->RemoveFolder(slot));
  TouchFolder(slot.folder);
  auto table = table_.Lock();
  if (const auto node = table->FindSlot(slot)) table->Detach(node);
  return {};
}

Status StageFs::Remove(NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto any, Get(parent));
  if (any->kind == NodeKind::kInboxFolder) {
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(any->path));
    return workspace_->RemoveInbox(directory, name);
  }
  if (any->kind == NodeKind::kRecoveredFolder) {
    STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace_->Info());
    return DismissRecovered(repository_, info, any->path.empty() ? name : any->path + '/' + name);
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetFolder(parent));
  const Slot slot{folder->folder, name};
  std::shared_ptr<Node> node;
  std::shared_ptr<OpenFile> file;
  {
    auto table = table_.Lock();
    node = table->FindSlot(slot);
    if (node) file = node->open;
  }
  std::unique_lock<std::mutex> lock;
  if (file) lock = std::unique_lock(file->mutex());
  const Status removed = workspace_->Remove(slot);
  // A file that was never staged exists here alone.
  if (!removed && !(file && removed.error().code() == ErrorCode::kNotFound)) return removed;
  if (file) file->Detach();
  TouchFolder(slot.folder);
  auto table = table_.Lock();
  if (node) {
    table->Detach(node);
    if (file && file->handles == 0) node->open.reset();  // It waited, refused.
    table->DropIfUnused(node);
  }
  return {};
}

std::shared_ptr<OpenFile> StageFs::FileOf(const std::shared_ptr<Node>& node) {
  if (!node) return nullptr;
  auto table = table_.Lock();
  return node->open;
}

// Renames and links move staged content: what is not staged yet is staged first.
// REQUIRES: the file's mutex is held.
Status StageFs::StageIfWaiting(const std::shared_ptr<Node>& node, OpenFile& file) {
  if (!file.dirty() && !file.fresh() && !file.refused()) return {};
  return StageNode(node, file);
}

// After a rename the kernel shows the inode it knows at the new name. One that was replaced behind its back
// must not stay there.
void StageFs::Arrive(const std::shared_ptr<Node>& node, const Slot& slot) {
  const auto now = workspace_->LookUp(slot.folder, slot.name);
  {
    auto table = table_.Lock();
    if (node && (node->open || (now && *now && SameContent(**now, node->entry)))) {
      table->Attach(node, slot);
      return;
    }
  }
  shown_again_.Lock()->push_back(slot);
  WakeNotifier();
}

Status StageFs::Rename(NodeId parent, const std::string& name, NodeId new_parent, const std::string& new_name,
                       RenameMode mode) {
  STAGEFS_ASSIGN_OR_RETURN(const auto from_any, Get(parent));
  STAGEFS_ASSIGN_OR_RETURN(const auto to_any, Get(new_parent));
  if (from_any->kind == NodeKind::kInboxFolder || to_any->kind == NodeKind::kInboxFolder) {
    return RenameInInbox(*from_any, name, *to_any, new_name);
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto from_folder, GetFolder(parent));
  STAGEFS_ASSIGN_OR_RETURN(const auto to_folder, GetFolder(new_parent));
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*to_folder, new_name));
  const Slot from{from_folder->folder, name};
  const Slot to{to_folder->folder, new_name};
  std::shared_ptr<Node> source, target;
  {
    auto table = table_.Lock();
    source = table->FindSlot(from);
    target = table->FindSlot(to);
  }
  // Held until the new names are known: a FLUSH meanwhile must not stage under the old one.
  const auto source_file = FileOf(source);
  const auto target_file = target == source ? nullptr : FileOf(target);
  std::unique_lock<std::mutex> source_lock, target_lock;
  if (source_file) source_lock = std::unique_lock(source_file->mutex(), std::defer_lock);
  if (target_file) target_lock = std::unique_lock(target_file->mutex(), std::defer_lock);
  if (source_file && target_file) std::lock(source_lock, target_lock);
  else if (source_file) source_lock.lock();
  else if (target_file) target_lock.lock();
  const bool exchange = mode == RenameMode::kExchange;
  if (source_file) STAGEFS_RETURN_IF_ERROR(StageIfWaiting(source, *source_file));
  if (target_file && exchange) STAGEFS_RETURN_IF_ERROR(StageIfWaiting(target, *target_file));
  STAGEFS_RETURN_IF_ERROR(workspace_->Rename(from, to, mode));
  if (from == to) return {};
  TouchFolder(from.folder);
  TouchFolder(to.folder);
  {
    auto table = table_.Lock();
    if (target) {
      table->Detach(target);
      if (!exchange && target_file && target_file->handles == 0) target->open.reset();
    }
    if (source) table->Detach(source);
  }
  Arrive(source, to);
  if (exchange) Arrive(target, from);
  if (target_file && !exchange) target_file->Detach();
  if (source_file) source_file->Moved(PlacerOf(source));
  source_lock = {};
  target_lock = {};
  WakeWorker();
  return {};
}

Result<LookedUp> StageFs::Link(NodeId id, NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto source, Get(id));
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetFolder(parent));
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
  if (const auto file = source->kind == NodeKind::kFile ? FileOf(source) : nullptr) {
    std::lock_guard lock(file->mutex());
    STAGEFS_RETURN_IF_ERROR(StageIfWaiting(source, *file));
  } else if (source->kind == NodeKind::kFile) {
    STAGEFS_RETURN_IF_ERROR(CheckCurrent(source));
  }
  StageHow how;
  how.exclusive = true;
  VersionId version = 0;
  {
    auto table = table_.Lock();
    if (source->kind != NodeKind::kFile && source->kind != NodeKind::kVersion &&
        source->kind != NodeKind::kBaseFile) {
      return Error(ErrorCode::kPermission, "only files can be linked");
    }
    version = source->entry.version;
    how.mtime_ns = source->entry.mtime_ns;
    how.executable = source->entry.executable;
  }
  const Slot slot{folder->folder, name};
  STAGEFS_ASSIGN_OR_RETURN(const StagedFile staged, workspace_->StageVersion(slot, version, how));
  staged_.fetch_add(1, std::memory_order_relaxed);
  TouchFolder(slot.folder);
  return LookedUp{AttributesNow(Remember(slot, staged.entry, true))};
}

Result<LookedUp> StageFs::MakeSymlink(NodeId parent, const std::string& name, const std::string& target) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetFolder(parent));
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
  const Slot slot{folder->folder, name};
  STAGEFS_ASSIGN_OR_RETURN(const Workspace::Linked linked,
                           workspace_->Link(slot, target, options_.mountpoint));
  TouchFolder(slot.folder);
  if (!linked.staged) return LookedUp{AttributesNow(Remember(slot, linked.entry, true))};
  // The kernel insists on a symbolic link as the answer; the next look-up finds the file under a new id.
  auto table = table_.Lock();
  const auto node = table->Add(NodeKind::kSymlink);
  node->entry.kind = EntryKind::kSymlink;
  node->entry.target = target;
  node->entry.mtime_ns = NowNs();
  ++node->lookups;
  return LookedUp{AttributesOf(*node), /*cacheable=*/false};
}

Result<std::string> StageFs::ReadLink(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, Get(id));
  if (node->kind != NodeKind::kSymlink) return Error(ErrorCode::kInvalidArgument, "not a symbolic link");
  auto table = table_.Lock();
  return node->entry.target;
}

Result<std::string> StageFs::GetXattr(NodeId id, const std::string& name) {
  if (name.starts_with("system.posix_acl_")) return Error(ErrorCode::kUnsupported, "no ACLs");
  if (!name.starts_with("user.stagefs.")) return Error(ErrorCode::kNotFound, "no such attribute");
  STAGEFS_ASSIGN_OR_RETURN(const auto node, Get(id));
  const std::string what = name.substr(sizeof("user.stagefs.") - 1);
  Slot slot;
  VersionId version = 0;
  bool waiting = false;
  std::shared_ptr<OpenFile> file;
  {
    auto table = table_.Lock();
    slot = node->slot;
    version = node->entry.version;
    file = node->open;
  }
  if (file) {
    std::lock_guard lock(file->mutex());
    waiting = file->dirty() || file->fresh();
    version = file->version();
    if (what == "status" && file->refused()) return std::string("refused");
  }
  if (what == "status" && node->kind == NodeKind::kFile) {
    return waiting ? std::string("being written") : workspace_->StatusOf(slot);
  }
  if ((what != "sha256" && what != "xxh3") || version == 0) {
    return Error(ErrorCode::kNotFound, "no such attribute");
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> info, reader->GetVersion(version));
  if (!info) return Error(ErrorCode::kStale, "the version is gone");
  return what == "sha256" ? ToHex(info->content.sha256) : ToHex(info->content.xxh3);
}

}  // namespace stagefs
