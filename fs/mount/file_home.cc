#include "file_home.h"

#include <algorithm>

#include "stagefs/inbox.h"
#include "stagefs/scratch_names.h"

namespace stagefs {

FileHome::~FileHome() = default;

Result<WorkingCopyPlace> TreeHome::PlaceOf(const NodePlace& place) {
  WorkingCopyPlace copy;
  copy.workspace = workspace_.id();
  copy.slot = place.slot;
  STAGEFS_ASSIGN_OR_RETURN(const std::string folder, workspace_.tree().PathOf(place.slot.folder));
  copy.path = JoinPath(folder, place.slot.name);
  return copy;
}

Result<StagedFile> TreeHome::StageFile(const NodePlace& place, const std::string& file, const ContentId& content,
                                       uint64_t size_bytes, const StageHow& how) {
  return workspace_.StageFile(place.slot, file, content, size_bytes, how);
}

Result<Entry> TreeHome::StageVersion(const NodePlace& place, VersionId version, const StageHow& how) {
  STAGEFS_ASSIGN_OR_RETURN(const StagedFile done, workspace_.StageVersion(place.slot, version, how));
  MountCounters::Add(counters_.cloned);
  return done.entry;
}

Result<std::optional<VersionId>> TreeHome::HeldAt(const NodePlace& place) {
  if (IsManifest(place.slot.name)) return std::optional<VersionId>();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, workspace_.tree().LookUp(place.slot));
  if (!entry) return std::optional<VersionId>(0);
  return entry->kind == EntryKind::kFile ? std::optional(entry->version) : std::nullopt;
}

bool TreeHome::IsFollowed() {
  const auto reader = workspace_.repository().index().Read();
  const auto mounts = reader ? (*reader)->ListMounts() : reader.error();
  if (!mounts) return true;
  return std::count_if(mounts->begin(), mounts->end(), [&](const MountRow& mount) {
           return mount.workspace == workspace_.id();
         }) > 1;
}

bool TreeHome::IsManifest(const std::string& name) const {
  return IsInboxManifestName(name) && IsStageManifestName(name);
}

Status TreeHome::StageManifest(const NodePlace& place, ManifestSoFar* so_far) {
  return Inbox(behind_).StageDropped(place.slot, so_far);
}

Result<WorkingCopyPlace> InboxHome::PlaceOf(const NodePlace& place) {
  WorkingCopyPlace copy;
  copy.workspace = behind_.id();
  copy.slot = place.slot;
  copy.path = std::string(kControlFolder) + "/inbox/" + JoinPath(place.inbox_directory, place.slot.name);
  return copy;
}

Result<StagedFile> InboxHome::StageFile(const NodePlace& place, const std::string& file, const ContentId& content,
                                        uint64_t size_bytes, const StageHow&) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(place.inbox_directory));
  STAGEFS_ASSIGN_OR_RETURN(const Entry entry,
                           Inbox(behind_).Store(directory, place.slot.name, file, content, size_bytes));
  return StagedFile{StageOutcome::kAdded, entry};
}

Result<Entry> InboxHome::StageVersion(const NodePlace& place, VersionId version, const StageHow&) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(place.inbox_directory));
  return Inbox(behind_).Store(directory, place.slot.name, version);
}

bool InboxHome::IsManifest(const std::string& name) const { return IsInboxManifestName(name); }

Status InboxHome::StageManifest(const NodePlace& place, ManifestSoFar* so_far) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath directory, RepoPath::ParseDirectory(place.inbox_directory));
  return Inbox(behind_).Stage(directory, place.slot.name, so_far);
}

}  // namespace stagefs
