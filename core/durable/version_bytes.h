// Whether the bytes of a version are what its row says.
#pragma once

#include "stagefs/staging_index.h"
#include "stagefs/version_store.h"

namespace stagefs {

// Reads and hashes them. False: they are lost, missing or not what they were. An error says nothing of them: ask later.
Result<bool> AreWhole(const VersionStore& store, const VersionInfo& version);

}  // namespace stagefs
