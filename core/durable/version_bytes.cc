#include "version_bytes.h"

#include <vector>

namespace stagefs {

Result<bool> AreWhole(const VersionStore& store, const VersionInfo& version) {
  const auto reader = store.Open(version.content.sha256);
  if (!reader && reader.error().code() == ErrorCode::kNotFound) {
    // Every store has the empty version. One that has nothing is another folder: a disk that is not mounted yet.
    STAGEFS_ASSIGN_OR_RETURN(const Presence empty, store.Locate(EmptyContent().sha256));
    if (empty != Presence::kNowhere) return false;
    return Error(ErrorCode::kIo, "the version store is empty: is its disk mounted?");
  }
  if (!reader) return reader.error();
  if ((*reader)->size_bytes() != version.size_bytes) return false;
  ContentHasher hasher;
  std::vector<char> buffer(256 << 10);
  for (uint64_t offset = 0; offset < version.size_bytes;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, (*reader)->ReadAt(buffer.data(), buffer.size(), offset));
    if (got == 0) return false;
    hasher.Update(buffer.data(), got);
    offset += got;
  }
  return hasher.Finish() == version.content;
}

}  // namespace stagefs
