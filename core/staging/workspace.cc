#include "stagefs/workspace.h"

#include <unistd.h>

#include <algorithm>

#include "stagefs/posix_env.h"
#include "inbox_queue.h"
#include "stagefs/scratch_names.h"
#include "stagefs/version_store.h"
#include "closed_files.h"
#include "path_outcomes.h"
#include "workspace_change.h"

namespace stagefs {
namespace {

// `target` seen from `directory`, without "." and "..": std::nullopt if it leaves the workspace.
std::optional<std::string> ResolveInside(std::string_view directory, std::string_view target,
                                         std::string_view mountpoint) {
  std::vector<std::string> components;
  const auto walk = [&](std::string_view path) {
    for (size_t begin = 0; begin <= path.size();) {
      const size_t end = std::min(path.find('/', begin), path.size());
      const std::string_view component = path.substr(begin, end - begin);
      begin = end + 1;
      if (component.empty() || component == ".") continue;
      if (component == "..") {
        if (components.empty()) return false;
        components.pop_back();
      } else {
        components.emplace_back(component);
      }
    }
    return true;
  };
  if (target.starts_with('/')) {
    if (mountpoint.empty() || !target.starts_with(mountpoint) ||
        !target.substr(mountpoint.size()).starts_with('/')) {
      return std::nullopt;
    }
    target.remove_prefix(mountpoint.size());
  } else if (!walk(directory)) {
    return std::nullopt;
  }
  if (!walk(target) || components.empty()) return std::nullopt;
  std::string path;
  for (const std::string& component : components) path += (path.empty() ? "" : "/") + component;
  return path;
}

bool IsFileOf(const Entry& entry, VersionId version) {
  return entry.kind == EntryKind::kFile && entry.version == version;
}

// Whether a program that follows the link finds something.
Result<bool> IsThere(Overlay& overlay, const std::optional<std::string>& inside, const std::string& target) {
  if (!inside) return target.starts_with('/') && access(target.c_str(), F_OK) == 0;
  const auto path = RepoPath::Parse(*inside);
  if (!path) return false;
  const auto located = overlay.Find(*path);
  if (!located && located.error().code() != ErrorCode::kNotFound) return located.error();
  return located.has_value();
}

// The version that a symbolic link at `slot` stands for, if any.
Result<std::optional<VersionInfo>> VersionOf(Overlay& overlay, const Slot& slot, const std::string& target,
                                             std::string_view mountpoint) {
  if (const auto hash = HashRef::ParseFull(target)) {
    STAGEFS_ASSIGN_OR_RETURN(auto version, overlay.index().FindVersion(*hash));
    if (!version) return Error(ErrorCode::kNotFound, "version " + hash->ToString() + ": no such version");
    return version;
  }
  const std::string last = target.substr(target.rfind('/') + 1);
  STAGEFS_ASSIGN_OR_RETURN(const std::string directory, overlay.PathOf(slot.folder));
  const auto inside = ResolveInside(directory, target, mountpoint);
  if (inside == std::string(kControlFolder) + "/versions/" + last) {
    const auto hash = HashRef::Parse(last);
    return hash ? overlay.index().FindVersion(*hash) : std::optional<VersionInfo>();
  }
  const auto hash = HashRef::ParseFull(last);
  if (!hash) return std::optional<VersionInfo>();
  STAGEFS_ASSIGN_OR_RETURN(const bool is_there, IsThere(overlay, inside, target));
  return is_there ? std::optional<VersionInfo>() : overlay.index().FindVersion(*hash);
}

// What `hash` names may be a file that was closed and waits for its turn.
void AwaitIfUnknown(Repository& repository, std::string_view hash) {
  if (!repository.FindVersion(hash)) (void)AwaitClosedFiles(repository, std::nullopt);
}

// Others may have removed the folder that a mount knows by its number: what is staged there nobody would see.
Status CheckIsThere(Overlay& overlay, FolderId folder) {
  if (folder == kRootFolder) return {};
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, overlay.PlaceOf(folder));
  if (place) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, overlay.LookUp(*place));
    if (entry && entry->kind == EntryKind::kFolder && entry->child == folder) return {};
  }
  return Error(ErrorCode::kStale, "its folder was removed");
}

// What one move of several may fail with, and leave everything as it is.
bool IsOfPath(const Error& error) {
  const ErrorCode code = error.code();
  return IsMissing(error) || code == ErrorCode::kExists || code == ErrorCode::kInvalidArgument ||
         code == ErrorCode::kNameTooLong;
}

std::string Shown(const Workspace::PathMove& move) {
  return ToDisplayUtf8(move.from.str()) + " -> " + ToDisplayUtf8(move.to.str());
}

Status MoveOne(Overlay& overlay, const Workspace::PathMove& move) {
  STAGEFS_ASSIGN_OR_RETURN(const Located located, overlay.Find(move.from));
  // Before folders are made on the way there.
  if (located.entry.kind == EntryKind::kFolder && move.from != move.to && IsAtOrBelow(move.to.str(), move.from.str())) {
    return Error(ErrorCode::kInvalidArgument, "a folder cannot move into itself");
  }
  STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, overlay.EnsureFolders(move.to.parent()));
  return overlay.Rename(located.slot, {folder, std::string(move.to.name())}, RenameMode::kNoReplace);
}

}  // namespace

// Asks the workspace, or its base, as it is at each question.
class Workspace::NewestTree : public Tree {
 public:
  enum class Of { kWorkspace, kBase };
  NewestTree(Workspace& workspace, Of of) : workspace_(workspace), of_(of) {}

  Result<std::optional<Entry>> LookUp(const Slot& slot) override {
    STAGEFS_ASSIGN_OR_RETURN(Moment now, workspace_.Glance());
    return TreeOf(now).LookUp(slot);
  }
  Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit) override {
    STAGEFS_ASSIGN_OR_RETURN(Moment now, workspace_.Read());
    return TreeOf(now).List(folder, after, limit);
  }
  Result<std::optional<Slot>> PlaceOf(FolderId folder) override {
    STAGEFS_ASSIGN_OR_RETURN(Moment now, workspace_.Glance());
    return TreeOf(now).PlaceOf(folder);
  }
  Result<std::string> PathOf(FolderId folder) override {
    STAGEFS_ASSIGN_OR_RETURN(Moment now, workspace_.Glance());
    return TreeOf(now).PathOf(folder);
  }
  Result<Located> Find(const RepoPath& path) override {
    STAGEFS_ASSIGN_OR_RETURN(Moment now, workspace_.Read());
    return TreeOf(now).Find(path);
  }

 private:
  Tree& TreeOf(Moment& now) const {
    if (of_ == Of::kBase) return now.tree.base();
    return now.tree;
  }

  Workspace& workspace_;
  const Of of_;
};

Workspace::Workspace(Repository& repository, WorkspaceId id, WriterId writer)
    : repository_(repository),
      id_(id),
      writer_(writer),
      tree_(std::make_unique<NewestTree>(*this, NewestTree::Of::kWorkspace)),
      base_(std::make_unique<NewestTree>(*this, NewestTree::Of::kBase)) {}

Result<std::unique_ptr<Workspace>> Workspace::Open(Repository& repository, const std::string& id_or_name,
                                                   WriterId writer) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> info, reader->FindWorkspace(id_or_name));
  if (!info) return Error(ErrorCode::kNotFound, "Workspace not found: " + ToDisplayUtf8(id_or_name));
  return std::unique_ptr<Workspace>(new Workspace(repository, info->id, writer));
}

Result<WorkspaceInfo> Workspace::Info() {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> info, reader->GetWorkspace(id_));
  if (!info) return Error(ErrorCode::kStale, "the workspace was deleted");
  return *info;
}

void Workspace::AwaitClosed() { AwaitClosedBriefly(repository_, id_); }

Result<TreeView> Workspace::ViewOf(IndexReader& index, CommitSeq seq) {
  {
    auto cached = cached_view_.Lock();
    if (cached->seq == seq) return cached->view;
  }
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, index.ViewOf(seq));
  auto cached = cached_view_.Lock();
  *cached = {seq, view};
  return view;
}

Result<Workspace::Moment> Workspace::Read() { return MomentOf(repository_.index().Read()); }
Result<Workspace::Moment> Workspace::Glance() { return MomentOf(repository_.index().Glance()); }

Result<Workspace::Moment> Workspace::MomentOf(Result<std::unique_ptr<IndexReader>> opened) {
  STAGEFS_ASSIGN_OR_RETURN(auto reader, std::move(opened));
  STAGEFS_ASSIGN_OR_RETURN(std::optional<WorkspaceInfo> info, reader->GetWorkspace(id_));
  if (!info) return Error(ErrorCode::kStale, "the workspace was deleted");
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, ViewOf(*reader, info->base));
  WorkspaceTree tree(*reader, std::move(*info), std::move(view));
  return Moment{std::move(reader), std::move(tree)};
}

Result<std::string> Workspace::StatusOf(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(Moment now, Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> staged, now.tree.LookUpStaged(slot));
  if (!staged) return std::string("unchanged");
  if (staged->entry.scratch) {
    STAGEFS_ASSIGN_OR_RETURN(const bool scratch, now.tree.IsScratch(slot, staged->entry));
    return std::string(scratch ? "scratch" : "added");
  }
  STAGEFS_ASSIGN_OR_RETURN(const bool unstaged_link, now.tree.IsUnstagedLink(slot, staged->entry));
  if (unstaged_link) return std::string("symlink");
  if (staged->entry.kind == EntryKind::kFolder && staged->state == StagedState::kRemoved) {
    return std::string("unchanged");  // What was there is removed.
  }
  switch (staged->state) {
    case StagedState::kAdded: return std::string("added");
    case StagedState::kModified: return std::string("modified");
    case StagedState::kRemoved: return std::string("removed");
    case StagedState::kKept: break;
  }
  return std::string("unchanged");
}

Result<StagedFile> Workspace::StageVersion(const Slot& slot, VersionId version, const StageHow& how) {
  const Turn turn = Turn::Workspace(id_).Within(how.wait_max);
  return Mutate(Durability::kProcessDeath, turn, [&](Overlay& overlay) -> Result<StagedFile> {
    STAGEFS_RETURN_IF_ERROR(CheckIsThere(overlay, slot.folder));
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> info, overlay.index().GetVersion(version));
    if (!info) return Error(ErrorCode::kNotFound, "the version is gone");
    return overlay.StageVersion(slot, *info, how);
  });
}

Result<StagedFile> Workspace::StageFile(const Slot& slot, const std::string& file, const ContentId& content,
                                        uint64_t size_bytes, const StageHow& how) {
  STAGEFS_RETURN_IF_ERROR(repository_.versions().Send(content.sha256, file));
  const Turn turn = Turn::Workspace(id_).Within(how.wait_max);
  return Mutate(Durability::kProcessDeath, turn, [&](Overlay& overlay) -> Result<StagedFile> {
    STAGEFS_RETURN_IF_ERROR(CheckIsThere(overlay, slot.folder));
    // The file moves last but one: every refusal that can come has come by then.
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> existing, overlay.LookUp(slot));
    if (existing && existing->kind == EntryKind::kFolder) {
      return Error(ErrorCode::kIsDirectory, "'" + ToDisplayUtf8(slot.name) + "' is a folder");
    }
    if (how.only_over && (existing ? !IsFileOf(*existing, *how.only_over) : *how.only_over != 0)) {
      return Error(ErrorCode::kExists, "'" + ToDisplayUtf8(slot.name) + "' was staged meanwhile");
    }
    bool is_new = false;
    STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version,
                             overlay.change().Take(file, content, size_bytes, /*synced=*/false, &is_new));
    StageHow with_it = how;
    with_it.brings = is_new;
    auto staged = overlay.StageVersion(slot, version, with_it);
    if (staged) staged->brought = is_new;
    return staged;
  });
}

Status Workspace::Remove(const Slot& slot) {
  return WithReserve(repository_.folder(), [&] {
    return Mutate(Durability::kProcessDeath, [&](Overlay& overlay) { return overlay.Remove(slot); });
  });
}

Result<Entry> Workspace::MakeFolder(const Slot& slot, const FileMode& mode) {
  return Mutate(Durability::kProcessDeath, [&](Overlay& overlay) -> Result<Entry> {
    STAGEFS_RETURN_IF_ERROR(overlay.CheckPathFits(slot));
    return overlay.MakeFolder(slot, mode);
  });
}

Status Workspace::RemoveFolder(const Slot& slot) {
  return WithReserve(repository_.folder(), [&] {
    return Mutate(Durability::kProcessDeath, [&](Overlay& overlay) { return overlay.RemoveFolder(slot); });
  });
}

Status Workspace::Rename(const Slot& from, const Slot& to, RenameMode mode) {
  const bool manifest = IsStageManifestName(to.name) && IsInboxManifestName(to.name);
  return Mutate(manifest ? Durability::kPowerLoss : Durability::kProcessDeath,
                [&](Overlay& overlay) -> Status {
                  const bool longer = from.folder != to.folder || to.name.size() > from.name.size();
                  if (longer) STAGEFS_RETURN_IF_ERROR(overlay.CheckPathFits(to));
                  STAGEFS_RETURN_IF_ERROR(overlay.Rename(from, to, mode));
                  return manifest ? overlay.transaction().PutMeta(QueueKey(id_, to), "") : Status();
                });
}

Result<Workspace::Linked> Workspace::Link(const Slot& slot, const std::string& target,
                                          std::string_view mountpoint) {
  const std::string last = target.substr(target.rfind('/') + 1);
  if (HashRef::Parse(last)) AwaitIfUnknown(repository_, last);
  return Mutate(Durability::kProcessDeath, [&](Overlay& overlay) -> Result<Linked> {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> existing, overlay.LookUp(slot));
    if (existing) {
      return Error(ErrorCode::kExists, "'" + ToDisplayUtf8(slot.name) + "' exists");
    }
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, VersionOf(overlay, slot, target, mountpoint));
    if (!version) {
      STAGEFS_ASSIGN_OR_RETURN(Entry link, overlay.MakeSymlink(slot, target));
      return Linked{false, std::move(link)};
    }
    STAGEFS_ASSIGN_OR_RETURN(StagedFile file, overlay.StageVersion(slot, *version, {}));
    return Linked{true, std::move(file.entry)};
  });
}

Result<Entry> Workspace::SetTraits(const Slot& slot, std::optional<int64_t> mtime_ns,
                                   const std::optional<FileMode>& mode) {
  return Mutate(Durability::kProcessDeath,
                [&](Overlay& overlay) { return overlay.SetTraits(slot, mtime_ns, mode); });
}

Result<StagedFile> Workspace::StagePath(const RepoPath& path, std::string_view hash, const StageHow& how) {
  STAGEFS_ASSIGN_OR_RETURN(const HashRef ref, HashRef::Parse(hash));
  AwaitIfUnknown(repository_, hash);
  return Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<StagedFile> {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, overlay.index().FindVersion(ref));
    if (!version) return Error(ErrorCode::kNotFound, "version " + ref.ToString() + ": no such version");
    STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, overlay.EnsureFolders(path.parent()));
    return overlay.StageVersion({folder, std::string(path.name())}, *version, how);
  });
}

Result<std::vector<Status>> Workspace::StageVersions(const std::vector<NamedVersion>& files,
                                                     const StageHow& how) {
  return Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<std::vector<Status>> {
    std::vector<Status> outcomes;
    for (const auto& [path, version] : files) {
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> info, overlay.index().GetVersion(version));
      if (!info) return Error(ErrorCode::kNotFound, "the version is gone");
      const auto folder = overlay.EnsureFolders(path.parent());
      outcomes.push_back(
          folder ? overlay.StageVersion({*folder, std::string(path.name())}, *info, how).WithoutValue()
                 : folder.WithoutValue());
      if (outcomes.back()) continue;
      const ErrorCode code = outcomes.back().error().code();
      if (code != ErrorCode::kNotDirectory && code != ErrorCode::kIsDirectory) return outcomes.back().error();
    }
    return outcomes;
  });
}

Status Workspace::MovePath(const RepoPath& from, const RepoPath& to) { return MovePaths({{from, to}}); }

Status Workspace::MovePaths(const std::vector<PathMove>& moves, std::vector<Status>* outcomes) {
  std::vector<Status> all;
  STAGEFS_RETURN_IF_ERROR(Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Status {
    PathErrors errors;
    for (const PathMove& move : moves) {
      Status moved = MoveOne(overlay, move);
      if (!moved && !IsOfPath(moved.error())) return moved;
      if (!moved && !outcomes) errors.Add(moves.size() == 1 ? moved.error() : moved.error().In(Shown(move)));
      if (outcomes) all.push_back(moved ? moved : moved.error().In(Shown(move)));
    }
    return errors.Outcome();
  }));
  if (outcomes) *outcomes = std::move(all);
  return {};
}

}  // namespace stagefs
