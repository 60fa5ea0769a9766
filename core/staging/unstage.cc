#include <map>
#include <set>
#include <unordered_map>

#include "path_outcomes.h"
#include "tree/walk.h"
#include "workspace_change.h"

namespace stagefs {
namespace {

constexpr size_t kWithdrawTogether = 4096;

// Takes back what is staged at and below paths, none of which lies below another.
class Unstaging {
 public:
  explicit Unstaging(Overlay& overlay) : overlay_(overlay) {}

  // The paths that name a file, or nothing, in a folder that is where it was: each is one row.
  Status TakeDirect(const std::vector<RepoPath>& paths) {
    std::vector<std::pair<Slot, const RepoPath*>> direct;
    for (const RepoPath& path : paths) {
      const auto folder = path.is_root() ? Result<FolderId>(kNotDirect) : DirectFolder(path.parent());
      if (!folder) return folder.error();
      if (*folder == kNotDirect) others_.emplace(path.str(), std::vector<StagedAt>());
      else direct.emplace_back(Slot{*folder, std::string(path.name())}, &path);
    }
    STAGEFS_RETURN_IF_ERROR(InRuns(direct, [](const auto& at) { return at.first; }, [&](const auto& at) {
      return TakeDirect(at.first, at.second->str());
    }));
    return others_.empty() ? Status() : Collect();
  }

  // After TakeDirect(). How many entries that were; kNotFound.
  Result<int64_t> Take(const RepoPath& path) {
    const auto rows = others_.find(path.str());
    const bool any = rows == others_.end() ? taken_[path.str()] : !rows->second.empty() || path.is_root();
    if (!any) return Error(ErrorCode::kNotFound, "nothing is staged at " + ToDisplayUtf8(path.str()));
    return rows == others_.end() ? int64_t{1} : TakeRows(rows->second, removed_above_[path.str()]);
  }

 private:
  static constexpr FolderId kNotDirect = 0;

  // Calls `take` for each of `all`; the slots of a run are announced together.
  template <class At, class SlotOf, class Take>
  Status InRuns(const std::vector<At>& all, SlotOf slot_of, Take take) {
    for (size_t i = 0; i < all.size(); ++i) {
      if (i % kWithdrawTogether == 0) {
        std::vector<Slot> slots;
        for (size_t j = i; j < std::min(i + kWithdrawTogether, all.size()); ++j) slots.push_back(slot_of(all[j]));
        STAGEFS_RETURN_IF_ERROR(overlay_.Expect(slots));
      }
      STAGEFS_RETURN_IF_ERROR(take(all[i]));
    }
    return {};
  }

  // The folder at `directory` where the workspace and its base agree on it and on each above it: then no row of
  // another folder has a path in it.
  Result<FolderId> DirectFolder(const RepoPath& directory) {
    if (directory.is_root()) return kRootFolder;
    if (const auto known = direct_folders_.find(directory.str()); known != direct_folders_.end()) return known->second;
    STAGEFS_ASSIGN_OR_RETURN(const FolderId above, DirectFolder(directory.parent()));
    FolderId folder = kNotDirect;
    if (above != kNotDirect) {
      const Slot slot{above, std::string(directory.name())};
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> now, overlay_.LookUp(slot));
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, overlay_.LookUpBase(slot));
      const bool moved = base && base->kind == EntryKind::kFolder && (!now || base->child != now->child);
      if (now && now->kind == EntryKind::kFolder && !moved) folder = now->child;
    }
    return direct_folders_[directory.str()] = folder;
  }

  Status TakeDirect(const Slot& slot, const std::string& path) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> row, overlay_.LookUpStaged(slot));
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, overlay_.LookUpBase(slot));
    const bool folder = (base && base->kind == EntryKind::kFolder) || (row && row->entry.kind == EntryKind::kFolder);
    if (folder) {
      others_.emplace(path, std::vector<StagedAt>());
      return {};
    }
    bool& taken = taken_[path];
    if (row && row->state != StagedState::kKept) {
      STAGEFS_ASSIGN_OR_RETURN(taken, overlay_.Withdraw(slot));
    }
    return {};
  }

  // Calls `with` for each of the other paths that `path` is at or below.
  template <class With>
  void ForEachAbove(const std::string& path, With with) {
    for (size_t end = path.size(); end != std::string::npos; end = path.rfind('/', end - 1)) {
      if (const auto at = others_.find(path.substr(0, end)); at != others_.end()) with(at->second);
    }
    if (const auto root = others_.find(""); root != others_.end() && !path.empty()) with(root->second);
  }

  // All that is staged is read once, whatever the number of paths.
  Status Collect() {
    return WalkStaged(overlay_, [&](const StagedAt& at) -> Status {
      const Entry& entry = at.staged.entry;
      if (entry.kind == EntryKind::kRemoved) {
        const std::string below = at.path + '/';
        for (auto other = others_.lower_bound(below); other != others_.end(); ++other) {
          if (!other->first.starts_with(below)) break;
          removed_above_[other->first].push_back(at);
        }
      }
      if (at.staged.state == StagedState::kKept) return {};
      std::set<std::vector<StagedAt>*> lists;
      ForEachAbove(at.path, [&](std::vector<StagedAt>& rows) { lists.insert(&rows); });
      if (entry.kind == EntryKind::kFolder && at.staged.state == StagedState::kModified) {
        // A renamed folder is found by either name.
        STAGEFS_ASSIGN_OR_RETURN(const std::string also, overlay_.base().PathOf(entry.child));
        ForEachAbove(also, [&](std::vector<StagedAt>& rows) { lists.insert(&rows); });
      }
      for (std::vector<StagedAt>* rows : lists) rows->push_back(at);
      return {};
    });
  }

  Result<int64_t> TakeRows(const std::vector<StagedAt>& rows, const std::vector<StagedAt>& removed_above) {
    count_ = 0;
    restored_ = false;
    covering_.clear();
    STAGEFS_RETURN_IF_ERROR(InRuns(rows, [](const StagedAt& at) { return at.slot; },
                                   [&](const StagedAt& at) { return TakeBack(at); }));
    for (auto at = covering_.rbegin(); at != covering_.rend(); ++at) STAGEFS_RETURN_IF_ERROR(Uncover(*at));
    if (restored_ || count_ > 0) {
      for (const StagedAt& at : removed_above) STAGEFS_RETURN_IF_ERROR(overlay_.Withdraw(at.slot).WithoutValue());
    }
    return count_;
  }

  Status TakeBack(const StagedAt& at) {
    const Entry& entry = at.staged.entry;
    bool counts = true;  // Not the removed folder behind removed files, nor the old name of a rename.
    if (entry.kind == EntryKind::kFolder) {
      if (at.staged.state == StagedState::kRemoved) {
        covering_.push_back(at);
        return {};
      }
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> home, overlay_.base().PlaceOf(entry.child));
      if (!home) return {};
      STAGEFS_RETURN_IF_ERROR(FreeHome(at, *home));
    } else if (entry.kind == EntryKind::kRemoved) {
      STAGEFS_ASSIGN_OR_RETURN(counts, TakeBackRemoval(at));
    }
    STAGEFS_ASSIGN_OR_RETURN(const bool withdrawn, overlay_.Withdraw(at.slot));
    count_ += withdrawn && counts;
    restored_ = restored_ || withdrawn;
    return {};
  }

  // Where a renamed folder was, so that it can be there again.
  Status FreeHome(const StagedAt& at, const Slot& home) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> source, overlay_.LookUpStaged(home));
    if (source && source->entry.kind != EntryKind::kRemoved) {
      STAGEFS_ASSIGN_OR_RETURN(const std::string from, overlay_.PathOf(home));
      return Error(ErrorCode::kConflict, "unstage the rename of " + ToDisplayUtf8(at.path) + ": " +
                                             ToDisplayUtf8(from) + " is in the way, remove it first");
    }
    return overlay_.Withdraw(home).WithoutValue();
  }

  // Whether it counts as an entry of its own.
  Result<bool> TakeBackRemoval(const StagedAt& at) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, overlay_.LookUpBase(at.slot));
    if (!base || base->kind != EntryKind::kFolder) return true;
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> moved,
                             overlay_.index().PlaceInStaged(overlay_.workspace().id, base->child));
    // The source of a rename: undoing it takes the target's row away too.
    if (moved) STAGEFS_RETURN_IF_ERROR(overlay_.Withdraw(*moved).WithoutValue());
    return moved.has_value();
  }

  // A folder where something of the base was.
  Status Uncover(const StagedAt& at) {
    STAGEFS_ASSIGN_OR_RETURN(const bool empty, overlay_.HasFoldersOnly(at.staged.entry.child));
    if (!empty) {
      return Error(ErrorCode::kConflict, "unstage what was at " + ToDisplayUtf8(at.path) +
                                             ": there is a folder with something in it, move it away first");
    }
    STAGEFS_ASSIGN_OR_RETURN(const bool withdrawn, overlay_.Withdraw(at.slot));
    count_ += withdrawn;
    return {};
  }

  Overlay& overlay_;
  std::unordered_map<std::string, FolderId> direct_folders_;
  std::map<std::string, bool> taken_;  // Of the direct paths, whether something was.
  // The rows of the other paths, and those that removed a folder above one.
  std::map<std::string, std::vector<StagedAt>> others_, removed_above_;
  // Of the path that is being taken back.
  std::vector<StagedAt> covering_;  // They go last, the deepest first.
  int64_t count_ = 0;
  bool restored_ = false;
};

}  // namespace

Result<int64_t> Workspace::Unstage(const std::vector<RepoPath>& paths, std::vector<Status>* outcomes) {
  ByPath by_path(paths);
  for (;;) {
    bool conflict = false;
    const auto take_back = [&](Overlay& overlay) -> Result<int64_t> {
      std::vector<RepoPath> wanted;
      for (const auto& [path, outcome] : by_path.outermost()) {
        if (outcome || outcome.error().code() == ErrorCode::kNotFound) wanted.push_back(path);
      }
      Unstaging unstaging(overlay);
      STAGEFS_RETURN_IF_ERROR(unstaging.TakeDirect(wanted));
      int64_t total = 0;
      PathErrors missing;
      for (const RepoPath& path : wanted) {
        const auto taken = unstaging.Take(path);
        Status& outcome = by_path.outermost()[path];
        outcome = taken.WithoutValue();
        if (taken) total += *taken;
        conflict = !taken && taken.error().code() == ErrorCode::kConflict;
        if (!taken && taken.error().code() != ErrorCode::kNotFound) return taken.error();
        if (!taken && !outcomes) missing.Add(taken.error());
      }
      STAGEFS_RETURN_IF_ERROR(missing.Outcome());
      return total;
    };
    const auto count = WithReserve(repository_.folder(), [&] { return Mutate(Durability::kPowerLoss, take_back); });
    // A conflict shows when some of what is at its path was taken back already: once more without it.
    if (conflict && outcomes) continue;
    if (outcomes) *outcomes = by_path.InOrder();
    return count;
  }
}

Status Workspace::RemovePaths(const std::vector<RepoPath>& paths, std::vector<Status>* outcomes) {
  ByPath by_path(paths);
  const auto remove = [&](Overlay& overlay) -> Status {
    PathErrors missing;
    for (auto& [path, outcome] : by_path.outermost()) {
      const auto located = overlay.Find(path);
      if (located) STAGEFS_RETURN_IF_ERROR(overlay.RemoveRecursively(located->slot, located->entry));
      outcome = located.WithoutValue();
      if (!located && !IsMissing(located.error())) return outcome;
      if (!located && !outcomes) missing.Add(located.error());
    }
    return missing.Outcome();
  };
  STAGEFS_RETURN_IF_ERROR(WithReserve(repository_.folder(), [&] { return Mutate(Durability::kPowerLoss, remove); }));
  if (outcomes) *outcomes = by_path.InOrder();
  return {};
}

}  // namespace stagefs
