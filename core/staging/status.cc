#include "stagefs/status_visit.h"

#include <memory>
#include <set>
#include <utility>

#include "tree/walk.h"
#include "workspace_change.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

Result<int64_t> CountFiles(Tree& tree, FolderId folder) {
  int64_t count = 0;
  STAGEFS_RETURN_IF_ERROR(tree.Walk(folder, "", [&](const Tree::Walked& at) -> Status {
    if (!IsFileOrLink(at.entry)) return {};
    STAGEFS_ASSIGN_OR_RETURN(const bool scratch, tree.IsScratch(at.slot, at.entry));
    count += !scratch;
    return {};
  }));
  return count;
}

StatusLine FileLine(StatusLine::Kind kind, const std::string& path, const Entry& entry) {
  StatusLine line;
  line.kind = kind;
  line.path = path;
  line.version = entry.version;
  line.size_bytes = entry.size_bytes;
  line.executable = entry.executable;
  line.mtime_ns = entry.mtime_ns;
  line.target = entry.target;
  return line;
}

// The lines of one row.
Status VisitRow(WorkspaceTree& tree, const StagedAt& at, const std::function<Status(const StatusLine&)>& visit) {
  using Kind = StatusLine::Kind;
  const Entry& entry = at.staged.entry;
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, tree.LookUpBase(at.slot));
  const bool was_file = base && IsFileOrLink(*base);
  const bool unstaged_link = WorkspaceTree::IsUnstagedLink(at.staged, base);
  // A folder's files say that they are gone, or its new name does.
  if (was_file && (!IsFileOrLink(entry) || unstaged_link)) {
    StatusLine line = FileLine(Kind::kRemoved, at.path, *base);
    line.base_version = base->version;
    STAGEFS_RETURN_IF_ERROR(visit(line));
  }
  if (unstaged_link) return visit(FileLine(Kind::kSymlink, at.path, entry));
  if (IsFileOrLink(entry)) {
    STAGEFS_ASSIGN_OR_RETURN(const bool scratch, tree.IsScratch(at.slot, entry));
    if (at.staged.state == StagedState::kKept && !entry.scratch) return {};
    const Kind kind = scratch ? Kind::kScratch : was_file ? Kind::kModified : Kind::kAdded;
    StatusLine line = FileLine(kind, at.path, entry);
    if (base) line.base_version = base->version;
    return visit(line);
  }
  if (entry.kind != EntryKind::kFolder) return {};
  StatusLine line;
  line.path = at.path;
  if (at.staged.state == StagedState::kModified) {
    line.kind = Kind::kRenamed;
    STAGEFS_ASSIGN_OR_RETURN(line.renamed_from, tree.base().PathOf(entry.child));
    STAGEFS_ASSIGN_OR_RETURN(line.renamed_files, CountFiles(tree, entry.child));
    return visit(line);
  }
  STAGEFS_ASSIGN_OR_RETURN(const bool empty, tree.IsEmpty(entry.child));
  line.kind = Kind::kEmptyFolder;
  return empty ? visit(line) : Status();
}

// A folder's names, one after the other; none where there is no folder.
class Names {
 public:
  Names(Tree& tree, std::optional<FolderId> folder) : tree_(tree), folder_(folder) {}

  // The name to look at, nullptr at the end.
  Result<const Named<Entry>*> Get() {
    if (at_ == page_.size() && folder_) {
      const std::string after = page_.empty() ? "" : page_.back().name;
      STAGEFS_ASSIGN_OR_RETURN(page_, tree_.List(*folder_, after, kPage));
      at_ = 0;
      if (page_.empty()) folder_.reset();
    }
    return at_ == page_.size() ? nullptr : &page_[at_];
  }
  void Next() { ++at_; }

 private:
  Tree& tree_;
  std::optional<FolderId> folder_;
  std::vector<Named<Entry>> page_;
  size_t at_ = 0;
};

// Two folders at one path, in the base and now.
struct FolderPair {
  std::optional<FolderId> base, now;
  std::string path;
};

// Compares the base with the workspace, path by path. A folder that is the same one at the same path in both differs
// where something is staged in it; others are compared name by name.
class Comparison {
 public:
  Comparison(WorkspaceTree& tree, const StagedFolders& staged_folders,
             const std::function<Status(const StatusLine&)>& visit)
      : tree_(tree), staged_folders_(staged_folders), visit_(visit) {}

  Status Run() {
    Open({kRootFolder, kRootFolder, ""});
    while (!open_.empty()) {
      STAGEFS_ASSIGN_OR_RETURN(const Step step, open_.back()->Next());
      if (step == Step::kEnd) open_.pop_back();
      else if (below_) Open(*std::exchange(below_, std::nullopt));
    }
    return {};
  }

 private:
  enum class Step { kOneMore, kEnd };
  // A pair of folders that is being compared, one name after the other.
  class Folders {
   public:
    virtual ~Folders() = default;
    virtual Result<Step> Next() = 0;
  };

  class ByName : public Folders {
   public:
    ByName(Comparison& all, FolderPair pair)
        : all_(all), path_(std::move(pair.path)), now_(pair.now),
          before_(all.tree_.base(), pair.base), after_(all.tree_, pair.now) {}

    Result<Step> Next() override {
      STAGEFS_ASSIGN_OR_RETURN(const auto* const left, before_.Get());
      STAGEFS_ASSIGN_OR_RETURN(const auto* const right, after_.Get());
      if (left == nullptr && right == nullptr) return Step::kEnd;
      const bool has_left = left != nullptr && (right == nullptr || left->name <= right->name);
      const bool has_right = right != nullptr && (left == nullptr || right->name <= left->name);
      const auto entry_of = [](bool has, const Named<Entry>* named) {
        return has ? std::optional(named->value) : std::nullopt;
      };
      auto now = entry_of(has_right, right);
      HowNow how;
      if (now) {
        STAGEFS_ASSIGN_OR_RETURN(how, all_.LookAt({*now_, right->name}, &*now));
      }
      STAGEFS_RETURN_IF_ERROR(all_.CompareEntries(entry_of(has_left, left), now,
                                                  JoinPath(path_, has_left ? left->name : right->name), how));
      if (has_left) before_.Next();
      if (has_right) after_.Next();
      return Step::kOneMore;
    }

   private:
    Comparison& all_;
    const std::string path_;
    const std::optional<FolderId> now_;
    Names before_, after_;
  };

  // What is staged in a folder, and the folders in which something is.
  class Staged : public Folders {
   public:
    Staged(Comparison& all, FolderId folder, std::string path) : all_(all), folder_(folder), path_(std::move(path)) {
      const auto found = all_.staged_folders_.find(folder);
      if (found == all_.staged_folders_.end()) return;
      for (const auto& [name, child] : found->second) folders_.insert(name);
    }

    Result<Step> Next() override {
      if (at_ == page_.size() && !end_) {
        const std::string after = page_.empty() ? "" : page_.back().name;
        STAGEFS_ASSIGN_OR_RETURN(
            page_, all_.tree_.index().ListStaged(all_.tree_.workspace().id, folder_, after, kPage));
        at_ = 0;
        end_ = page_.empty();
      }
      const bool row = at_ < page_.size();
      if (!row && folders_.empty()) return Step::kEnd;
      if (!folders_.empty() && (!row || *folders_.begin() < page_[at_].name)) {
        const std::string name = folders_.extract(folders_.begin()).value();
        STAGEFS_ASSIGN_OR_RETURN(const auto now, all_.tree_.LookUp({folder_, name}));
        STAGEFS_RETURN_IF_ERROR(all_.CompareSlot({folder_, name}, now, path_, false));
        return Step::kOneMore;
      }
      const auto& [name, staged] = page_[at_++];
      folders_.erase(name);
      const auto now = staged.entry.kind == EntryKind::kRemoved ? std::nullopt : std::optional(staged.entry);
      STAGEFS_RETURN_IF_ERROR(all_.CompareSlot({folder_, name}, now, path_, staged.state == StagedState::kModified));
      return Step::kOneMore;
    }

   private:
    Comparison& all_;
    const FolderId folder_;
    const std::string path_;
    std::set<std::string> folders_;  // Until their turn comes.
    std::vector<Named<StagedEntry>> page_;
    size_t at_ = 0;
    bool end_ = false;
  };

  void Open(FolderPair pair) {
    if (pair.base != pair.now) open_.push_back(std::make_unique<ByName>(*this, std::move(pair)));
    else if (pair.now) open_.push_back(std::make_unique<Staged>(*this, *pair.now, std::move(pair.path)));
  }

  struct HowNow {
    bool modified = false;  // Staged as such even if the content is the same (a new time, asked for).
    bool unstaged_link = false;
  };

  Result<HowNow> LookAt(const Slot& slot, Entry* now) {
    HowNow how;
    STAGEFS_ASSIGN_OR_RETURN(now->scratch, tree_.IsScratch(slot, *now));
    STAGEFS_ASSIGN_OR_RETURN(how.unstaged_link, tree_.IsUnstagedLink(slot, *now));
    return how;
  }

  Status CompareSlot(const Slot& slot, std::optional<Entry> now, const std::string& path, bool modified) {
    HowNow how;
    if (now) {
      STAGEFS_ASSIGN_OR_RETURN(how, LookAt(slot, &*now));
    }
    how.modified = modified;
    STAGEFS_ASSIGN_OR_RETURN(const auto base, tree_.LookUpBase(slot));
    return CompareEntries(base, now, JoinPath(path, slot.name), how);
  }

  // Folders are compared next.
  Status CompareEntries(const std::optional<Entry>& base, const std::optional<Entry>& now, const std::string& path,
                        const HowNow& how) {
    const auto folder_of = [](const std::optional<Entry>& entry) {
      return entry && entry->kind == EntryKind::kFolder ? std::optional(entry->child) : std::nullopt;
    };
    STAGEFS_RETURN_IF_ERROR(CompareFiles(base, now, path, how));
    if (folder_of(now) && !folder_of(base)) {
      STAGEFS_ASSIGN_OR_RETURN(const bool empty, tree_.IsEmpty(now->child));
      StatusLine line;
      line.kind = StatusLine::Kind::kEmptyFolder;
      line.path = path;
      if (empty) STAGEFS_RETURN_IF_ERROR(visit_(line));
    }
    if (folder_of(base) || folder_of(now)) below_ = {folder_of(base), folder_of(now), path};
    return {};
  }

  Status CompareFiles(const std::optional<Entry>& base, const std::optional<Entry>& now, const std::string& path,
                      const HowNow& how) {
    using Kind = StatusLine::Kind;
    const bool was_file = base && IsFileOrLink(*base);
    if (now && IsFileOrLink(*now) && !how.unstaged_link) {
      if (was_file && !how.modified && IsSameFile(*base, *now)) return {};
      StatusLine line = FileLine(now->scratch ? Kind::kScratch : was_file ? Kind::kModified : Kind::kAdded, path, *now);
      if (was_file) line.base_version = base->version;
      return visit_(line);
    }
    if (was_file) {
      StatusLine line = FileLine(Kind::kRemoved, path, *base);
      line.base_version = base->version;
      STAGEFS_RETURN_IF_ERROR(visit_(line));
    }
    if (how.unstaged_link) return visit_(FileLine(Kind::kSymlink, path, *now));
    return {};
  }

  WorkspaceTree& tree_;
  const StagedFolders& staged_folders_;
  const std::function<Status(const StatusLine&)>& visit_;
  std::vector<std::unique_ptr<Folders>> open_;
  std::optional<FolderPair> below_;  // What was compared last are folders: they come next.
};

}  // namespace

std::string_view ToString(StatusLine::Kind kind) {
  switch (kind) {
    case StatusLine::Kind::kAdded: return "added";
    case StatusLine::Kind::kModified: return "modified";
    case StatusLine::Kind::kRemoved: return "removed";
    case StatusLine::Kind::kRenamed: return "renamed";
    case StatusLine::Kind::kScratch: return "scratch";
    case StatusLine::Kind::kSymlink: return "symlink";
    case StatusLine::Kind::kEmptyFolder: return "empty folder";
  }
  return "";
}

Status ForEachStatus(Workspace& workspace, const StatusVisit& visit) {
  STAGEFS_ASSIGN_OR_RETURN(Workspace::Moment now, workspace.Read());
  const auto visit_line = [&](const StatusLine& line) { return visit(line, *now.reader); };
  return WalkStaged(now.tree, [&](const StagedAt& at) { return VisitRow(now.tree, at, visit_line); });
}

Status ForEachChange(Workspace& workspace, const StatusVisit& visit) {
  STAGEFS_ASSIGN_OR_RETURN(Workspace::Moment now, workspace.Read());
  const std::function<Status(const StatusLine&)> visit_line = [&](const StatusLine& line) {
    return visit(line, *now.reader);
  };
  STAGEFS_ASSIGN_OR_RETURN(const StagedFolders staged_folders, CollectStagedFolders(now.tree));
  return Comparison(now.tree, staged_folders, visit_line).Run();
}

Status ForEachStatus(Workspace& workspace, const std::function<Status(const StatusLine&)>& visit) {
  return ForEachStatus(workspace, StatusVisit([&](const StatusLine& line, IndexReader&) { return visit(line); }));
}

Status ForEachChange(Workspace& workspace, const std::function<Status(const StatusLine&)>& visit) {
  return ForEachChange(workspace, StatusVisit([&](const StatusLine& line, IndexReader&) { return visit(line); }));
}

}  // namespace stagefs
