#include "differ.h"

#include <algorithm>
#include <utility>

#include "staging/path_outcomes.h"
#include "stagefs/work_progress.h"
#include "tree/walk.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;
// Of a folder in which more was changed all names are compared.
constexpr size_t kNamesMax = 4096;

FolderId FolderOf(const std::optional<Entry>& entry) {
  return entry && entry->kind == EntryKind::kFolder ? entry->child : 0;
}

}  // namespace

Result<std::optional<Located>> FindIfThere(Tree& tree, const RepoPath& path) {
  auto at = tree.Find(path);
  if (at) return std::optional<Located>(std::move(*at));
  if (IsMissing(at.error())) return std::optional<Located>();
  return at.error();
}

// The names of a folder of either tree, page by page.
class Differ::Listing {
 public:
  Listing(Tree& tree, FolderId folder) : tree_(tree), folder_(folder), ended_(folder == 0) {}

  // nullptr at the end.
  Result<Named<Entry>*> Peek() {
    if (at_ == page_.size() && !ended_) {
      const std::string after = page_.empty() ? "" : page_.back().name;
      STAGEFS_ASSIGN_OR_RETURN(page_, tree_.List(folder_, after, kPage));
      at_ = 0;
      ended_ = page_.size() < kPage;
    }
    return at_ < page_.size() ? &page_[at_] : nullptr;
  }
  Entry Take() { return std::move(page_[at_++].value); }

 private:
  Tree& tree_;
  FolderId folder_;
  std::vector<Named<Entry>> page_;
  size_t at_ = 0;
  bool ended_;
};

// The pairs of a folder, in order of the names.
class Differ::Pairs {
 public:
  Pairs(Tree& before, Tree& after, FolderId old_folder, FolderId new_folder, const Names* names)
      : before_(&before), after_(&after), old_folder_(old_folder), new_folder_(new_folder),
        old_listing_(before, old_folder), new_listing_(after, new_folder) {
    if (names == nullptr || names->all) return;
    named_ = &names->names;
    next_ = named_->begin();
  }

  // std::nullopt at the end.
  Result<std::optional<Pair>> Next() { return named_ != nullptr ? NextNamed() : NextListed(); }

 private:
  Result<std::optional<Pair>> NextNamed() {
    if (next_ == named_->end()) return std::optional<Pair>();
    Pair pair{*next_++, {}, {}};
    STAGEFS_ASSIGN_OR_RETURN(pair.before, before_->LookUp({old_folder_, pair.name}));
    STAGEFS_ASSIGN_OR_RETURN(pair.after, after_->LookUp({new_folder_, pair.name}));
    return std::optional<Pair>(std::move(pair));
  }

  Result<std::optional<Pair>> NextListed() {
    STAGEFS_ASSIGN_OR_RETURN(const Named<Entry>* old_name, old_listing_.Peek());
    STAGEFS_ASSIGN_OR_RETURN(const Named<Entry>* new_name, new_listing_.Peek());
    if (old_name == nullptr && new_name == nullptr) return std::optional<Pair>();
    Pair pair;
    pair.name = old_name == nullptr   ? new_name->name
                : new_name == nullptr ? old_name->name
                                      : std::min(old_name->name, new_name->name);
    if (old_name != nullptr && old_name->name == pair.name) pair.before = old_listing_.Take();
    if (new_name != nullptr && new_name->name == pair.name) pair.after = new_listing_.Take();
    return std::optional<Pair>(std::move(pair));
  }

  Tree *before_, *after_;
  FolderId old_folder_, new_folder_;
  Listing old_listing_, new_listing_;
  const std::set<std::string>* named_ = nullptr;
  std::set<std::string>::const_iterator next_;
};

struct Differ::Folder {
  std::string path;
  FolderId id_before = 0, id_after = 0;
  TreeChange::Kind kind = TreeChange::Kind::kModified;
  Pairs pairs;
};

Differ::Differ(IndexReader& index, Tree& before, Tree& after) : index_(index), before_(before), after_(after) {}
Differ::~Differ() = default;

void Differ::Note(const Slot& slot) {
  Names& in = noted_[slot.folder];
  if (in.all) return;
  in.names.insert(slot.name);
  if (in.names.size() <= kNamesMax) return;
  in.all = true;
  in.names.clear();
}

Status Differ::NoteCommits(CommitSeq before, CommitSeq after) {
  return VisitSlotsBetween(index_, before, after, [&](const std::vector<Slot>& slots) -> Result<bool> {
    for (const Slot& slot : slots) Note(slot);
    NoteSteps(static_cast<int64_t>(slots.size()));
    return true;
  }).WithoutValue();
}

Status Differ::NoteStaged(WorkspaceId workspace) {
  std::optional<Slot> after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, index_.ScanStaged(workspace, after, kPage));
    for (const StagedRow& row : page) Note(row.slot);
    if (page.size() < kPage) return {};
    after = page.back().slot;
  }
}

// Down to each noted folder, in either tree.
Status Differ::LeadToNoted() {
  if (std::exchange(is_led_to_, true)) return {};
  std::vector<FolderId> noted;
  for (const auto& [folder, names] : noted_) noted.push_back(folder);
  for (Tree* tree : {&before_, &after_}) {
    std::unordered_set<FolderId> led;
    for (const FolderId folder : noted) STAGEFS_RETURN_IF_ERROR(LeadTo(folder, *tree, &led));
  }
  return {};
}

Status Differ::LeadTo(FolderId folder, Tree& tree, std::unordered_set<FolderId>* led) {
  while (folder != kRootFolder && led->insert(folder).second) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, tree.PlaceOf(folder));
    if (!place) return {};
    Note(*place);
    folder = place->folder;
  }
  return {};
}

// nullptr: nothing in or below the folder differs.
const Differ::Names* Differ::NamesIn(FolderId folder) const {
  const auto at = noted_.find(folder);
  return at == noted_.end() ? nullptr : &at->second;
}

Status Differ::Run(const RepoPath& path, const Visit& visit) {
  STAGEFS_RETURN_IF_ERROR(LeadToNoted());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Located> old_at, FindIfThere(before_, path));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Located> new_at, FindIfThere(after_, path));
  if (!old_at && !new_at) return Error(ErrorCode::kNotFound, "no such path: " + ToDisplayUtf8(path.str()));
  Pair top;
  if (old_at) top.before = old_at->entry;
  if (new_at) top.after = new_at->entry;
  open_.clear();
  entered_ = 0;
  const Slots at{old_at ? old_at->slot : new_at->slot, new_at ? new_at->slot : old_at->slot};
  STAGEFS_RETURN_IF_ERROR(Compare(at, path.str(), top, visit));
  while (!open_.empty()) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Pair> pair, open_.back().pairs.Next());
    NoteSteps(1);
    if (!pair) {
      open_.pop_back();
      entered_ = std::min(entered_, open_.size());
      continue;
    }
    const Folder& in = open_.back();
    const Slots slots{{in.id_before, pair->name}, {in.id_after, pair->name}};
    STAGEFS_RETURN_IF_ERROR(Compare(slots, JoinPath(in.path, pair->name), *pair, visit));
  }
  return {};
}

Status Differ::EnterFolders(const FolderChangeVisit& enter) {
  for (; entered_ < open_.size(); ++entered_) {
    STAGEFS_RETURN_IF_ERROR(enter(open_[entered_].path, open_[entered_].kind));
  }
  return {};
}

Status Differ::Compare(const Slots& slots, const std::string& path, const Pair& pair, const Visit& visit) {
  const FolderId old_folder = FolderOf(pair.before), new_folder = FolderOf(pair.after);
  TreeChange change;
  change.path = path;
  if (pair.before && old_folder == 0) change.before = pair.before;
  if (pair.after && new_folder == 0) change.after = pair.after;
  // Permissions are a workspace's own.
  if (change.before) change.before->permissions.reset();
  if (change.after) change.after->permissions.reset();
  // The time of a link says nothing of what it leads to.
  const bool same_link = change.before && change.after && change.before->kind == EntryKind::kSymlink &&
                         IsSameFile(*change.before, *change.after);
  if (change.before != change.after && !same_link) {
    change.kind = !change.before  ? TreeChange::Kind::kAdded
                  : !change.after ? TreeChange::Kind::kRemoved
                                  : TreeChange::Kind::kModified;
    STAGEFS_RETURN_IF_ERROR(visit(slots, change));
  }
  if (old_folder == 0 && new_folder == 0) return {};
  const Names* names = old_folder == new_folder ? NamesIn(old_folder) : nullptr;
  if (old_folder == new_folder && names == nullptr) return {};
  const TreeChange::Kind kind = old_folder == 0   ? TreeChange::Kind::kAdded
                                : new_folder == 0 ? TreeChange::Kind::kRemoved
                                                  : TreeChange::Kind::kModified;
  open_.push_back({path, old_folder, new_folder, kind, Pairs(before_, after_, old_folder, new_folder, names)});
  return {};
}

PathCover::PathCover(std::vector<RepoPath> paths) {
  if (paths.empty()) paths.emplace_back();
  std::sort(paths.begin(), paths.end(), [](const RepoPath& a, const RepoPath& b) { return a.str() < b.str(); });
  for (RepoPath& path : paths) {
    if (Has(path.str())) continue;
    texts_.insert(path.str());
    tops_.push_back(std::move(path));
  }
}

bool PathCover::Has(std::string_view path) const {
  if (texts_.contains("") || texts_.contains(path)) return true;
  for (size_t end = path.find('/'); end != std::string_view::npos; end = path.find('/', end + 1)) {
    if (texts_.contains(path.substr(0, end))) return true;
  }
  return false;
}

}  // namespace stagefs
