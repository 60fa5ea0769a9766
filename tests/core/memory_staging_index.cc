#include "memory_staging_index.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "index/held_reader.h"
#include "stagefs/posix_env.h"

namespace stagefs::test {
namespace {

// Everything, by its key.
struct Rows {
  std::map<VersionId, VersionInfo> versions;
  VersionId newest_version = 0;
  std::map<std::string, BranchInfo> branches;
  std::map<std::string, TagInfo> tags;
  std::map<CommitSeq, CommitInfo> commits;
  std::map<int64_t, TreeView::Line> forks;  // A lineage's parent, and up to where it is visible.
  int64_t lineages = 0;
  struct TreeRow {
    int64_t lineage = 0;
    Entry entry;
  };
  std::map<Slot, std::map<CommitSeq, TreeRow>> tree;
  FolderId folders = kRootFolder;
  std::map<WorkspaceId, WorkspaceInfo> workspaces;
  WorkspaceId last_workspace = 0;
  std::map<WorkspaceId, std::map<Slot, StagedEntry>> staged;
  std::map<std::pair<WorkspaceId, Slot>, UnsyncedEntry> unsynced;
  std::map<std::tuple<WorkspaceId, FolderId, WriterId>, int64_t> changes;
  std::map<std::tuple<WorkspaceId, std::string, std::string>, InboxFile> inbox;
  std::map<std::tuple<WorkspaceId, int64_t, int64_t>, TakenBack> taken_back;
  std::map<std::string, WorkingCopyRow> working_copies;
  std::map<std::pair<std::string, std::string>, MountRow> mounts;
  std::map<std::string, std::string> meta;
};

template <class Map, class Key>
auto Find(const Map& map, const Key& key) -> std::optional<typename Map::mapped_type> {
  const auto at = map.find(key);
  return at == map.end() ? std::nullopt : std::optional<typename Map::mapped_type>(at->second);
}

// The first `limit` values from `at` on that `want` takes, as `as` makes them of a key and a value.
template <class Map, class Want, class As>
auto Some(const Map& map, typename Map::const_iterator at, size_t limit, Want want, As as) {
  std::vector<decltype(as(*at))> found;
  for (; at != map.end() && found.size() < limit; ++at) {
    if (want(*at)) found.push_back(as(*at));
  }
  return found;
}
template <class Map, class Want>
std::vector<typename Map::mapped_type> Where(const Map& map, Want want, size_t limit = SIZE_MAX) {
  return Some(map, map.begin(), limit, [&](const auto& row) { return want(row.second); },
              [](const auto& row) { return row.second; });
}
constexpr auto kAny = [](const auto&) { return true; };

template <class Interface>
class MemoryQuestions : public Interface {
 public:
  Result<std::optional<VersionInfo>> FindVersion(const HashRef& hash) override {
    const auto found = Where(now().versions, [&](const auto& version) { return hash.Names(version.content); }, 1);
    return found.empty() ? std::nullopt : std::optional<VersionInfo>(found[0]);
  }
  Result<std::optional<VersionInfo>> GetVersion(VersionId id) override { return Find(now().versions, id); }
  Result<std::vector<VersionInfo>> ListVersions(const std::optional<Sha256>& after, size_t limit) override {
    auto all = Where(now().versions, [&](const auto& version) { return !after || version.content.sha256 > *after; });
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.content.sha256 < b.content.sha256; });
    all.resize(std::min(all.size(), limit));
    return all;
  }
  Result<std::vector<VersionInfo>> ListVersionsFrom(VersionId first, size_t limit) override {
    return Where(now().versions, [&](const auto& version) { return version.id >= first; }, limit);
  }
  Result<std::vector<VersionInfo>> ListUnsynced(size_t limit) override {
    return Where(now().versions, [](const auto& version) { return !version.synced; }, limit);
  }
  Result<std::vector<std::pair<Sha256, VersionId>>> ListVersionIds(const std::optional<Sha256>& after,
                                                                   size_t limit) override {
    STAGEFS_ASSIGN_OR_RETURN(const auto versions, ListVersions(after, limit));
    std::vector<std::pair<Sha256, VersionId>> ids;
    for (const VersionInfo& version : versions) ids.emplace_back(version.content.sha256, version.id);
    return ids;
  }
  Result<int64_t> NewestNs() override {
    int64_t newest_ns = 0;
    for (const auto& [id, version] : now().versions) newest_ns = std::max(newest_ns, version.renewed_ns);
    for (const auto& [seq, commit] : now().commits) newest_ns = std::max(newest_ns, commit.time_ns);
    return newest_ns;
  }
  Result<std::vector<VersionInfo>> ListUnused(int64_t before_ns, size_t limit) override {
    std::set<VersionId> named = NamedVersions();
    for (const auto& [key, entry] : now().unsynced) {
      named.insert(entry.version);
      if (entry.previous) named.insert(entry.previous->entry.version);
    }
    for (const auto& [file, row] : now().working_copies) named.insert(row.base_version.value_or(0));
    for (const auto& [id, workspace] : now().workspaces) named.insert(workspace.report.value_or(0));
    return Where(now().versions, [&](const auto& version) {
      return version.renewed_ns < before_ns && version.synced && version.size_bytes > 0 && !named.contains(version.id);
    }, limit);
  }
  Result<bool> IsCommitted(VersionId version) override {
    return std::any_of(now().tree.begin(), now().tree.end(), [&](const auto& slot) {
      return std::any_of(slot.second.begin(), slot.second.end(),
                         [&](const auto& row) { return row.second.entry.version == version; });
    });
  }
  Result<int64_t> CountDangling() override {
    const std::set<VersionId> named = NamedVersions();
    return std::count_if(named.begin(), named.end(),
                         [&](VersionId id) { return id != 0 && !now().versions.contains(id); });
  }

  Result<std::optional<BranchInfo>> FindBranch(const std::string& name) override {
    return Find(now().branches, name);
  }
  Result<std::vector<BranchInfo>> ListBranches() override { return Where(now().branches, kAny); }
  Result<std::optional<CommitInfo>> GetCommit(CommitSeq seq) override { return Find(now().commits, seq); }
  Result<std::optional<CommitInfo>> FindCommit(const std::string& id) override {
    const auto found = Where(now().commits, [&](const auto& commit) { return commit.id == id; });
    return found.empty() ? std::nullopt : std::optional<CommitInfo>(found[0]);
  }
  Result<std::vector<CommitInfo>> FindCommits(const std::string& prefix, size_t limit) override {
    auto found = Where(now().commits, [&](const auto& commit) { return commit.id.starts_with(prefix); });
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    found.resize(std::min(found.size(), limit));
    return found;
  }
  Result<std::optional<TagInfo>> FindTag(const std::string& name) override { return Find(now().tags, name); }
  Result<std::vector<TagInfo>> ListTags() override { return Where(now().tags, kAny); }
  Result<TreeView> ViewOf(CommitSeq seq) override {
    const auto commit = Find(now().commits, seq);
    if (!commit) return Error(ErrorCode::kNotFound, "no commit number " + std::to_string(seq));
    std::vector<TreeView::Line> lines{{commit->lineage, seq}};
    while (const auto fork = Find(now().forks, lines.back().lineage)) lines.push_back(*fork);
    return TreeView(std::move(lines));
  }

  Result<std::optional<Entry>> LookUpBase(const TreeView& view, FolderId folder, std::string_view name) override {
    const auto shown = Shown(view, {folder, std::string(name)});
    if (!shown || shown->second.kind == EntryKind::kRemoved) return std::optional<Entry>();
    return std::optional<Entry>(shown->second);
  }
  Result<std::vector<Named<Entry>>> ListBase(const TreeView& view, FolderId folder, std::string_view after,
                                                      size_t limit) override {
    std::vector<Named<Entry>> entries;
    for (auto at = now().tree.upper_bound({folder, std::string(after)}); at != now().tree.end(); ++at) {
      if (at->first.folder != folder || entries.size() == limit) break;
      const auto shown = Shown(view, at->first);
      if (shown && shown->second.kind != EntryKind::kRemoved) entries.push_back({at->first.name, shown->second});
    }
    return entries;
  }
  Result<std::optional<CommitSeq>> LastCommitOf(const TreeView& view, const Slot& slot) override {
    const auto shown = Shown(view, slot);
    return shown ? std::optional<CommitSeq>(shown->first) : std::nullopt;
  }
  Result<std::optional<Slot>> PlaceInBase(const TreeView& view, FolderId child) override {
    for (const auto& [slot, commits] : now().tree) {
      const auto shown = Shown(view, slot);
      if (shown && shown->second.child == child) return std::optional<Slot>(slot);
    }
    return std::optional<Slot>();
  }
  Result<std::vector<Slot>> ListCommitted(CommitSeq seq, const std::optional<Slot>& after, size_t limit) override {
    return Some(now().tree, now().tree.upper_bound(after.value_or(Slot{0, ""})), limit,
                [&](const auto& row) { return row.second.contains(seq); }, [](const auto& row) { return row.first; });
  }

  Result<std::optional<WorkspaceInfo>> FindWorkspace(const std::string& id_or_name) override {
    std::optional<WorkspaceInfo> found;
    for (const auto& [id, workspace] : now().workspaces) {
      if (workspace.uid == id_or_name) return std::optional<WorkspaceInfo>(workspace);
      if (workspace.name == id_or_name) found = workspace;
    }
    return found;
  }
  Result<std::optional<WorkspaceInfo>> GetWorkspace(WorkspaceId id) override { return Find(now().workspaces, id); }
  Result<std::vector<WorkspaceInfo>> ListWorkspaces() override { return Where(now().workspaces, kAny); }
  Result<std::optional<StagedEntry>> LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                  std::string_view name) override {
    return Find(StagedIn(workspace), Slot{folder, std::string(name)});
  }
  Result<std::vector<Named<StagedEntry>>> ListStaged(WorkspaceId workspace, FolderId folder,
                                                              std::string_view after, size_t limit) override {
    const auto& staged = StagedIn(workspace);
    return Some(staged, staged.upper_bound({folder, std::string(after)}), limit,
                [&](const auto& row) { return row.first.folder == folder; },
                [](const auto& row) { return Named<StagedEntry>{row.first.name, row.second}; });
  }
  Result<std::vector<StagedRow>> ScanStaged(WorkspaceId workspace, const std::optional<Slot>& after,
                                            size_t limit) override {
    const auto& staged = StagedIn(workspace);
    return Some(staged, staged.upper_bound(after.value_or(Slot{0, ""})), limit, kAny,
                [](const auto& row) { return StagedRow{row.first, row.second}; });
  }
  Result<int64_t> CountStaged(WorkspaceId workspace) override {
    const auto& staged = StagedIn(workspace);
    return std::count_if(staged.begin(), staged.end(),
                         [](const auto& row) { return row.second.state != StagedState::kKept; });
  }
  Result<std::optional<Slot>> PlaceInStaged(WorkspaceId workspace, FolderId child) override {
    for (const auto& [slot, staged] : StagedIn(workspace)) {
      if (staged.entry.child == child) return std::optional<Slot>(slot);
    }
    return std::optional<Slot>();
  }
  Result<std::vector<UnsyncedEntry>> UnsyncedEntriesOf(VersionId version) override {
    return Where(now().unsynced, [&](const auto& entry) { return entry.version == version; });
  }
  Result<std::vector<FolderId>> ChangedFolders(WorkspaceId workspace, int64_t after_seq, WriterId except) override {
    std::set<FolderId> changed;
    for (const auto& [key, seq] : now().changes) {
      const auto& [in, folder, writer] = key;
      if (in == workspace && seq > after_seq && writer != except) changed.insert(folder);
    }
    return std::vector<FolderId>(changed.begin(), changed.end());
  }
  Result<std::vector<TakenBack>> ListTakenBack(WorkspaceId workspace, const TakenBackPlace& after,
                                               size_t limit) override {
    const auto& all = now().taken_back;
    return Some(all, all.upper_bound({workspace, after.number, after.item}), limit,
                [&](const auto& row) { return std::get<0>(row.first) == workspace; },
                [](const auto& row) { return row.second; });
  }
  Result<std::optional<InboxFile>> LookUpInbox(WorkspaceId workspace, std::string_view directory,
                                               std::string_view name) override {
    return Find(now().inbox, std::tuple(workspace, std::string(directory), std::string(name)));
  }
  Result<std::vector<InboxFile>> ListInbox(WorkspaceId workspace, std::string_view directory) override {
    return Some(now().inbox, now().inbox.begin(), SIZE_MAX, [&](const auto& row) {
      return std::get<0>(row.first) == workspace && row.second.directory == directory;
    }, [](const auto& row) { return row.second; });
  }

  Result<std::vector<MountRow>> ListMounts() override { return Where(now().mounts, kAny); }
  Result<bool> IsMounted(WorkspaceId workspace, WriterId except) override {
    return !Where(now().mounts, [&](const auto& mount) {
      return mount.workspace == workspace && mount.writer != except;
    }).empty();
  }
  Result<std::vector<WorkingCopyRow>> ListWorkingCopies() override { return Where(now().working_copies, kAny); }
  Result<std::optional<std::string>> GetMeta(const std::string& key) override { return Find(now().meta, key); }
  Result<std::vector<std::string>> ListMeta(const std::string& prefix) override {
    return Some(now().meta, now().meta.begin(), SIZE_MAX,
                [&](const auto& row) { return row.first.starts_with(prefix); },
                [](const auto& row) { return row.first; });
  }
  Result<int64_t> ClockNs() override { return NowNs(); }

 protected:
  virtual const Rows& now() const = 0;

 private:
  // What trees and workspaces name.
  std::set<VersionId> NamedVersions() const {
    std::set<VersionId> named;
    for (const auto& [slot, commits] : now().tree) {
      for (const auto& [seq, row] : commits) named.insert(row.entry.version);
    }
    for (const auto& [workspace, slots] : now().staged) {
      for (const auto& [slot, staged] : slots) named.insert(staged.entry.version);
    }
    for (const auto& [key, file] : now().inbox) named.insert(file.version);
    return named;
  }
  std::optional<std::pair<CommitSeq, Entry>> Shown(const TreeView& view, const Slot& slot) const {
    const auto commits = now().tree.find(slot);
    if (commits == now().tree.end()) return std::nullopt;
    for (auto at = commits->second.rbegin(); at != commits->second.rend(); ++at) {
      if (view.Shows(at->second.lineage, at->first)) return std::pair(at->first, at->second.entry);
    }
    return std::nullopt;
  }
  const std::map<Slot, StagedEntry>& StagedIn(WorkspaceId workspace) const {
    static const std::map<Slot, StagedEntry> nothing;
    const auto at = now().staged.find(workspace);
    return at == now().staged.end() ? nothing : at->second;
  }
};

struct Committed {
  std::mutex turn;  // Held by a transaction while it lives.
  std::mutex mutex;
  std::shared_ptr<const Rows> rows = std::make_shared<Rows>();
  int64_t commits = 0;

  std::shared_ptr<const Rows> Now() {
    const std::lock_guard lock(mutex);
    return rows;
  }
};

class MemoryReader : public MemoryQuestions<IndexReader> {
 public:
  explicit MemoryReader(Committed& committed) : held_(&committed), committed_(committed) {}

 protected:
  const Rows& now() const override {
    if (!rows_) rows_ = committed_.Now();
    return *rows_;
  }

 private:
  const HeldReader held_;
  Committed& committed_;
  mutable std::shared_ptr<const Rows> rows_;
};

class MemoryTransaction : public MemoryQuestions<IndexTransaction> {
 public:
  explicit MemoryTransaction(Committed& committed)
      : committed_(committed),
        held_(&committed),
        turn_(committed.turn),
        mine_(std::make_shared<Rows>(*committed.Now())) {}

  Status Commit() override {
    const std::lock_guard lock(committed_.mutex);
    committed_.rows = std::make_shared<Rows>(*mine_);
    ++committed_.commits;
    held_.reset();
    turn_.unlock();
    return {};
  }

  Result<VersionId> AddVersion(const VersionInfo& version) override {
    for (const auto& [id, there] : mine_->versions) {
      if (there.content == version.content) return id;
      if (there.content.xxh3 == version.content.xxh3) return Error(ErrorCode::kConflict, "the same XXH3");
    }
    const VersionId id = ++mine_->newest_version;
    mine_->versions[id] = version;
    mine_->versions[id].id = id;
    return id;
  }
  Status RenewVersion(VersionId id, int64_t now_ns) override {
    if (const auto at = mine_->versions.find(id); at != mine_->versions.end()) at->second.renewed_ns = now_ns;
    return {};
  }
  Status SetSynced(VersionId id) override {
    if (const auto at = mine_->versions.find(id); at != mine_->versions.end()) at->second.synced = true;
    std::erase_if(mine_->unsynced, [&](const auto& row) { return row.second.version == id; });
    return {};
  }
  Status EraseVersion(VersionId id) override { return Erased(mine_->versions, id); }

  Status PutBranch(const BranchInfo& branch) override { return Put(mine_->branches, branch.name, branch); }
  Status EraseBranch(const std::string& name) override { return Erased(mine_->branches, name); }
  Status PutTag(const TagInfo& tag) override { return Put(mine_->tags, tag.name, tag); }
  Status EraseTag(const std::string& name) override { return Erased(mine_->tags, name); }
  Result<CommitInfo> AddCommit(CommitInfo commit, const std::string& branch) override {
    const auto parent = Find(mine_->commits, commit.parent);
    if (commit.parent != 0 && !parent) return Error(ErrorCode::kNotFound, "the parent commit is gone");
    const bool forks = !parent || std::any_of(mine_->commits.begin(), mine_->commits.end(), [&](const auto& row) {
      return row.second.lineage == parent->lineage && row.first > parent->seq;
    }) || std::any_of(mine_->branches.begin(), mine_->branches.end(), [&](const auto& row) {
      return row.first != branch && row.second.head == parent->seq && row.second.line == parent->lineage;
    });
    commit.lineage = forks ? ++mine_->lineages : parent->lineage;
    if (forks && parent) mine_->forks[commit.lineage] = {parent->lineage, parent->seq};
    commit.seq = mine_->commits.empty() ? 1 : mine_->commits.rbegin()->first + 1;
    mine_->commits[commit.seq] = commit;
    return commit;
  }
  Result<FolderId> NewFolder() override { return ++mine_->folders; }
  Status PutTreeEntry(const CommitInfo& commit, const Slot& slot, const Entry& entry) override {
    mine_->tree[slot][commit.seq] = {commit.lineage, entry};
    return {};
  }
  Result<int64_t> MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) override {
    int64_t moved = 0;
    auto& staged = mine_->staged[workspace];
    for (auto at = staged.begin(); at != staged.end();) {
      StagedEntry& row = at->second;
      const bool stays = row.state == StagedState::kKept ||
                         (row.state == StagedState::kRemoved && row.entry.kind != EntryKind::kRemoved);
      if (row.state != StagedState::kKept) {
        ++moved;
        const Entry shown = row.state == StagedState::kRemoved ? Entry() : row.entry;
        STAGEFS_RETURN_IF_ERROR(PutTreeEntry(commit, at->first, shown));
      }
      row.state = StagedState::kKept;
      at = stays ? std::next(at) : staged.erase(at);
    }
    return moved;
  }

  Result<WorkspaceInfo> AddWorkspace(const WorkspaceInfo& workspace) override {
    WorkspaceInfo added = workspace;
    added.id = ++mine_->last_workspace;
    added.change_seq = 0;
    added.report.reset();
    mine_->workspaces[added.id] = added;
    return added;
  }
  Status PutWorkspace(const WorkspaceInfo& workspace) override {
    const auto at = mine_->workspaces.find(workspace.id);
    if (at == mine_->workspaces.end()) return {};
    at->second.branch = workspace.branch;
    at->second.base = workspace.base;
    at->second.report = workspace.report;
    return {};
  }
  Status EraseWorkspace(WorkspaceId id) override {
    STAGEFS_RETURN_IF_ERROR(EraseAllStaged(id));
    std::erase_if(mine_->changes, [&](const auto& row) { return std::get<0>(row.first) == id; });
    std::erase_if(mine_->inbox, [&](const auto& row) { return std::get<0>(row.first) == id; });
    std::erase_if(mine_->working_copies, [&](const auto& row) { return row.second.workspace == id; });
    std::erase_if(mine_->taken_back, [&](const auto& row) { return row.second.workspace == id; });
    return Erased(mine_->workspaces, id);
  }
  Status PutTakenBack(const TakenBack& taken) override {
    return Put(mine_->taken_back, std::tuple(taken.workspace, taken.number, taken.item), taken);
  }
  Result<int64_t> EraseTakenBack(int64_t before_ns, size_t limit) override {
    int64_t erased = 0;
    std::erase_if(mine_->taken_back, [&](const auto& row) {
      return row.second.taken_ns < before_ns && erased < static_cast<int64_t>(limit) && ++erased > 0;
    });
    return erased;
  }
  Status PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override {
    return Put(mine_->staged[workspace], slot, staged);
  }
  Status EraseStaged(WorkspaceId workspace, const Slot& slot) override {
    return Erased(mine_->staged[workspace], slot);
  }
  Status MoveStaged(WorkspaceId from, WorkspaceId to) override {
    mine_->staged[to] = std::exchange(mine_->staged[from], {});
    return {};
  }
  Status EraseAllStaged(WorkspaceId workspace) override {
    std::erase_if(mine_->unsynced, [&](const auto& row) { return row.first.first == workspace; });
    return Erased(mine_->staged, workspace);
  }
  Status PutUnsyncedEntry(const UnsyncedEntry& entry) override {
    const std::pair key(entry.workspace, entry.slot);
    if (!entry.previous) return Erased(mine_->unsynced, key);
    mine_->unsynced.try_emplace(key, entry).first->second.version = entry.version;
    return {};
  }
  Result<int64_t> EraseEntriesOf(VersionId version) override {
    size_t erased = 0;
    for (auto& [workspace, staged] : mine_->staged) {
      erased += std::erase_if(staged, [&](const auto& row) { return row.second.entry.version == version; });
    }
    erased += std::erase_if(mine_->unsynced, [&](const auto& row) { return row.second.version == version; });
    erased += std::erase_if(mine_->inbox, [&](const auto& row) { return row.second.version == version; });
    for (auto& [id, workspace] : mine_->workspaces) {
      if (workspace.report != version) continue;
      workspace.report.reset();
      ++erased;
    }
    return static_cast<int64_t>(erased);
  }
  Status NoteChange(WorkspaceId workspace, FolderId folder, WriterId writer) override {
    const auto at = mine_->workspaces.find(workspace);
    if (at == mine_->workspaces.end()) return {};
    return Put(mine_->changes, std::tuple(workspace, folder, writer), ++at->second.change_seq);
  }
  Status PutInbox(WorkspaceId workspace, const InboxFile& file) override {
    return Put(mine_->inbox, std::tuple(workspace, file.directory, file.name), file);
  }
  Status EraseInbox(WorkspaceId workspace, std::string_view directory, std::string_view name) override {
    return Erased(mine_->inbox, std::tuple(workspace, std::string(directory), std::string(name)));
  }

  Status PutMount(const MountRow& row) override {
    return Put(mine_->mounts, std::pair(row.host, row.mountpoint), row);
  }
  Status EraseMount(const std::string& host, const std::string& mountpoint) override {
    return Erased(mine_->mounts, std::pair(host, mountpoint));
  }
  Status PutWorkingCopy(const WorkingCopyRow& row) override { return Put(mine_->working_copies, row.file, row); }
  Status EraseWorkingCopy(const std::string& file) override { return Erased(mine_->working_copies, file); }
  Status PutMeta(const std::string& key, const std::string& value) override { return Put(mine_->meta, key, value); }
  Status EraseMeta(const std::string& key) override { return Erased(mine_->meta, key); }

 protected:
  const Rows& now() const override { return *mine_; }

 private:
  template <class Map>
  static Status Put(Map& map, const typename Map::key_type& key, const typename Map::mapped_type& value) {
    map.insert_or_assign(key, value);
    return {};
  }
  template <class Map>
  static Status Erased(Map& map, const typename Map::key_type& key) {
    map.erase(key);
    return {};
  }

  Committed& committed_;
  std::optional<HeldReader> held_;
  std::unique_lock<std::mutex> turn_;
  const std::shared_ptr<Rows> mine_;
};

class MemoryStagingIndex : public StagingIndex {
 public:
  Result<std::unique_ptr<IndexReader>> Read() override {
    return std::unique_ptr<IndexReader>(new MemoryReader(committed_));
  }
  Result<std::unique_ptr<IndexTransaction>> Begin(Durability, Turn) override {
    return std::unique_ptr<IndexTransaction>(new MemoryTransaction(committed_));
  }
  Result<int64_t> ChangeMark() override {
    const std::lock_guard lock(committed_.mutex);
    return committed_.commits;
  }
  Status Sync() override { return {}; }
  bool IsShared() const override { return false; }
  Status Erase() override { return {}; }

 private:
  Committed committed_;
};

}  // namespace

std::unique_ptr<StagingIndex> NewMemoryStagingIndex() { return std::make_unique<MemoryStagingIndex>(); }

}  // namespace stagefs::test
