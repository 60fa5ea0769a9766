#include "tree/walk.h"
#include "workspace_change.h"

namespace stagefs {
namespace {

constexpr size_t kWithdrawTogether = 4096;

Result<bool> HasFoldersOnly(Tree& tree, FolderId folder) {
  bool only = true;
  const Status walked = tree.Walk(folder, "", [&](const Tree::Walked& at) -> Status {
    only = at.entry.kind == EntryKind::kFolder;
    return only ? Status() : Error(ErrorCode::kNotEmpty, "");  // Ends the walk.
  });
  if (!walked && only) return walked.error();
  return only;
}

// Takes back what is staged at and below a path.
class Unstaging {
 public:
  Unstaging(Overlay& overlay, const RepoPath& path) : overlay_(overlay), path_(path) {}

  Result<int64_t> Run() {
    STAGEFS_RETURN_IF_ERROR(Collect());
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (i % kWithdrawTogether == 0) STAGEFS_RETURN_IF_ERROR(ExpectFrom(i));
      STAGEFS_RETURN_IF_ERROR(TakeBack(rows_[i]));
    }
    for (auto at = covering_.rbegin(); at != covering_.rend(); ++at) STAGEFS_RETURN_IF_ERROR(Uncover(*at));
    if (restored_ || count_ > 0) {
      for (const StagedAt& at : removed_above_) STAGEFS_RETURN_IF_ERROR(overlay_.Withdraw(at.slot).WithoutValue());
    } else if (!path_.is_root()) {
      return Error(ErrorCode::kNotFound, "nothing is staged at " + ToDisplayUtf8(path_.str()));
    }
    return count_;
  }

 private:
  Status Collect() {
    return WalkStaged(overlay_, [&](const StagedAt& at) -> Status {
      const Entry& entry = at.staged.entry;
      if (entry.kind == EntryKind::kRemoved && at.path != path_.str() && IsAtOrBelow(path_.str(), at.path)) {
        removed_above_.push_back(at);
        return {};
      }
      std::string also = at.path;  // A renamed folder is found by either name.
      if (entry.kind == EntryKind::kFolder && at.staged.state == StagedState::kModified) {
        STAGEFS_ASSIGN_OR_RETURN(also, overlay_.base().PathOf(entry.child));
      }
      if (at.staged.state != StagedState::kKept &&
          (IsAtOrBelow(at.path, path_.str()) || IsAtOrBelow(also, path_.str()))) {
        rows_.push_back(at);
      }
      return {};
    });
  }

  Status ExpectFrom(size_t begin) {
    std::vector<Slot> slots;
    for (size_t i = begin; i < std::min(begin + kWithdrawTogether, rows_.size()); ++i) slots.push_back(rows_[i].slot);
    return overlay_.Expect(slots);
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
    STAGEFS_ASSIGN_OR_RETURN(const bool empty, HasFoldersOnly(overlay_, at.staged.entry.child));
    if (!empty) {
      return Error(ErrorCode::kConflict, "unstage what was at " + ToDisplayUtf8(at.path) +
                                             ": there is a folder with something in it, move it away first");
    }
    STAGEFS_ASSIGN_OR_RETURN(const bool withdrawn, overlay_.Withdraw(at.slot));
    count_ += withdrawn;
    return {};
  }

  Overlay& overlay_;
  const RepoPath& path_;
  std::vector<StagedAt> rows_;
  std::vector<StagedAt> removed_above_;
  std::vector<StagedAt> covering_;  // They go last, the deepest first.
  int64_t count_ = 0;
  bool restored_ = false;
};

}  // namespace

Result<int64_t> Workspace::Unstage(const RepoPath& path) {
  return WithReserve(repository_.folder(), [&] {
    return Mutate(Durability::kPowerLoss, [&](Overlay& overlay) { return Unstaging(overlay, path).Run(); });
  });
}

Result<int64_t> Workspace::UnstageAll() { return Unstage(RepoPath()); }

}  // namespace stagefs
