// status and unstage.
#include "stagefs/posix_env.h"
#include "tree/walk.h"
#include "workspace_impl.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

Result<int64_t> CountFiles(OverlayReader& tree, FolderId folder) {
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

Result<bool> HasFoldersOnly(OverlayReader& tree, FolderId folder) {
  std::string after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, tree.List(folder, after, kPage));
    if (page.empty()) return true;
    for (const auto& [name, entry] : page) {
      if (entry.kind != EntryKind::kFolder) return false;
      STAGEFS_ASSIGN_OR_RETURN(const bool below, HasFoldersOnly(tree, entry.child));
      if (!below) return false;
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
Status VisitRow(OverlayReader& tree, const StagedAt& at, const std::function<Status(const StatusLine&)>& visit) {
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
    STAGEFS_ASSIGN_OR_RETURN(line.renamed_from, BasePathOf(tree, entry.child));
    STAGEFS_ASSIGN_OR_RETURN(line.renamed_files, CountFiles(tree, entry.child));
    return visit(line);
  }
  STAGEFS_ASSIGN_OR_RETURN(const bool empty, tree.IsEmpty(entry.child));
  line.kind = Kind::kEmptyFolder;
  return empty ? visit(line) : Status();
}

// A folder's names, one after the other, in the base or in the workspace; none where there is no folder.
class Names {
 public:
  Names(OverlayReader& tree, std::optional<FolderId> folder, Workspace::Tree which)
      : tree_(tree), folder_(folder), which_(which) {}

  // The name to look at, nullptr at the end.
  Result<const Named<Entry>*> Get() {
    if (at_ == page_.size() && folder_) {
      const std::string after = page_.empty() ? "" : page_.back().name;
      STAGEFS_ASSIGN_OR_RETURN(page_, which_ == Workspace::Tree::kBase ? tree_.ListBase(*folder_, after, kPage)
                                                                       : tree_.List(*folder_, after, kPage));
      at_ = 0;
      if (page_.empty()) folder_.reset();
    }
    return at_ == page_.size() ? nullptr : &page_[at_];
  }
  void Next() { ++at_; }

 private:
  OverlayReader& tree_;
  std::optional<FolderId> folder_;
  const Workspace::Tree which_;
  std::vector<Named<Entry>> page_;
  size_t at_ = 0;
};

// Compares the base with the workspace, path by path. A folder that is the same one at the same path in both differs
// where something is staged in it; others are compared name by name.
class Comparison {
 public:
  Comparison(OverlayReader& tree, const StagedFolders& staged_folders,
             const std::function<Status(const StatusLine&)>& visit)
      : tree_(tree), staged_folders_(staged_folders), visit_(visit) {}

  Status Compare(std::optional<FolderId> base, std::optional<FolderId> now, const std::string& path) {
    if (base == now) return now ? CompareStaged(*now, path) : Status();
    Names before(tree_, base, Workspace::Tree::kBase), after(tree_, now, Workspace::Tree::kWorkspace);
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

  OverlayReader& tree_;
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

Status Workspace::ForEachStatus(const std::function<Status(const StatusLine&)>& visit) {
  STAGEFS_ASSIGN_OR_RETURN(Snapshot now, Read());
  return WalkStaged(now.tree, [&](const StagedAt& at) { return VisitRow(now.tree, at, visit); });
}

Status Workspace::ForEachChange(const std::function<Status(const StatusLine&)>& visit) {
  STAGEFS_ASSIGN_OR_RETURN(Snapshot now, Read());
  STAGEFS_ASSIGN_OR_RETURN(const StagedFolders staged_folders, CollectStagedFolders(now.tree));
  return Comparison(now.tree, staged_folders, visit).Compare(kRootFolder, kRootFolder, "");
}

namespace {

constexpr size_t kWithdrawTogether = 4096;

Status ExpectSlots(Overlay& overlay, const std::vector<StagedAt>& rows, size_t begin) {
  std::vector<Slot> slots;
  for (size_t i = begin; i < std::min(begin + kWithdrawTogether, rows.size()); ++i) slots.push_back(rows[i].slot);
  return overlay.Expect(slots);
}

}  // namespace

Result<int64_t> Workspace::Unstage(const RepoPath& path) {
  return Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<int64_t> {
    std::vector<StagedAt> rows;
    std::vector<StagedAt> removed_above;
    STAGEFS_RETURN_IF_ERROR(WalkStaged(overlay, [&](const StagedAt& at) -> Status {
      const Entry& entry = at.staged.entry;
      if (entry.kind == EntryKind::kRemoved && at.path != path.str() && IsAtOrBelow(path.str(), at.path)) {
        removed_above.push_back(at);
        return {};
      }
      std::string also = at.path;  // A renamed folder is found by either name.
      if (entry.kind == EntryKind::kFolder && at.staged.state == StagedState::kModified) {
        STAGEFS_ASSIGN_OR_RETURN(also, BasePathOf(overlay, entry.child));
      }
      if (at.staged.state != StagedState::kKept &&
          (IsAtOrBelow(at.path, path.str()) || IsAtOrBelow(also, path.str()))) {
        rows.push_back(at);
      }
      return {};
    }));
    int64_t count = 0;
    bool restored = false;
    std::vector<StagedAt> covering;  // Folders where something of the base was: they go last, the deepest first.
    for (size_t i = 0; i < rows.size(); ++i) {
      if (i % kWithdrawTogether == 0) STAGEFS_RETURN_IF_ERROR(ExpectSlots(overlay, rows, i));
      const StagedAt& at = rows[i];
      bool counts = true;  // Not the removed folder behind removed files, nor the old name of a rename.
      const Entry& entry = at.staged.entry;
      if (entry.kind == EntryKind::kFolder && at.staged.state == StagedState::kRemoved) {
        covering.push_back(at);
        continue;
      }
      if (entry.kind == EntryKind::kFolder) {
        STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> home,
                                 overlay.index().PlaceInBase(overlay.base(), entry.child));
        if (!home) continue;
        STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> source, overlay.LookUpStaged(*home));
        if (source && source->entry.kind != EntryKind::kRemoved) {
          STAGEFS_ASSIGN_OR_RETURN(const std::string from, overlay.PathOf(*home));
          return Error(ErrorCode::kConflict, "unstage the rename of " + ToDisplayUtf8(at.path) + ": " +
                                                 ToDisplayUtf8(from) + " is in the way, remove it first");
        }
        STAGEFS_RETURN_IF_ERROR(overlay.Withdraw(*home).WithoutValue());
      } else if (entry.kind == EntryKind::kRemoved) {
        STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, overlay.LookUpBase(at.slot));
        if (base && base->kind == EntryKind::kFolder) {
          STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> moved,
                                   overlay.index().PlaceInStaged(id_, base->child));
          // The source of a rename: undoing it takes the target's row away too.
          if (moved) STAGEFS_RETURN_IF_ERROR(overlay.Withdraw(*moved).WithoutValue());
          counts = moved.has_value();
        }
      }
      STAGEFS_ASSIGN_OR_RETURN(const bool withdrawn, overlay.Withdraw(at.slot));
      count += withdrawn && counts;
      restored = restored || withdrawn;
    }
    for (auto at = covering.rbegin(); at != covering.rend(); ++at) {
      STAGEFS_ASSIGN_OR_RETURN(const bool empty, HasFoldersOnly(overlay, at->staged.entry.child));
      if (!empty) {
        return Error(ErrorCode::kConflict, "unstage what was at " + ToDisplayUtf8(at->path) +
                                               ": there is a folder with something in it, move it away first");
      }
      STAGEFS_ASSIGN_OR_RETURN(const bool withdrawn, overlay.Withdraw(at->slot));
      count += withdrawn;
    }
    if (restored || count > 0) {
      for (const StagedAt& at : removed_above) {
        STAGEFS_RETURN_IF_ERROR(overlay.Withdraw(at.slot).WithoutValue());
      }
    } else if (!path.is_root()) {
      return Error(ErrorCode::kNotFound, "nothing is staged at " + ToDisplayUtf8(path.str()));
    }
    return count;
  });
}

Result<int64_t> Workspace::UnstageAll() { return Unstage(RepoPath()); }

}  // namespace stagefs
