#include "stagefs/status.h"

#include <set>

#include "tree/walk.h"
#include "workspace_change.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

Result<int64_t> CountFiles(Tree& tree, FolderId folder) {
  int64_t count = 0;
  std::string after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, tree.List(folder, after, kPage));
    if (page.empty()) return count;
    for (const auto& [name, entry] : page) {
      if (entry.kind == EntryKind::kFolder) {
        STAGEFS_ASSIGN_OR_RETURN(const int64_t below, CountFiles(tree, entry.child));
        count += below;
      } else if (entry.kind == EntryKind::kFile && !entry.scratch) {
        ++count;
      }
    }
    after = page.back().name;
  }
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
  const bool was_file = base && base->kind == EntryKind::kFile;
  // A folder's files say that they are gone, or its new name does.
  if (was_file && entry.kind != EntryKind::kFile) {
    StatusLine line = FileLine(Kind::kRemoved, at.path, *base);
    line.base_version = base->version;
    STAGEFS_RETURN_IF_ERROR(visit(line));
  }
  if (entry.kind == EntryKind::kFile) {
    Kind kind = Kind::kScratch;
    if (!entry.scratch) {
      if (at.staged.state == StagedState::kKept) return {};
      kind = at.staged.state == StagedState::kAdded ? Kind::kAdded : Kind::kModified;
    }
    StatusLine line = FileLine(kind, at.path, entry);
    if (base) line.base_version = base->version;
    return visit(line);
  }
  if (entry.kind == EntryKind::kSymlink) return visit(FileLine(Kind::kSymlink, at.path, entry));
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

// Compares the base with the workspace, path by path. A folder that is the same one at the same path in both differs
// where something is staged in it; others are compared name by name.
class Comparison {
 public:
  Comparison(WorkspaceTree& tree, const StagedFolders& staged_folders,
             const std::function<Status(const StatusLine&)>& visit)
      : tree_(tree), staged_folders_(staged_folders), visit_(visit) {}

  Status Compare(std::optional<FolderId> base, std::optional<FolderId> now, const std::string& path) {
    if (base == now) return now ? CompareStaged(*now, path) : Status();
    Names before(tree_.base(), base), after(tree_, now);
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(const auto* const left, before.Get());
      STAGEFS_ASSIGN_OR_RETURN(const auto* const right, after.Get());
      if (left == nullptr && right == nullptr) return {};
      const bool has_left = left != nullptr && (right == nullptr || left->name <= right->name);
      const bool has_right = right != nullptr && (left == nullptr || right->name <= left->name);
      const auto entry_of = [](bool has, const Named<Entry>* named) {
        return has ? std::optional(named->value) : std::nullopt;
      };
      STAGEFS_RETURN_IF_ERROR(CompareEntries(entry_of(has_left, left), entry_of(has_right, right),
                                             JoinPath(path, has_left ? left->name : right->name), false));
      if (has_left) before.Next();
      if (has_right) after.Next();
    }
  }

 private:
  Status CompareStaged(FolderId folder, const std::string& path) {
    std::set<std::string> names;  // Of folders in which something is staged, until their turn comes.
    if (const auto found = staged_folders_.find(folder); found != staged_folders_.end()) {
      for (const auto& [name, child] : found->second) names.insert(name);
    }
    const auto compare_below = [&](const std::string* end) -> Status {
      while (!names.empty() && (end == nullptr || *names.begin() < *end)) {
        const std::string name = names.extract(names.begin()).value();
        STAGEFS_RETURN_IF_ERROR(CompareSlot({folder, name}, path, false));
      }
      return {};
    };
    std::string after;
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(const auto page,
                               tree_.index().ListStaged(tree_.workspace().id, folder, after, kPage));
      if (page.empty()) return compare_below(nullptr);
      for (const auto& [name, staged] : page) {
        STAGEFS_RETURN_IF_ERROR(compare_below(&name));
        names.erase(name);
        STAGEFS_RETURN_IF_ERROR(CompareSlot({folder, name}, path, staged.state == StagedState::kModified));
      }
      after = page.back().name;
    }
  }

  Status CompareSlot(const Slot& slot, const std::string& path, bool modified) {
    STAGEFS_ASSIGN_OR_RETURN(const auto base, tree_.LookUpBase(slot));
    STAGEFS_ASSIGN_OR_RETURN(const auto now, tree_.LookUp(slot));
    return CompareEntries(base, now, JoinPath(path, slot.name), modified);
  }

  // `modified`: staged as such even if the content is the same (a new time, asked for).
  Status CompareEntries(const std::optional<Entry>& base, const std::optional<Entry>& now, const std::string& path,
                        bool modified) {
    using Kind = StatusLine::Kind;
    const auto folder_of = [](const std::optional<Entry>& entry) {
      return entry && entry->kind == EntryKind::kFolder ? std::optional(entry->child) : std::nullopt;
    };
    const bool was_file = base && base->kind == EntryKind::kFile;
    if (now && now->kind == EntryKind::kFile) {
      const bool same = was_file && !modified && base->version == now->version && base->executable == now->executable;
      const Kind kind = now->scratch ? Kind::kScratch : was_file ? Kind::kModified : Kind::kAdded;
      if (!same) {
        StatusLine line = FileLine(kind, path, *now);
        if (was_file) line.base_version = base->version;
        STAGEFS_RETURN_IF_ERROR(visit_(line));
      }
    } else if (was_file) {
      StatusLine line = FileLine(Kind::kRemoved, path, *base);
      line.base_version = base->version;
      STAGEFS_RETURN_IF_ERROR(visit_(line));
    }
    if (now && now->kind == EntryKind::kSymlink) {
      STAGEFS_RETURN_IF_ERROR(visit_(FileLine(Kind::kSymlink, path, *now)));
    }
    if (folder_of(now) && !folder_of(base)) {
      STAGEFS_ASSIGN_OR_RETURN(const bool empty, tree_.IsEmpty(now->child));
      StatusLine line;
      line.kind = Kind::kEmptyFolder;
      line.path = path;
      if (empty) STAGEFS_RETURN_IF_ERROR(visit_(line));
    }
    return Compare(folder_of(base), folder_of(now), path);
  }

  WorkspaceTree& tree_;
  const StagedFolders& staged_folders_;
  const std::function<Status(const StatusLine&)>& visit_;
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

Status ForEachStatus(Workspace& workspace, const std::function<Status(const StatusLine&)>& visit) {
  STAGEFS_ASSIGN_OR_RETURN(Workspace::Moment now, workspace.Read());
  return WalkStaged(now.tree, [&](const StagedAt& at) { return VisitRow(now.tree, at, visit); });
}

Status ForEachChange(Workspace& workspace, const std::function<Status(const StatusLine&)>& visit) {
  STAGEFS_ASSIGN_OR_RETURN(Workspace::Moment now, workspace.Read());
  STAGEFS_ASSIGN_OR_RETURN(const StagedFolders staged_folders, CollectStagedFolders(now.tree));
  return Comparison(now.tree, staged_folders, visit).Compare(kRootFolder, kRootFolder, "");
}

}  // namespace stagefs
