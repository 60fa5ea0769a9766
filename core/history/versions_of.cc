#include "versions_of.h"

#include <algorithm>

namespace stagefs {
namespace {

// Versions are read in one go where at most so many times as many lie between them.
constexpr int64_t kSparseMax = 4;

}  // namespace

Result<std::unordered_map<VersionId, VersionInfo>> VersionsOf(VersionQuestions& index, std::vector<VersionId> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::unordered_map<VersionId, VersionInfo> found;
  if (ids.empty()) return found;
  found.reserve(ids.size());
  const int64_t span = ids.back() - ids.front() + 1;
  if (span <= kSparseMax * static_cast<int64_t>(ids.size())) {
    STAGEFS_ASSIGN_OR_RETURN(const auto versions, index.ListVersionsFrom(ids.front(), static_cast<size_t>(span)));
    for (const VersionInfo& version : versions) found[version.id] = version;
  }
  for (const VersionId id : ids) {
    if (found.contains(id)) continue;
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, index.GetVersion(id));
    if (!version) return Error(ErrorCode::kCorrupt, "a tree names a version that is gone: run stagefs fsck");
    found[id] = *version;
  }
  return found;
}

}  // namespace stagefs
