// Names in folders: listed, made, removed, renamed, linked.
#include <algorithm>
#include <utility>

#include "stage_fs.h"
#include "stagefs/posix_env.h"
#include "stagefs/inbox.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 256;
constexpr size_t kKnownPage = 1024;  // Of names that the index need not be asked for.

bool IsTrash(const std::string& name) { return name.starts_with(".Trash-") || name == ".Trash"; }

}  // namespace

Result<std::unique_ptr<Handle>> StageFs::OpenFolder(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(auto node, Get(id));
  auto handle = std::make_unique<Handle>();
  handle->node = std::move(node);
  return handle;
}

// Where nothing changed since a listing found that the kernel knows all of a folder's names, they are in the table.
std::optional<std::pair<std::vector<Handle::Listed>, bool>> StageFs::ListKnown(const Node& node,
                                                                               const std::string& after) {
  if (options_.show_control && node.id == kRootNode) return std::nullopt;
  if (KnownAt(node) == -1) return std::nullopt;
  const auto mark = repository_.index().ChangeMark();
  auto table = table_.Lock();
  if (!mark || node.extra().all_known_at != *mark) return std::nullopt;
  std::vector<Handle::Listed> page;
  table->VisitChildren(node.folder(), after, [&](const Node& child) {
    page.push_back({child.slot.name, child.kind, child.entry(), child.id});
    return page.size() < kKnownPage;
  });
  const bool end = page.size() < kKnownPage;
  return std::make_pair(std::move(page), end);
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
  if (auto known = ListKnown(node, after)) return std::move(*known);
  // First those: one that is staged and closed meanwhile is among core's then.
  std::vector<Handle::Listed> open;
  {
    auto table = table_.Lock();
    for (const auto& child : table->OpenChildrenOf(node.folder())) {
      open.push_back({child->slot.name, child->kind, child->entry()});
    }
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto entries, workspace_->tree().List(node.folder(), after, kListPage));
  const bool end = entries.size() < kListPage;
  const auto is_in_page = [&](const std::string& name) {
    return name > after && (end || name < entries.back().name);
  };
  if (const std::string control(kControlFolder);
      options_.show_control && node.id == kRootNode && is_in_page(control)) {
    open.push_back({control, NodeKind::kControlFolder, Entry()});
  }
  page.reserve(entries.size() + open.size());
  for (const auto& [name, entry] : entries) page.push_back({name, KindOf(entry.kind), entry});
  const size_t staged = page.size();
  const auto by_name = [](const Handle::Listed& a, const Handle::Listed& b) { return a.name < b.name; };
  for (Handle::Listed& listed : open) {
    if (is_in_page(listed.name) && !std::binary_search(page.begin(), page.begin() + staged, listed, by_name)) {
      page.push_back(std::move(listed));
    }
  }
  std::sort(page.begin() + staged, page.end(), by_name);
  std::inplace_merge(page.begin(), page.begin() + staged, page.end(), by_name);
  std::vector<std::string_view> names;
  names.reserve(page.size());
  for (const Handle::Listed& listed : page) names.push_back(listed.name);
  table_.Lock()->FindSorted(node.folder(), names, [&](size_t i, const Node& known) { page[i].id = known.id; });
  return std::make_pair(std::move(page), end);
}

// The node of a name in a listing, looked up once more.
std::shared_ptr<Node> StageFs::Recall(FolderId folder, const Handle::Listed& listed) {
  if (listed.id != 0) {
    auto table = table_.Lock();
    auto node = table->Find(listed.id);
    if (node && node->attached && node->slot.folder == folder && node->slot.name == listed.name &&
        node->entry() == listed.entry) {
      ++node->lookups;
      return node;
    }
  }
  return Remember({folder, listed.name}, listed.entry, true);
}

int64_t StageFs::KnownAt(const Node& folder) {
  auto table = table_.Lock();
  return folder.extra().all_known_at;
}

void StageFs::BeginListing(Handle& handle) {
  const auto mark = repository_.index().ChangeMark();
  auto table = table_.Lock();
  handle.all_known = static_cast<bool>(mark);
  handle.mark = mark ? *mark : -1;
  handle.detached = handle.node->MakeExtra().detached;
}

// If nothing changed meanwhile and each name was known, the next listing need not ask the index.
void StageFs::EndListing(Handle& handle) {
  if (!std::exchange(handle.all_known, false) || KnownAt(*handle.node) == handle.mark) return;
  // What others removed may be attached until Refresh() looks at it: then there are more nodes than names.
  const FolderId folder = handle.node->folder();
  off_t nodes = 2;  // As offsets count.
  std::string last;
  for (bool more = true; more;) {
    more = false;
    size_t visited = 0;
    auto table = table_.Lock();
    table->VisitChildren(folder, last, [&](const Node& child) {
      ++nodes;
      more = ++visited == kKnownPage;
      if (more) last = child.slot.name;
      return !more;
    });
  }
  if (nodes != handle.offset) return;
  const auto mark = repository_.index().ChangeMark();
  auto table = table_.Lock();
  if (!mark || *mark != handle.mark || handle.node->extra().detached != handle.detached) return;
  handle.node->MakeExtra().all_known_at = *mark;
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
    if (node.kind == NodeKind::kFolder) BeginListing(handle);
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
      if (handle.end) {
        EndListing(handle);
        return {};
      }
      STAGEFS_ASSIGN_OR_RETURN(auto page, ListPage(node, handle.last_name));
      handle.page = std::move(page.first);
      handle.end = page.second;
      handle.page_at = 0;
      if (!handle.page.empty()) handle.last_name = handle.page.back().name;
      if (handle.page.empty() && handle.end) {
        EndListing(handle);
        return {};
      }
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
        known = Recall(node.folder(), listed);
        name.attributes = AttributesNow(known);
        name.looked_up = true;
      } else {
        Node unknown;
        unknown.id = listed.id;
        unknown.kind = listed.kind;
        unknown.SetEntry(listed.entry);
        handle.all_known = handle.all_known && listed.id != 0;
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
    made_inbox_folders_.Lock()->insert(JoinPath(any->extra().path, name));
    return LookUpControl(*any, name);
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetFolder(parent));
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
  const Slot slot{folder->folder(), name};
  STAGEFS_ASSIGN_OR_RETURN(const Entry entry, workspace_->MakeFolder(slot));
  TouchFolder(slot.folder);
  return LookedUp{AttributesNow(Remember(slot, entry, true))};
}

// A new file has no row before it is staged, so that its folder looks empty.
Status StageFs::CheckNothingIsWrittenIn(FolderId folder) {
  auto table = table_.Lock();
  if (table->OpenChildrenOf(folder).empty()) return {};
  return Error(ErrorCode::kNotEmpty, "a file in it is being written");
}

Status StageFs::RemoveFolder(NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto any, Get(parent));
  if (any->kind == NodeKind::kInboxFolder) {
    made_inbox_folders_.Lock()->erase(JoinPath(any->extra().path, name));
    return {};
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetFolder(parent));
  const Slot slot{folder->folder(), name};
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, workspace_->tree().LookUp({slot.folder, name}));
  if (entry && entry->kind == EntryKind::kFolder) {
    STAGEFS_RETURN_IF_ERROR(CheckNothingIsWrittenIn(entry->child));
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
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(any->extra().path));
    const auto node = table_.Lock()->FindControl("i:" + any->extra().path + '\0' + name);
    return RemoveNode(node, [&] { return Inbox(*workspace_).Remove(directory, name); });
  }
  if (any->kind == NodeKind::kRecoveredFolder) {
    STAGEFS_ASSIGN_OR_RETURN(const WorkspaceInfo info, workspace_->Info());
    return DismissRecovered(repository_, info, JoinPath(any->extra().path, name));
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetFolder(parent));
  const Slot slot{folder->folder(), name};
  const auto node = table_.Lock()->FindSlot(slot);
  STAGEFS_RETURN_IF_ERROR(RemoveNode(node, [&] { return workspace_->Remove(slot); }));
  TouchFolder(slot.folder);
  return {};
}

// Removes what is staged, by `remove`, and what `node` (if any) holds that is not.
Status StageFs::RemoveNode(const std::shared_ptr<Node>& node, const std::function<Status()>& remove) {
  const auto file = FileOf(node);
  std::unique_lock<std::mutex> lock;
  if (file) lock = std::unique_lock(file->mutex());
  const Status removed = remove();
  // A file that was never staged exists here alone.
  if (!removed && !(file && removed.error().code() == ErrorCode::kNotFound)) return removed;
  if (file) file->Detach();
  if (!node) return {};
  auto table = table_.Lock();
  table->Detach(node);
  if (file && file->handles == 0) table->SetOpen(node, nullptr);  // It waited, refused.
  table->DropIfUnused(node);
  return {};
}

std::shared_ptr<OpenFile> StageFs::FileOf(const std::shared_ptr<Node>& node) {
  if (!node) return nullptr;
  auto table = table_.Lock();
  return node->open();
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
  const auto now = workspace_->tree().LookUp(slot);
  {
    auto table = table_.Lock();
    if (node && (node->open() || (now && *now && SameContent(**now, node->entry())))) {
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
  const Slot from{from_folder->folder(), name};
  const Slot to{to_folder->folder(), new_name};
  std::shared_ptr<Node> source, target;
  {
    auto table = table_.Lock();
    source = table->FindSlot(from);
    target = table->FindSlot(to);
  }
  if (target && target->kind == NodeKind::kFolder && mode == RenameMode::kReplace && target != source) {
    STAGEFS_RETURN_IF_ERROR(CheckNothingIsWrittenIn(target->folder()));
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
      if (!exchange && target_file && target_file->handles == 0) table->SetOpen(target, nullptr);
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
    STAGEFS_RETURN_IF_ERROR(CheckCurrent(source, /*only_reads=*/false));
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
    version = source->entry().version;
    how.mtime_ns = source->entry().mtime_ns;
    how.executable = source->entry().executable;
  }
  const Slot slot{folder->folder(), name};
  STAGEFS_ASSIGN_OR_RETURN(const StagedFile staged, workspace_->StageVersion(slot, version, how));
  staged_.fetch_add(1, std::memory_order_relaxed);
  TouchFolder(slot.folder);
  return LookedUp{AttributesNow(Remember(slot, staged.entry, true))};
}

Result<LookedUp> StageFs::MakeSymlink(NodeId parent, const std::string& name, const std::string& target) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, GetFolder(parent));
  STAGEFS_RETURN_IF_ERROR(CheckNewName(*folder, name));
  const Slot slot{folder->folder(), name};
  STAGEFS_ASSIGN_OR_RETURN(const Workspace::Linked linked,
                           workspace_->Link(slot, target, options_.mountpoint));
  TouchFolder(slot.folder);
  if (!linked.staged) return LookedUp{AttributesNow(Remember(slot, linked.entry, true))};
  // The kernel insists on a symbolic link as the answer; the next look-up finds the file under a new id.
  auto table = table_.Lock();
  const auto node = table->Add(NodeKind::kSymlink);
  Entry entry;
  entry.kind = EntryKind::kSymlink;
  entry.target = target;
  entry.mtime_ns = NowNs();
  node->SetEntry(entry);
  ++node->lookups;
  return LookedUp{AttributesOf(*node), /*cacheable=*/false};
}

Result<std::string> StageFs::ReadLink(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, Get(id));
  if (node->kind != NodeKind::kSymlink) return Error(ErrorCode::kInvalidArgument, "not a symbolic link");
  auto table = table_.Lock();
  return node->extra().target;
}

}  // namespace stagefs
