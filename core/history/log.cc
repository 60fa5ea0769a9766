#include <map>
#include <set>

#include "ancestry.h"
#include "stagefs/history.h"
#include "tree/commit_tree.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 128;
// After every name of a folder.
const std::string kLastName(kNameBytesMax + 1, '\xff');

// What commits changed at or below a path.
//
// What is at the path changes only where a commit has a row in one of the slots on the way to it. So that is looked up
// once, with the newest of these rows, and again before the commit that made it. What lies below a folder changes where
// a commit has rows in folders below it: of each commit the folders are read, not their rows.
class PathChanges {
 public:
  PathChanges(IndexReader& index, const RepoPath& path) : index_(index), path_(path) {}

  // Quickest where children come before their parents.
  Result<bool> AreIn(const CommitInfo& commit) {
    STAGEFS_ASSIGN_OR_RETURN(const Way now, TakeWay(commit.seq));
    Way before = now;
    bool changed = false;
    if (now.since == commit.seq) {
      STAGEFS_ASSIGN_OR_RETURN(before, WayIn(commit.parent));
      STAGEFS_ASSIGN_OR_RETURN(changed, Differ(commit, before, now));
    }
    if (!changed && now.entry && now.entry->kind == EntryKind::kFolder) {
      STAGEFS_ASSIGN_OR_RETURN(changed, HasRowsBelow(commit, now.entry->child));
    }
    if (commit.parent != 0) known_.insert_or_assign(commit.parent, std::move(before));
    return changed;
  }

 private:
  // How a commit's tree comes to the path.
  struct Way {
    std::optional<Slot> slot;  // Of the path itself; nothing: the way ends before.
    std::optional<Entry> entry;
    CommitSeq since = 0;  // The newest commit with a row on the way.
  };

  Result<Way> TakeWay(CommitSeq commit) {
    auto known = known_.extract(commit);
    if (!known.empty()) return std::move(known.mapped());
    return WayIn(commit);
  }

  Result<Way> WayIn(CommitSeq commit) {
    Way way;
    if (commit == 0) return way;
    STAGEFS_ASSIGN_OR_RETURN(CommitTree tree, CommitTree::Of(index_, commit));
    way.entry = Entry::OfFolder(kRootFolder);
    for (const std::string_view name : path_.components()) {
      way.slot.reset();
      if (!way.entry || way.entry->kind != EntryKind::kFolder) return Way{std::nullopt, std::nullopt, way.since};
      way.slot = Slot{way.entry->child, std::string(name)};
      STAGEFS_ASSIGN_OR_RETURN(way.entry, tree.LookUp(*way.slot));
      STAGEFS_ASSIGN_OR_RETURN(const auto since, index_.LastCommitOf(tree.view(), *way.slot));
      way.since = std::max(way.since, since.value_or(0));
    }
    return way;
  }

  Result<bool> Differ(const CommitInfo& commit, const Way& before, const Way& now) {
    if (before.entry != now.entry) return true;
    // The same again.
    STAGEFS_ASSIGN_OR_RETURN(const TreeView view, index_.ViewOf(commit.seq));
    for (const Way* way : {&before, &now}) {
      if (!way->slot) continue;
      STAGEFS_ASSIGN_OR_RETURN(const auto last, index_.LastCommitOf(view, *way->slot));
      if (last == commit.seq) return true;
    }
    return false;
  }

  // Where a folder came here, or went away, the one that it is or was in has a row, too.
  Result<bool> HasRowsBelow(const CommitInfo& commit, FolderId top) {
    STAGEFS_ASSIGN_OR_RETURN(CommitTree tree, CommitTree::Of(index_, commit.seq));
    std::set<FolderId> outside{kRootFolder};
    std::optional<Slot> after;
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(const auto page, index_.ListCommitted(commit.seq, after, kPage));
      for (const Slot& slot : page) {
        STAGEFS_ASSIGN_OR_RETURN(const bool below, IsAtOrIn(tree, slot.folder, top, &outside));
        if (below) return true;
      }
      if (page.size() < kPage) return false;
      after = Slot{page.back().folder, kLastName};
    }
  }

  static Result<bool> IsAtOrIn(CommitTree& tree, FolderId folder, FolderId top, std::set<FolderId>* outside) {
    std::vector<FolderId> way;
    while (folder != top) {
      std::optional<Slot> place;
      if (!outside->contains(folder)) {
        STAGEFS_ASSIGN_OR_RETURN(place, tree.PlaceOf(folder));
      }
      way.push_back(folder);
      if (!place) {
        outside->insert(way.begin(), way.end());
        return false;
      }
      folder = place->folder;
    }
    return true;
  }

  IndexReader& index_;
  const RepoPath& path_;
  std::map<CommitSeq, Way> known_;  // Of commits that will be asked about.
};

}  // namespace

Result<CommitPage> History::Log(const std::string& revision, int64_t skip, size_t limit) {
  return LogOf(revision, RepoPath(), skip, limit);
}

Result<CommitPage> History::LogOf(const std::string& revision, const RepoPath& path, int64_t skip,
                                       size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo head, Resolve(revision));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  CommitPage page;
  PathChanges changes(*reader, path);
  Status trouble;
  STAGEFS_RETURN_IF_ERROR(WalkBoth(*reader, head.seq, head.seq, [&](const CommitInfo& commit, int) {
    const auto changed = path.is_root() ? Result<bool>(true) : changes.AreIn(commit);
    if (!changed) trouble = changed.error();
    if (!changed || !*changed) return trouble.has_value();
    if (page.total >= skip && page.commits.size() < limit) page.commits.push_back(commit);
    ++page.total;
    return true;
  }));
  if (!trouble) return trouble.error();
  return page;
}

Result<std::vector<CommitInfo>> History::CommitsSince(const std::string& revision, CommitSeq base) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo head, Resolve(revision));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  return CommitsOnlyIn(*reader, head.seq, base);
}

Result<ApartPage> History::LogApart(CommitSeq base, CommitSeq head, bool both_sides, int64_t skip, size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  ApartPage page;
  STAGEFS_RETURN_IF_ERROR(
      WalkApart(*reader, base, head, both_sides ? kBoth : kRight, [&](CommitInfo commit, Side side) {
        if (page.total++ < skip || page.commits.size() >= limit) return;
        page.commits.push_back({std::move(commit), side == kLeft});
      }));
  return page;
}

Result<CommitInfo> History::MergeBase(CommitSeq base, CommitSeq head) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const CommitSeq seq, CommonAncestor(*reader, base, head));
  STAGEFS_ASSIGN_OR_RETURN(const auto commit, reader->GetCommit(seq));
  if (!commit) return Error(ErrorCode::kNotFound, "the two commits descend from no common one");
  return *commit;
}

Result<std::vector<std::string>> History::ParentsOf(const CommitInfo& commit) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  std::vector<std::string> ids;
  for (const CommitSeq seq : {commit.parent, commit.merged}) {
    if (seq == 0) continue;
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> parent, reader->GetCommit(seq));
    if (parent) ids.push_back(parent->id);
  }
  return ids;
}

}  // namespace stagefs
