// Nodes: looked up, refreshed, their attributes.
#include "stage_fs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <random>

#include "stagefs/posix_env.h"
#include "stagefs/process.h"
#include "stagefs/inbox.h"
#include "stagefs/workspaces.h"

namespace stagefs {
namespace {

constexpr size_t kAbsentNamesMax = 256;
constexpr size_t kUnseenPage = 1024;
constexpr size_t kLookAhead = 256;
constexpr size_t kFoldersAheadMax = 64;
// How often another process's changes are looked for; the promise is one second.
constexpr auto kLookAgain = std::chrono::milliseconds(250);
constexpr auto kShownWithin = std::chrono::seconds(1);
// A name looked up within this time may be newer than the change that is being told of.
constexpr int64_t kFoundLatelyNs = 1'000'000'000;

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
    raw->AwaitShown(raw->WakeNotifier());
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
    (void)Inbox(*behind_).StageQueued();
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
    // What was taken up the last time is done.
    shown_changes_ = taken_changes_;
    wake_.notify_all();
    wake_.wait_for(lock, kLookAgain, [this] { return changes_ != taken_changes_ || stopped_; });
    if (stopped_) return false;
    const bool told = std::exchange(taken_changes_, changes_) != changes_;
    lock.unlock();
    SayThatItLives();
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

uint64_t StageFs::WakeNotifier() {
  std::lock_guard lock(wake_mutex_);
  wake_.notify_all();
  return ++changes_;
}

void StageFs::AwaitShown(uint64_t change) {
  std::unique_lock lock(wake_mutex_);
  wake_.wait_for(lock, kShownWithin, [&] { return shown_changes_ >= change || stopped_; });
}

void StageFs::SayThatItLives() {
  if (!repository_.index().IsShared()) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - said_it_lives_ < std::chrono::seconds(kMountBeatSeconds)) return;
  said_it_lives_ = now;
  (void)NoteMounted();
}

Status StageFs::NoteMounted() {
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction,
                           repository_.index().Begin(Durability::kProcessDeath, Turn::NothingElse()));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t now_ns, transaction->ClockNs());
  STAGEFS_RETURN_IF_ERROR(transaction->PutMount({HostOfPids(), options_.mountpoint, workspace_->id(), getpid(),
                                                 ProcessStartTime(getpid()), writer_, now_ns}));
  return transaction->Commit();
}

Status StageFs::NoteUnmounted() {
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction,
                           repository_.index().Begin(Durability::kProcessDeath, Turn::NothingElse()));
  STAGEFS_RETURN_IF_ERROR(transaction->EraseMount(HostOfPids(), options_.mountpoint));
  return transaction->Commit();
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
  const auto heard = repository_.index().HeardMark(workspace_->id());
  const auto reader = repository_.index().Read();
  const auto mounts = reader ? (*reader)->ListMounts() : reader.error();
  const auto workspace = mounts ? (*reader)->GetWorkspace(workspace_->id()) : mounts.error();
  if (!workspace) {
    seen_mark_ = kMarkNeverSeen;  // Looked at again, once the index answers.
    return;
  }
  if (!*workspace) return;
  // Whoever cannot see this process (from another container) takes it for dead and drops its row: what was
  // changed since was not noted.
  const bool forgotten = std::none_of(mounts->begin(), mounts->end(),
                                      [this](const MountRow& mount) { return mount.writer == writer_; }) &&
                         NoteMounted();
  const int64_t change_seq = (*workspace)->change_seq;
  if (change_seq == seen_seq_ && closed_.Lock()->empty() && !forgotten) {
    if (heard) seen_heard_ = *heard;
    return;
  }
  const auto folders = (*reader)->ChangedFolders(workspace_->id(), seen_seq_, writer_);
  if (!folders) {
    seen_mark_ = kMarkNeverSeen;
    return;
  }
  seen_seq_ = change_seq;
  generation_.fetch_add(1);
  const bool everything = forgotten || std::find(folders->begin(), folders->end(), 0) != folders->end();

  std::vector<std::shared_ptr<Node>> suspects = std::exchange(*closed_.Lock(), {});
  std::map<FolderId, ChangedFolder> others;
  std::vector<std::pair<NodeId, std::string>> stale;
  std::vector<NodeId> changed_attributes;
  {
    auto table = table_.Lock();
    const auto suspect_folder = [&](Node& folder) {
      for (const std::string& name : folder.extra().absent) stale.emplace_back(folder.id, name);
      folder.MakeExtra().absent.clear();
      folder.MakeExtra().touched_ns = NowNs();
      changed_attributes.push_back(folder.id);
      others[folder.folder()].folder = folder.folder();
    };
    if (everything) {
      for (const auto& node : table->All()) {
        if (node->attached && node->slot.folder != 0) suspects.push_back(node);  // Of the tree.
        if (node->kind == NodeKind::kFolder) suspect_folder(*node);
      }
    } else {
      for (const FolderId folder : *folders) {
        for (auto& node : table->ChildrenOf(folder)) suspects.push_back(std::move(node));
        if (const auto node = table->FindFolder(folder)) suspect_folder(*node);
      }
    }
  }
  bool all_looked_at = true;
  for (const auto& node : suspects) {
    Slot slot;
    {
      auto table = table_.Lock();
      node->passed_over = node->open() != nullptr;  // What is written here is seen here.
      if (!node->attached || node->open()) continue;
      slot = node->slot;
    }
    const auto now = workspace_->tree().LookUp(slot);
    if (!now) {
      all_looked_at = false;
      continue;
    }
    auto table = table_.Lock();
    if (!node->attached || node->slot != slot || node->open() || node->id == kRootNode) continue;
    ChangedFolder& around = others[slot.folder];
    around.folder = slot.folder;
    if (*now && SameContent(**now, node->entry())) {
      if (**now == node->entry()) continue;
      changed_attributes.push_back(node->id);
      around.changed.push_back(slot.name);
      node->SetEntry(**now);
      continue;
    }
    (*now ? around.changed : around.gone).push_back(slot.name);
    if (const auto parent = table->FindFolder(slot.folder)) stale.emplace_back(parent->id, slot.name);
    table->Detach(node);
  }
  if (heard && all_looked_at) seen_heard_ = *heard;
  for (const auto& [parent, name] : stale) notify.entry(parent, name);
  for (const NodeId id : changed_attributes) notify.attributes(id);
  std::vector<ChangedFolder> changed;
  for (auto& [id, folder] : others) changed.push_back(std::move(folder));
  notify.folders(std::move(changed));
}

std::optional<NodeId> StageFs::NodeOf(FolderId folder) {
  if (folder == kRootFolder) return kRootNode;
  const auto node = table_.Lock()->FindFolder(folder);
  return node ? std::optional(node->id) : std::nullopt;
}

Result<std::vector<Named<Entry>>> StageFs::Unseen(FolderId folder, size_t limit) {
  std::vector<Named<Entry>> unseen, seen_lately;
  std::string after;
  const int64_t lately = NowNs() - kFoundLatelyNs;
  while (unseen.size() < limit) {
    STAGEFS_ASSIGN_OR_RETURN(auto page, workspace_->tree().List(folder, after, kUnseenPage));
    if (page.empty()) break;
    after = page.back().name;
    auto table = table_.Lock();
    for (Named<Entry>& entry : page) {
      const auto node = table->FindSlot({folder, entry.name});
      if (node && node->found_ns <= lately) continue;
      auto& names = node ? seen_lately : unseen;
      if (names.size() < limit) names.push_back(std::move(entry));
    }
  }
  const size_t room = std::min(limit - unseen.size(), seen_lately.size());
  std::move(seen_lately.begin(), seen_lately.begin() + static_cast<ptrdiff_t>(room),
            std::back_inserter(unseen));
  return unseen;
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
  if (const auto folder = table->FindFolder(slot.folder)) folder->MakeExtra().absent.erase(slot.name);
  std::shared_ptr<Node> node = table->FindSlot(slot);
  if (node && node->open()) {
    // Being written here: this is what the mount shows, whatever is staged meanwhile.
  } else if (node && SameContent(node->entry(), entry)) {
    node->SetEntry(entry);
  } else {
    node = entry.kind == EntryKind::kFolder ? table->AddFolder(entry.child) : table->Add(KindOf(entry.kind));
    node->SetEntry(entry);
    node->found_ns = NowNs();
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
  const Entry entry = node.entry();
  attributes.size_bytes = entry.size_bytes;
  attributes.mtime_ns = entry.mtime_ns;
  switch (node.kind) {
    case NodeKind::kFolder:
      attributes.mtime_ns = std::max({node.extra().touched_ns, entry.mtime_ns, int64_t{0}});
      if (attributes.mtime_ns == 0) attributes.mtime_ns = started_ns_;
      [[fallthrough]];
    case NodeKind::kControlFolder:
    case NodeKind::kVersionsFolder:
    case NodeKind::kInboxFolder:
    case NodeKind::kBaseFolder:
    case NodeKind::kRecoveredFolder:
      attributes.type = S_IFDIR;
      attributes.permissions = 0755;
      attributes.links = 1;  // Says nothing of sub-folders, so that no tool counts on it.
      attributes.size_bytes = 4096;
      if (node.kind != NodeKind::kFolder && attributes.mtime_ns == 0) attributes.mtime_ns = started_ns_;
      break;
    case NodeKind::kSymlink:
      attributes.type = S_IFLNK;
      attributes.permissions = 0777;
      attributes.size_bytes = entry.target.size();
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
      if (entry.executable) attributes.permissions |= 0111;
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
    file = node->open();
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
  if (const auto node = table->FindFolder(folder)) node->MakeExtra().touched_ns = NowNs();
}

Result<LookedUp> StageFs::LookUp(NodeId parent, const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto folder, Get(parent));
  if (folder->kind != NodeKind::kFolder || (parent == kRootNode && name == kControlFolder)) {
    return LookUpControl(*folder, name);
  }
  if (name.size() > kNameBytesMax) return Error(ErrorCode::kNameTooLong, "name too long");
  const Slot slot{folder->folder(), name};
  std::shared_ptr<Node> open_here;
  {
    auto table = table_.Lock();
    if (auto node = table->FindSlot(slot); node && node->open()) {
      ++node->lookups;
      open_here = std::move(node);
    }
  }
  if (open_here) return LookedUp{AttributesNow(open_here)};
  const int64_t generation = generation_.load();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, LookUpAhead(slot, generation));
  if (!entry) return RememberAbsent(folder, name, generation);
  const auto node = Remember(slot, *entry, true);
  return LookedUp{AttributesNow(node), generation == generation_.load()};
}

// What the index has at `slot`. Where it is far away, and tells of changes, whoever goes through a folder in order of
// the names does not wait for it each time.
Result<std::optional<Entry>> StageFs::LookUpAhead(const Slot& slot, int64_t generation) {
  const auto heard = repository_.index().HeardMark(workspace_->id());
  bool goes_on = false;
  if (heard) {
    auto ahead = ahead_.Lock();
    if (ahead->size() > kFoldersAheadMax) ahead->clear();
    Ahead& here = (*ahead)[slot.folder];
    if (here.heard != *heard || here.generation != generation) here = {*heard, generation, "", "", "", {}};
    if (slot.name > here.after && (!here.up_to || slot.name <= *here.up_to)) {
      const auto found = here.entries.find(slot.name);
      return found == here.entries.end() ? std::nullopt : std::optional<Entry>(found->second);
    }
    goes_on = !here.last.empty() && slot.name > here.last;
    here.last = slot.name;
  }
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry, workspace_->tree().LookUp(slot));
  if (!goes_on) return entry;
  STAGEFS_ASSIGN_OR_RETURN(auto page, workspace_->tree().List(slot.folder, slot.name, kLookAhead));
  Ahead next{*heard, generation, slot.name, slot.name, std::nullopt, {}};
  if (page.size() == kLookAhead) next.up_to = page.back().name;
  for (auto& [name, value] : page) next.entries.emplace(std::move(name), std::move(value));
  (*ahead_.Lock())[slot.folder] = std::move(next);
  return entry;
}

// A manifest or another process may have replaced what the kernel still takes for the content of a path.
// ESTALE makes it look the path up again and find the new inode; without this a write would go to a file that
// no path leads to. Whoever only reads need not ask an index that tells of changes and told of none.
Status StageFs::CheckCurrent(const std::shared_ptr<Node>& node, bool only_reads) {
  const auto heard = only_reads ? repository_.index().HeardMark(workspace_->id()) : std::nullopt;
  Slot slot;
  {
    auto table = table_.Lock();
    if (node->open() && node->attached) return {};  // Written here: this is what the path shows.
    if (!node->attached) return Error(ErrorCode::kStale, "replaced");
    if (heard && *heard == seen_heard_ && !node->passed_over) return {};
    slot = node->slot;
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, workspace_->tree().LookUp(slot));
  auto table = table_.Lock();
  if (!node->attached || node->slot != slot) return Error(ErrorCode::kStale, "replaced");
  if (node->open()) return {};
  if (entry && SameContent(*entry, node->entry())) {
    node->SetEntry(*entry);
    return {};
  }
  table->Detach(node);
  return Error(ErrorCode::kStale, "replaced");
}

LookedUp StageFs::RememberAbsent(const std::shared_ptr<Node>& folder, const std::string& name,
                                 int64_t generation) {
  auto table = table_.Lock();
  LookedUp absent;
  absent.cacheable = folder->extra().absent.size() < kAbsentNamesMax && generation == generation_.load();
  if (absent.cacheable) folder->MakeExtra().absent.insert(name);
  return absent;
}

void StageFs::Forget(NodeId id, uint64_t count) { table_.Lock()->Forget(id, count); }

// What others change reaches the nodes by Refresh().
Result<Attributes> StageFs::GetAttributes(NodeId id) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, Get(id));
  // A deleted workspace is told from an empty one here.
  if (id == kRootNode) STAGEFS_RETURN_IF_ERROR(workspace_->Info().WithoutValue());
  return AttributesNow(node);
}

Result<Attributes> StageFs::SetAttributesOf(NodeId id, const SetAttributes& set, Handle* handle) {
  STAGEFS_ASSIGN_OR_RETURN(const auto node, Get(id));
  const std::optional<bool> executable = set.mode ? std::optional((*set.mode & 0111) != 0) : std::nullopt;
  if (node->kind == NodeKind::kFile || node->kind == NodeKind::kInboxFile) {
    std::shared_ptr<OpenFile> file = handle ? handle->file : table_.Lock()->Find(id)->open();
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
        if (status && set.size_bytes && handle == nullptr) status = StageNode(node, *file);
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
          if (set.mtime_ns) node->MakeExtra().touched_ns = *set.mtime_ns;
        } else if (!node->attached) {
          return AttributesOf(*node);
        }
        slot = node->slot;
      }
      if (node->id != kRootNode) {
        STAGEFS_ASSIGN_OR_RETURN(const Entry entry, workspace_->SetTraits(slot, set.mtime_ns, executable));
        auto table = table_.Lock();
        Entry now = node->entry();
        now.mtime_ns = entry.mtime_ns;
        now.executable = entry.executable;
        node->SetEntry(now);
        if (node->kind == NodeKind::kFolder && set.mtime_ns) node->MakeExtra().touched_ns = 0;
      }
    }
    return AttributesNow(node);
  }
  if (node->kind == NodeKind::kSymlink) return AttributesNow(node);
  if (node->kind == NodeKind::kCommand) return AttributesNow(node);
  return Error(ErrorCode::kPermission, "nothing can be changed here");
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
    version = node->entry().version;
    file = node->open();
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
