#include "stagefs/tree_diff.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "differ.h"

namespace stagefs {
namespace {

// Files whose content went at one path and came at another: of each content the first ones in order of the paths.
class Moves {
 public:
  void Note(const TreeChange& change) {
    if (change.kind == TreeChange::Kind::kRemoved && CanMove(change.before)) went_.push_back(change.before->version);
    if (change.kind == TreeChange::Kind::kAdded && CanMove(change.after)) came_.push_back(change.after->version);
  }
  // True if there are some. Then NoteFrom() each removed file.
  bool Match() {
    std::sort(went_.begin(), went_.end());
    std::sort(came_.begin(), came_.end());
    std::vector<VersionId> both;
    std::set_intersection(went_.begin(), went_.end(), came_.begin(), came_.end(), std::back_inserter(both));
    for (const VersionId version : both) ++from_[version].left;
    went_ = came_ = {};
    return !both.empty();
  }
  void NoteFrom(const TreeChange& change) {
    if (change.kind != TreeChange::Kind::kRemoved || !CanMove(change.before)) return;
    const auto at = from_.find(change.before->version);
    if (at == from_.end() || at->second.left == 0) return;
    --at->second.left;
    at->second.paths.push_back({change.path, *change.before});
  }
  // What is told instead of `change`; std::nullopt: it is told where the file came.
  std::optional<TreeChange> Merge(TreeChange change) {
    const auto& entry = change.kind == TreeChange::Kind::kRemoved ? change.before : change.after;
    const auto at = change.kind == TreeChange::Kind::kModified || !CanMove(entry) ? from_.end()
                                                                                   : from_.find(entry->version);
    if (at == from_.end()) return change;
    From& from = at->second;
    if (change.kind == TreeChange::Kind::kRemoved) {
      if (from.gone == from.paths.size()) return change;
      ++from.gone;
      return std::nullopt;
    }
    if (from.taken == from.paths.size()) return change;
    change.kind = TreeChange::Kind::kMoved;
    change.moved_from = from.paths[from.taken].first;
    change.before = from.paths[from.taken].second;
    ++from.taken;
    return change;
  }

 private:
  // All empty files have one content.
  static bool CanMove(const std::optional<Entry>& entry) {
    return entry && entry->kind == EntryKind::kFile && entry->size_bytes > 0;
  }
  struct From {
    size_t left = 0, gone = 0, taken = 0;
    std::vector<std::pair<std::string, Entry>> paths;
  };
  std::vector<VersionId> went_, came_;
  std::map<VersionId, From> from_;
};

// A time that a workspace keeps for itself is not.
Result<bool> IsToBeCommitted(RevisionTree& before, RevisionTree& after, const Differ::Slots& slots,
                             const TreeChange& change) {
  if (change.kind != TreeChange::Kind::kModified || !(before.is_workspace() || after.is_workspace())) return true;
  Entry entry = *change.before;
  entry.mtime_ns = change.after->mtime_ns;
  if (entry != *change.after) return true;
  STAGEFS_ASSIGN_OR_RETURN(const std::string in_before, before.ChangeOf(slots.before));
  STAGEFS_ASSIGN_OR_RETURN(const std::string in_after, after.ChangeOf(slots.after));
  return !in_before.empty() || !in_after.empty();
}

}  // namespace

std::string_view ToString(TreeChange::Kind kind) {
  switch (kind) {
    case TreeChange::Kind::kAdded: return "added";
    case TreeChange::Kind::kModified: return "modified";
    case TreeChange::Kind::kRemoved: return "removed";
    case TreeChange::Kind::kMoved: return "moved";
  }
  return "";
}

Status DiffTrees(Repository& repository, const DiffRequest& request, const TreeChangeVisit& visit,
                 const FolderChangeVisit& enter) {
  STAGEFS_ASSIGN_OR_RETURN(const auto before, RevisionTree::Open(repository, request.before, request.links));
  STAGEFS_ASSIGN_OR_RETURN(const auto after, before->OpenBeside(request.after));
  IndexReader& index = before->index();
  Differ differ(index, *before, *after);
  STAGEFS_RETURN_IF_ERROR(differ.NoteCommits(request.before.commit.seq, request.after.commit.seq));
  for (const Revision* side : {&request.before, &request.after}) {
    if (side->workspace) STAGEFS_RETURN_IF_ERROR(differ.NoteStaged(side->workspace->id));
  }
  const PathCover cover(request.paths);
  const auto each = [&](const std::function<Status(TreeChange)>& take) -> Status {
    for (const RepoPath& path : cover.tops()) {
      STAGEFS_RETURN_IF_ERROR(differ.Run(path, [&](const Differ::Slots& slots, const TreeChange& change) -> Status {
        STAGEFS_ASSIGN_OR_RETURN(const bool counts, IsToBeCommitted(*before, *after, slots, change));
        return counts ? take(change) : Status();
      }));
    }
    return {};
  };
  Moves moves;
  if (request.find_moves) {
    STAGEFS_RETURN_IF_ERROR(each([&](const TreeChange& change) { return moves.Note(change), Status(); }));
    if (moves.Match()) {
      STAGEFS_RETURN_IF_ERROR(each([&](const TreeChange& change) { return moves.NoteFrom(change), Status(); }));
    }
  }
  return each([&](TreeChange change) -> Status {
    const std::optional<TreeChange> told = moves.Merge(std::move(change));
    if (!told) return {};
    if (enter) STAGEFS_RETURN_IF_ERROR(differ.EnterFolders(enter));
    return visit(*told, index);
  });
}

}  // namespace stagefs
