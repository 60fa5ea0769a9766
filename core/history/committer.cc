#include "committer.h"

#include "stagefs/posix_env.h"
#include "stagefs/work_progress.h"

namespace stagefs {

Result<int64_t> Committer::Run(LeftOut* left_out) {
  STAGEFS_ASSIGN_OR_RETURN(const int64_t staged, tree_.index().CountStaged(tree_.workspace().id));
  ExpectSteps(3 * staged);  // Each is read twice, and moved.
  STAGEFS_RETURN_IF_ERROR(Survey(left_out));
  for (const StagedAt& at : unfinished_) {
    Entry entry = at.staged.entry;
    entry.scratch = entry.unfinished = false;
    STAGEFS_RETURN_IF_ERROR(tree_.Place(at.slot, entry).WithoutValue());
  }
  STAGEFS_ASSIGN_OR_RETURN(const int64_t count,
                           tree_.transaction().MoveStagedTo(commit_, tree_.workspace().id));
  NoteSteps(staged);
  for (const FolderId folder : filled_) STAGEFS_RETURN_IF_ERROR(Settle(folder));
  STAGEFS_ASSIGN_OR_RETURN(view_, tree_.index().ViewOf(commit_.seq));
  for (const FolderId folder : thinned_) STAGEFS_RETURN_IF_ERROR(DropIfEmpty(folder));
  return count;
}

Status Committer::Survey(LeftOut* left_out) {
  return WalkStaged(tree_, [&](const StagedAt& at) -> Status {
    const Entry& entry = at.staged.entry;
    if (entry.kind == EntryKind::kFolder && at.staged.state != StagedState::kModified) {
      kept_[entry.child] = {at.slot, entry};
    }
    STAGEFS_ASSIGN_OR_RETURN(const bool scratch, tree_.IsScratch(at.slot, entry));
    if (entry.scratch && !scratch) {
      unfinished_.push_back(at);
      filled_.insert(at.slot.folder);
      return {};
    }
    STAGEFS_ASSIGN_OR_RETURN(const bool unstaged_link, tree_.IsUnstagedLink(at.slot, entry));
    if (scratch || unstaged_link) {
      if (left_out->paths.size() < kLeftOutListed) left_out->paths.push_back(at.path);
      ++left_out->total;
    }
    if (at.staged.state == StagedState::kKept) return {};
    if (entry.permissions) tree_.NoteChange(at.slot.folder);  // They end here: mounts look again.
    (at.staged.state == StagedState::kRemoved ? thinned_ : filled_).insert(at.slot.folder);
    return {};
  });
}

// A folder with something in it exists in the commit, and so do those above it.
Status Committer::Settle(FolderId folder) {
  while (folder != kRootFolder && settled_.insert(folder).second) {
    const auto kept = kept_.find(folder);
    if (kept == kept_.end()) {
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> home,
                               tree_.base().PlaceOf(folder));
      if (!home) return {};  // Moved by this commit, and settled through its new place.
      folder = home->folder;
      continue;
    }
    const auto& [place, entry] = kept->second;
    if (entry.permissions) tree_.NoteChange(place.folder);
    STAGEFS_RETURN_IF_ERROR(tree_.transaction().PutTreeEntry(commit_, place, entry));
    STAGEFS_RETURN_IF_ERROR(tree_.transaction().EraseStaged(tree_.workspace().id, place));
    folder = place.folder;
  }
  return {};
}

// Commits have no empty folders; the workspace keeps the ones it shows.
Status Committer::DropIfEmpty(FolderId folder) {
  while (folder != kRootFolder) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, tree_.index().PlaceInBase(view_, folder));
    if (!place) return {};
    STAGEFS_ASSIGN_OR_RETURN(const auto first, tree_.index().ListBase(view_, folder, "", 1));
    if (!first.empty()) return {};
    STAGEFS_RETURN_IF_ERROR(tree_.transaction().PutTreeEntry(commit_, *place, Entry()));
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> row, tree_.LookUpStaged(*place));
    if (!row) {
      Entry kept;
      kept.kind = EntryKind::kFolder;
      kept.child = folder;
      kept.mtime_ns = commit_.time_ns;
      STAGEFS_RETURN_IF_ERROR(
          tree_.transaction().PutStaged(tree_.workspace().id, *place, {kept, StagedState::kKept}));
    }
    folder = place->folder;
  }
  return {};
}

// What every database and every client can show again.
Status CheckIsText(const std::string& message, const Author& author) {
  for (const std::string* text : {&message, &author.name, &author.email}) {
    if (IsValidUtf8(*text) && text->find('\0') == std::string::npos) continue;
    return Error(ErrorCode::kInvalidArgument, "a message and its author are UTF-8 text without NUL");
  }
  return {};
}

Result<CommitInfo> NewCommit(CommitSeq parent, const std::string& message, const Author& author) {
  STAGEFS_RETURN_IF_ERROR(CheckIsText(message, author));
  CommitInfo commit;
  commit.id = RandomHex();
  commit.parent = parent;
  commit.message = message;
  commit.author = author.name;
  commit.email = author.email;
  commit.time_ns = NowNs();
  return commit;
}

Result<Overlay> AddHiddenWorkspace(DurableChange& change, const std::string& branch, CommitSeq base) {
  WorkspaceInfo workspace;
  workspace.uid = RandomHex();
  workspace.branch = branch;
  workspace.base = base;
  workspace.created_ns = NowNs();
  STAGEFS_ASSIGN_OR_RETURN(workspace, change.index().AddWorkspace(workspace));
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, change.index().ViewOf(base));
  return Overlay(change, std::move(workspace), std::move(view), kNoMount);
}

}  // namespace stagefs
