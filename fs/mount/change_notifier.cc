#include "change_notifier.h"

#include <algorithm>
#include <utility>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr size_t kUnseenPage = 1024;
// How often another process's changes are looked for; the promise is one second.
constexpr auto kLookAgain = std::chrono::milliseconds(250);
constexpr auto kShownWithin = std::chrono::seconds(1);
// A name looked up within this time may be newer than the change that is being told of.
constexpr int64_t kFoundLatelyNs = 1'000'000'000;

}  // namespace

// What the index says changed since it was asked the last time.
struct ChangeNotifier::Changes {
  bool everything = false;
  std::vector<FolderId> folders;
};

// What is to be told, gathered without telling.
struct ChangeNotifier::News {
  std::map<FolderId, ChangedFolder> folders;
  std::vector<std::pair<NodeId, std::string>> stale;
  std::vector<NodeId> changed_attributes;

  ChangedFolder& In(FolderId folder) {
    ChangedFolder& changed = folders[folder];
    changed.folder = folder;
    return changed;
  }
  // REQUIRES: the nodes' lock is held.
  void SuspectFolder(Node& folder) {
    for (const std::string& name : folder.extra().absent) stale.emplace_back(folder.id, name);
    folder.MakeExtra().absent.clear();
    folder.MakeExtra().touched_ns = NowNs();
    changed_attributes.push_back(folder.id);
    In(folder.folder());
  }
};

ChangeNotifier::ChangeNotifier(Nodes& nodes, Workspace& workspace, MountRegistration& registration, int64_t change_seq)
    : nodes_(nodes), workspace_(&workspace), registration_(&registration), seen_seq_(change_seq) {
  listener_ = workspace.repository().AddListener([this](WorkspaceId changed, WriterId writer) {
    if (changed != workspace_->id() || writer == registration_->writer()) return;
    AwaitShown(Wake());
  });
}

ChangeNotifier::~ChangeNotifier() {
  Stop();
  if (workspace_ != nullptr) workspace_->repository().RemoveListener(listener_);
}

void ChangeNotifier::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  wake_.notify_all();
}

uint64_t ChangeNotifier::Wake() {
  std::lock_guard lock(mutex_);
  wake_.notify_all();
  return ++changes_;
}

void ChangeNotifier::AwaitShown(uint64_t change) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, kShownWithin, [&] { return shown_changes_ >= change || stopped_; });
}

void ChangeNotifier::ShowAgain(const Slot& slot) {
  shown_again_.Lock()->push_back(slot);
  Wake();
}

void ChangeNotifier::ShowStagedAgain(const std::shared_ptr<Node>& node) {
  Slot slot;
  {
    auto table = nodes_.Lock();
    if (!node->attached) return;
    slot = node->slot;
    table->Detach(node);
  }
  ShowAgain(slot);
}

void ChangeNotifier::LookAtClosed(std::shared_ptr<Node> node) {
  closed_.Lock()->push_back(std::move(node));
  Wake();
}

std::optional<int64_t> ChangeNotifier::HeardMark() {
  if (workspace_ == nullptr) return std::nullopt;
  return workspace_->repository().index().HeardMark(workspace_->id());
}

bool ChangeNotifier::WaitForChange() {
  std::unique_lock lock(mutex_);
  for (;;) {
    // What was taken up the last time is done.
    shown_changes_ = taken_changes_;
    wake_.notify_all();
    wake_.wait_for(lock, kLookAgain, [this] { return changes_ != taken_changes_ || stopped_; });
    if (stopped_) return false;
    const bool told = std::exchange(taken_changes_, changes_) != changes_;
    lock.unlock();
    registration_->SayThatItLives();
    if (workspace_ == nullptr && told) return true;
    if (workspace_ == nullptr) {
      lock.lock();
      continue;
    }
    const auto mark = workspace_->repository().index().ChangeMark();
    if (told || registration_->missed() || (mark && *mark != seen_mark_)) {
      if (mark) seen_mark_ = *mark;
      return true;
    }
    lock.lock();
  }
}

void ChangeNotifier::Refresh(const Notify& notify) {
  TellShownAgain(notify);
  if (workspace_ == nullptr) return;
  const auto heard = HeardMark();
  const std::optional<Changes> changes = AskIndex(heard);
  if (!changes) return;
  News news;
  bool all_looked_at = true;
  for (const auto& node : Suspects(*changes, &news)) all_looked_at &= LookAt(node, &news);
  if (heard && all_looked_at) shown_mark_ = *heard;
  Tell(std::move(news), notify);
}

void ChangeNotifier::TellShownAgain(const Notify& notify) {
  const std::vector<Slot> shown_again = std::exchange(*shown_again_.Lock(), {});
  for (const Slot& slot : shown_again) {
    if (const auto parent = nodes_.NodeOf(slot.folder)) notify.entry(*parent, slot.name);
  }
}

// std::nullopt: nothing changed and nothing waits to be looked at, or the index does not say.
std::optional<ChangeNotifier::Changes> ChangeNotifier::AskIndex(std::optional<int64_t> heard) {
  auto reader = workspace_->repository().index().Read();
  const auto mounts = reader ? (*reader)->ListMounts() : reader.error();
  const auto workspace = mounts ? (*reader)->GetWorkspace(workspace_->id()) : mounts.error();
  if (!workspace) {
    seen_mark_ = kMarkNeverSeen;  // Looked at again, once the index answers.
    return std::nullopt;
  }
  if (!*workspace) return std::nullopt;
  const int64_t change_seq = (*workspace)->change_seq;
  Result<std::vector<FolderId>> folders = std::vector<FolderId>();
  if (change_seq != seen_seq_) {
    folders = (*reader)->ChangedFolders(workspace_->id(), seen_seq_, registration_->writer());
  }
  reader->reset();
  if (!folders) {
    seen_mark_ = kMarkNeverSeen;
    return std::nullopt;
  }
  // Whoever cannot see this process (from another container) takes it for dead and drops its row: what was
  // changed since was not noted.
  const auto missed = registration_->TakeMissed(*mounts);
  const bool forgotten = missed && *missed;
  if (change_seq == seen_seq_ && closed_.Lock()->empty() && !forgotten) {
    if (heard && missed) shown_mark_ = *heard;
    return std::nullopt;
  }
  seen_seq_ = change_seq;
  nodes_.BeginGeneration();
  const bool everything = forgotten || std::find(folders->begin(), folders->end(), 0) != folders->end();
  return Changes{everything, std::move(*folders)};
}

// The nodes that may show something else now. Folders that changed are news already.
std::vector<std::shared_ptr<Node>> ChangeNotifier::Suspects(const Changes& changes, News* news) {
  std::vector<std::shared_ptr<Node>> suspects = std::exchange(*closed_.Lock(), {});
  auto table = nodes_.Lock();
  if (changes.everything) {
    for (const auto& node : table->All()) {
      if (node->attached && node->slot.folder != 0) suspects.push_back(node);  // Of the tree.
      if (node->kind == NodeKind::kFolder) news->SuspectFolder(*node);
    }
    return suspects;
  }
  for (const FolderId folder : changes.folders) {
    for (auto& node : table->ChildrenOf(folder)) suspects.push_back(std::move(node));
    if (const auto node = table->FindFolder(folder)) news->SuspectFolder(*node);
  }
  return suspects;
}

// Compares `node` with what its slot holds now. False: the index did not say.
bool ChangeNotifier::LookAt(const std::shared_ptr<Node>& node, News* news) {
  Slot slot;
  {
    auto table = nodes_.Lock();
    node->passed_over = node->written;  // What is written here is seen here.
    if (!node->attached || node->written) return true;
    slot = node->slot;
  }
  const auto now = workspace_->tree().LookUp(slot);
  if (!now) return false;
  auto table = nodes_.Lock();
  if (!node->attached || node->slot != slot || node->written || node->id == kRootNode) return true;
  ChangedFolder& around = news->In(slot.folder);
  if (*now && SameContent(**now, node->entry())) {
    if (**now == node->entry()) return true;
    news->changed_attributes.push_back(node->id);
    around.changed.push_back(slot.name);
    node->SetEntry(**now);
    return true;
  }
  (*now ? around.changed : around.gone).push_back(slot.name);
  if (const auto parent = table->FindFolder(slot.folder)) news->stale.emplace_back(parent->id, slot.name);
  table->Detach(node);
  return true;
}

void ChangeNotifier::Tell(News news, const Notify& notify) {
  for (const auto& [parent, name] : news.stale) notify.entry(parent, name);
  for (const NodeId id : news.changed_attributes) notify.attributes(id);
  std::vector<ChangedFolder> changed;
  for (auto& [id, folder] : news.folders) changed.push_back(std::move(folder));
  notify.folders(std::move(changed));
}

Result<std::vector<Named<Entry>>> ListUnseen(Nodes& nodes, Tree& tree, FolderId folder, size_t limit) {
  std::vector<Named<Entry>> unseen, seen_lately;
  std::string after;
  const int64_t lately = NowNs() - kFoundLatelyNs;
  while (unseen.size() < limit) {
    STAGEFS_ASSIGN_OR_RETURN(auto page, tree.List(folder, after, kUnseenPage));
    if (page.empty()) break;
    after = page.back().name;
    auto table = nodes.Lock();
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

}  // namespace stagefs
