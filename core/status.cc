// status and unstage.
#include "stagefs/posix_env.h"
#include "walk.h"
#include "workspace_impl.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1024;

Status ForEachFile(OverlayReader& tree, FolderId folder, const std::string& path, Workspace::Tree which,
                   const std::function<Status(const std::string&, const Entry&)>& visit) {
  std::string after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, which == Workspace::Tree::kBase
                                                  ? tree.ListBase(folder, after, kPage)
                                                  : tree.List(folder, after, kPage));
    if (page.empty()) return {};
    for (const auto& [name, entry] : page) {
      if (entry.kind == EntryKind::kFolder) {
        STAGEFS_RETURN_IF_ERROR(ForEachFile(tree, entry.child, path + '/' + name, which, visit));
      } else if (entry.kind == EntryKind::kFile && !entry.scratch) {
        STAGEFS_RETURN_IF_ERROR(visit(path + '/' + name, entry));
      }
    }
    after = page.back().name;
  }
}

Result<std::optional<StatusLine>> LineOf(OverlayReader& tree, const StagedAt& at) {
  const Entry& entry = at.staged.entry;
  StatusLine line;
  line.path = at.path;
  line.version = entry.version;
  line.size_bytes = entry.size_bytes;
  line.executable = entry.executable;
  line.mtime_ns = entry.mtime_ns;
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, tree.LookUpBase(at.slot));
  if (base) line.base_version = base->version;
  switch (entry.kind) {
    case EntryKind::kRemoved:
      // A folder's files say that they are gone, or its new name does.
      if (!base || base->kind == EntryKind::kFolder) return std::optional<StatusLine>();
      line.kind = StatusLine::Kind::kRemoved;
      line.size_bytes = base->size_bytes;
      return std::optional(std::move(line));
    case EntryKind::kFile:
      if (entry.scratch) line.kind = StatusLine::Kind::kScratch;
      else if (at.staged.state == StagedState::kAdded) line.kind = StatusLine::Kind::kAdded;
      else if (at.staged.state == StagedState::kModified) line.kind = StatusLine::Kind::kModified;
      else return std::optional<StatusLine>();
      return std::optional(std::move(line));
    case EntryKind::kSymlink:
      line.kind = StatusLine::Kind::kSymlink;
      line.target = entry.target;
      return std::optional(std::move(line));
    case EntryKind::kFolder: break;
  }
  if (at.staged.state == StagedState::kModified) {
    line.kind = StatusLine::Kind::kRenamed;
    STAGEFS_ASSIGN_OR_RETURN(line.renamed_from, BasePathOf(tree, entry.child));
    STAGEFS_RETURN_IF_ERROR(ForEachFile(tree, entry.child, "", Workspace::Tree::kWorkspace,
                                        [&](const std::string&, const Entry&) -> Status {
                                          ++line.renamed_files;
                                          return {};
                                        }));
    return std::optional(std::move(line));
  }
  STAGEFS_ASSIGN_OR_RETURN(const bool empty, tree.IsEmpty(entry.child));
  if (!empty) return std::optional<StatusLine>();
  line.kind = StatusLine::Kind::kEmptyFolder;
  return std::optional(std::move(line));
}

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
  return WalkStaged(now.tree, [&](const StagedAt& at) -> Status {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<StatusLine> line, LineOf(now.tree, at));
    return line ? visit(*line) : Status();
  });
}

Status Workspace::ExpandRename(const StatusLine& renamed,
                               const std::function<Status(const StatusLine&)>& visit) {
  STAGEFS_ASSIGN_OR_RETURN(Snapshot now, Read());
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(renamed.path));
  STAGEFS_ASSIGN_OR_RETURN(const Located folder, now.tree.Find(path, Tree::kWorkspace));
  StatusLine line;
  const auto emit = [&](const std::string& at, const Entry& entry) {
    line.path = at;
    line.version = entry.version;
    line.size_bytes = entry.size_bytes;
    line.executable = entry.executable;
    line.mtime_ns = entry.mtime_ns;
    return visit(line);
  };
  line.kind = StatusLine::Kind::kRemoved;
  STAGEFS_RETURN_IF_ERROR(ForEachFile(now.tree, folder.entry.child, renamed.renamed_from, Tree::kBase, emit));
  line.kind = StatusLine::Kind::kAdded;
  // What is staged inside the folder has lines of its own.
  return ForEachFile(now.tree, folder.entry.child, renamed.path, Tree::kWorkspace,
                     [&](const std::string& at, const Entry& entry) -> Status {
                       STAGEFS_ASSIGN_OR_RETURN(const RepoPath file, RepoPath::Parse(at));
                       STAGEFS_ASSIGN_OR_RETURN(const Located located, now.tree.Find(file, Tree::kWorkspace));
                       STAGEFS_ASSIGN_OR_RETURN(const auto staged, now.tree.LookUpStaged(located.slot));
                       if (staged && staged->state != StagedState::kKept) return {};
                       return emit(at, entry);
                     });
}

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
    for (const StagedAt& at : rows) {
      bool counts = true;  // Not the removed folder behind removed files, nor the old name of a rename.
      const Entry& entry = at.staged.entry;
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
