#include "version_bytes.h"

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
  STAGEFS_ASSIGN_OR_RETURN(const ContentId hashed, HashVersion(**reader));
  return hashed == version.content;
}

}  // namespace stagefs
