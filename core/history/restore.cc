#include "stagefs/restore.h"

#include <algorithm>
#include <map>
#include <set>

#include "differ.h"
#include "staging/path_outcomes.h"
#include "staging/workspace_change.h"
#include "stagefs/taken_back.h"
#include "stagefs/working_copy.h"

namespace stagefs {
namespace {

constexpr size_t kConflictsMax = 10'000;
constexpr size_t kConflictsShown = 20;

Status CheckNotWritten(Workspace& workspace, const PathCover& paths) {
  STAGEFS_ASSIGN_OR_RETURN(const auto places, ListWorkingCopyPlaces(workspace.repository()));
  for (const WorkingCopyPlace& place : places) {
    if (place.workspace != workspace.id() || place.state == WorkingCopyState::kClosed) continue;
    if (paths.Has(place.path)) {
      return Error(ErrorCode::kBusy, "'" + ToDisplayUtf8(place.path) +
                                         "' is being written, or was refused: close it, or stagefs dismiss it, first");
    }
  }
  return {};
}

// Changes of paths that are staged together: first what goes, then what comes.
class Staging {
 public:
  explicit Staging(Overlay& overlay) : overlay_(overlay) {}

  // Collected, as the trees that tell of them are about to change.
  void Add(TreeChange change) { changes_.push_back(std::move(change)); }

  // `keeps_folder`: whether an empty folder at this path stays.
  Result<Restored> Run(const std::function<Result<bool>(const RepoPath&)>& keeps_folder) {
    Restored restored;
    std::set<std::string> thinned;
    for (const TreeChange& change : changes_) {
      if (change.after) continue;
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(change.path));
      STAGEFS_ASSIGN_OR_RETURN(const Located at, overlay_.Find(path));
      STAGEFS_RETURN_IF_ERROR(overlay_.Remove(at.slot));
      thinned.insert(path.parent().str());
      ++restored.removed;
    }
    // The deepest first.
    for (auto at = thinned.rbegin(); at != thinned.rend(); ++at) {
      STAGEFS_RETURN_IF_ERROR(RemoveEmpty(*at, keeps_folder));
    }
    for (const TreeChange& change : changes_) {
      if (!change.after) continue;
      STAGEFS_RETURN_IF_ERROR(Stage(change.path, *change.after));
      ++restored.staged;
    }
    return restored;
  }

  Status Stage(const std::string& text, const Entry& entry) {
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(text));
    STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, FolderAt(path.parent()));
    const Slot slot{folder, std::string(path.name())};
    STAGEFS_RETURN_IF_ERROR(ClearFolders(slot));
    if (entry.kind == EntryKind::kSymlink) {
      return overlay_.StageSymlink(slot, entry.target, entry.mtime_ns).WithoutValue();
    }
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, overlay_.index().GetVersion(entry.version));
    if (!version) return Error(ErrorCode::kCorrupt, "the version of " + ToDisplayUtf8(text) + " is gone");
    StageHow how;
    how.mtime_ns = entry.mtime_ns;
    how.mode = entry.mode();
    how.keep_mtime = true;
    return overlay_.StageVersion(slot, *version, how).WithoutValue();
  }

 private:
  // A folder in which no file is left goes where a file comes.
  Status ClearFolders(const Slot& slot) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> there, overlay_.LookUp(slot));
    if (!there || there->kind != EntryKind::kFolder) return {};
    STAGEFS_ASSIGN_OR_RETURN(const bool only_folders, overlay_.HasFoldersOnly(there->child));
    return only_folders ? overlay_.RemoveRecursively(slot, *there) : Status();
  }

  // Files come folder by folder.
  Result<FolderId> FolderAt(const RepoPath& directory) {
    if (last_folder_ && last_folder_->first == directory.str()) return last_folder_->second;
    STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, overlay_.EnsureFolders(directory));
    last_folder_ = {directory.str(), folder};
    return folder;
  }

  Status RemoveEmpty(std::string text, const std::function<Result<bool>(const RepoPath&)>& keeps_folder) {
    while (!text.empty()) {
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(text));
      STAGEFS_ASSIGN_OR_RETURN(const bool stays, keeps_folder(path));
      if (stays) return {};
      const auto at = overlay_.Find(path);
      if (!at && at.error().code() == ErrorCode::kNotFound) return {};  // It went with another one below it.
      STAGEFS_RETURN_IF_ERROR(at.WithoutValue());
      STAGEFS_ASSIGN_OR_RETURN(const bool empty, overlay_.IsEmpty(at->entry.child));
      if (!empty) return {};
      STAGEFS_RETURN_IF_ERROR(overlay_.RemoveFolder(at->slot));
      text = path.parent().str();
    }
    return {};
  }

  Overlay& overlay_;
  std::vector<TreeChange> changes_;
  std::optional<std::pair<std::string, FolderId>> last_folder_;
};

Result<bool> HasFolder(Tree& tree, const RepoPath& path) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Located> at, FindIfThere(tree, path));
  return at && at->entry.kind == EntryKind::kFolder;
}

// What is never staged is nobody's to restore over.
Result<bool> IsOrdinary(WorkspaceTree& tree, const Slot& slot, const std::optional<Entry>& entry) {
  if (!entry) return true;
  if (!IsFileOrLink(*entry)) return false;
  STAGEFS_ASSIGN_OR_RETURN(const bool left_out, tree.IsLeftOut(slot, *entry));
  return !left_out;
}

Error Conflicts(const CommitInfo& commit, const std::vector<std::string>& paths) {
  std::string message = "commit " + commit.id + " cannot be reverted: " + std::to_string(paths.size()) +
                        (paths.size() == kConflictsMax ? " or more" : "") + " paths were changed since:";
  for (size_t i = 0; i < std::min(paths.size(), kConflictsShown); ++i) message += "\n  " + ToDisplayUtf8(paths[i]);
  if (paths.size() > kConflictsShown) message += "\n  and others";
  return Error(ErrorCode::kConflict, message);
}

}  // namespace

Result<Restored> Restore(Workspace& workspace, const Revision& from, const std::vector<RepoPath>& paths,
                         std::vector<Status>* outcomes) {
  if (outcomes) outcomes->clear();
  if (paths.empty()) return Restored();
  const PathCover cover(paths);
  ByPath by_path(paths);
  STAGEFS_RETURN_IF_ERROR(CheckNotWritten(workspace, cover));
  const auto restored = workspace.Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<Restored> {
    STAGEFS_ASSIGN_OR_RETURN(TreeView view, overlay.index().ViewOf(from.commit.seq));
    WorkspaceTree old(overlay.index(), from.workspace.value_or(WorkspaceInfo()), std::move(view));
    Differ differ(overlay.index(), overlay, old);
    STAGEFS_RETURN_IF_ERROR(differ.NoteCommits(overlay.workspace().base, from.commit.seq));
    STAGEFS_RETURN_IF_ERROR(differ.NoteStaged(overlay.workspace().id));
    if (from.workspace) STAGEFS_RETURN_IF_ERROR(differ.NoteStaged(from.workspace->id));
    Staging staging(overlay);
    PathErrors missing;
    for (auto& [path, outcome] : by_path.outermost()) {
      outcome = differ.Run(path, [&](const Differ::Slots& slots, const TreeChange& change) -> Status {
        STAGEFS_ASSIGN_OR_RETURN(const bool now, IsOrdinary(overlay, slots.before, change.before));
        STAGEFS_ASSIGN_OR_RETURN(const bool then, IsOrdinary(old, slots.after, change.after));
        if (now && then) staging.Add(change);
        return {};
      });
      if (!outcome && outcome.error().code() != ErrorCode::kNotFound) return outcome.error();
      if (!outcome && !outcomes) missing.Add(outcome.error());
    }
    STAGEFS_RETURN_IF_ERROR(missing.Outcome());
    return staging.Run([&](const RepoPath& folder) -> Result<bool> {
      if (!cover.Has(folder.str())) return true;
      return HasFolder(old, folder);
    });
  });
  if (restored && outcomes) *outcomes = by_path.InOrder();
  return restored;
}

Result<Restored> RestoreTo(Workspace& workspace, const Revision& from, const RepoPath& path, const RepoPath& to) {
  STAGEFS_RETURN_IF_ERROR(CheckNotWritten(workspace, PathCover({to})));
  return workspace.Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<Restored> {
    STAGEFS_ASSIGN_OR_RETURN(const bool there, [&]() -> Result<bool> {
      const auto at = overlay.Find(to);
      if (at) return true;
      return at.error().code() == ErrorCode::kNotFound ? Result<bool>(false) : at.error();
    }());
    if (there) return Error(ErrorCode::kExists, "'" + ToDisplayUtf8(to.str()) + "' exists");
    STAGEFS_ASSIGN_OR_RETURN(TreeView view, overlay.index().ViewOf(from.commit.seq));
    WorkspaceTree old(overlay.index(), from.workspace.value_or(WorkspaceInfo()), std::move(view));
    STAGEFS_ASSIGN_OR_RETURN(const Located top, old.Find(path));
    Staging staging(overlay);
    const auto add = [&](const std::string& at, const Slot& slot, const Entry& entry) -> Status {
      STAGEFS_ASSIGN_OR_RETURN(const bool ordinary, IsOrdinary(old, slot, entry));
      if (ordinary) {
        staging.Add({TreeChange::Kind::kAdded, at, "", std::nullopt, entry});
      }
      return {};
    };
    if (top.entry.kind == EntryKind::kFolder) {
      STAGEFS_RETURN_IF_ERROR(old.Walk(top.entry.child, to.str(), [&](const Tree::Walked& walked) {
        return add(walked.path, walked.slot, walked.entry);
      }));
    } else {
      STAGEFS_RETURN_IF_ERROR(add(to.str(), top.slot, top.entry));
    }
    return staging.Run([](const RepoPath&) -> Result<bool> { return true; });
  });
}

Result<Restored> RestoreTakenBack(Workspace& workspace, int64_t number, const std::vector<RepoPath>& paths) {
  const PathCover cover(paths);
  STAGEFS_RETURN_IF_ERROR(CheckNotWritten(workspace, cover));
  STAGEFS_ASSIGN_OR_RETURN(const auto tree, OpenTakenBack(workspace, number));
  std::vector<std::pair<std::string, Entry>> files;
  for (const RepoPath& path : cover.tops()) {
    STAGEFS_ASSIGN_OR_RETURN(const Located top, tree->Find(path));
    if (top.entry.kind != EntryKind::kFolder) {
      files.emplace_back(path.str(), top.entry);
      continue;
    }
    STAGEFS_RETURN_IF_ERROR(tree->Walk(top.entry.child, path.str(), [&](const Tree::Walked& at) -> Status {
      if (at.entry.kind == EntryKind::kFile) files.emplace_back(at.path, at.entry);
      return {};
    }));
  }
  return workspace.Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<Restored> {
    Staging staging(overlay);
    for (const auto& [path, entry] : files) STAGEFS_RETURN_IF_ERROR(staging.Stage(path, entry));
    return Restored{static_cast<int64_t>(files.size()), 0};
  });
}

Result<Restored> Revert(Workspace& workspace, const CommitInfo& commit) {
  if (commit.parent == 0) {
    return Error(ErrorCode::kInvalidArgument, "commit " + commit.id + " is the first one: there is nothing before it");
  }
  return workspace.Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<Restored> {
    IndexReader& index = overlay.index();
    STAGEFS_ASSIGN_OR_RETURN(CommitTree then, CommitTree::Of(index, commit.seq));
    STAGEFS_ASSIGN_OR_RETURN(CommitTree before, CommitTree::Of(index, commit.parent));
    Differ differ(index, then, before);
    STAGEFS_RETURN_IF_ERROR(differ.NoteCommits(commit.seq, commit.parent));
    Staging staging(overlay);
    std::vector<std::string> conflicts;
    std::vector<RepoPath> paths;
    STAGEFS_RETURN_IF_ERROR(differ.Run(RepoPath(), [&](const Differ::Slots&, const TreeChange& change) -> Status {
      STAGEFS_ASSIGN_OR_RETURN(RepoPath path, RepoPath::Parse(change.path));
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Located> now, FindIfThere(overlay, path));
      bool as_then = !now;
      if (change.before) {
        as_then = now && IsSameFile(now->entry, *change.before);
      } else if (now && now->entry.kind == EntryKind::kFolder) {
        STAGEFS_ASSIGN_OR_RETURN(as_then, HasFolder(then, path));
      }
      if (!as_then && conflicts.size() < kConflictsMax) conflicts.push_back(change.path);
      staging.Add(change);
      paths.push_back(std::move(path));
      return {};
    }));
    if (!conflicts.empty()) return Conflicts(commit, conflicts);
    STAGEFS_RETURN_IF_ERROR(CheckNotWritten(workspace, PathCover(std::move(paths))));
    return staging.Run([&](const RepoPath& folder) { return HasFolder(before, folder); });
  });
}

}  // namespace stagefs
