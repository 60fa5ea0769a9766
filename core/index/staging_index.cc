// What an index does that knows no quicker way.
#include "stagefs/staging_index.h"

namespace stagefs {

Result<std::vector<std::optional<VersionInfo>>> VersionQuestions::FindVersions(const std::vector<HashRef>& hashes) {
  std::vector<std::optional<VersionInfo>> versions;
  versions.reserve(hashes.size());
  for (const HashRef& hash : hashes) {
    STAGEFS_ASSIGN_OR_RETURN(std::optional<VersionInfo> version, FindVersion(hash));
    versions.push_back(std::move(version));
  }
  return versions;
}

Result<bool> IndexTransaction::AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) {
  STAGEFS_ASSIGN_OR_RETURN(const auto there, LookUpStaged(workspace, slot.folder, slot.name));
  if (there) return false;
  STAGEFS_RETURN_IF_ERROR(PutStaged(workspace, slot, staged));
  return true;
}

}  // namespace stagefs
