#include "sparse_versions.h"

#include <algorithm>

namespace stagefs {

// A version gets its number, and says whether it has holes, in one transaction, and neither changes.
void SparseVersions::LearnUpTo(VersionId version) {
  const VersionId after = known_.Lock()->up_to;
  const auto reader = index_.Read();
  if (!reader) return;
  // Where transactions share the index a smaller number may come later.
  const auto newest = index_.IsShared() ? Result<VersionId>(version) : (*reader)->NewestVersion();
  const auto sparse = newest ? (*reader)->ListSparse(after) : newest.error();
  if (!sparse) return;
  auto known = known_.Lock();
  for (const SparseVersion& each : *sparse) known->blocks[each.version] = each.blocks;
  known->up_to = std::max({known->up_to, version, *newest});
}

std::optional<int64_t> SparseVersions::BlocksOf(VersionId version, uint64_t size_bytes) {
  if (size_bytes < kSparseBytesMin) return std::nullopt;
  if (version > known_.Lock()->up_to) LearnUpTo(version);
  auto known = known_.Lock();
  const auto found = known->blocks.find(version);
  return found == known->blocks.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace stagefs
