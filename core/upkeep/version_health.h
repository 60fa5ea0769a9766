// One version's bytes against its hash.
#pragma once

#include "stagefs/repository.h"
#include "stagefs/staging_index.h"
#include "stagefs/version_store.h"

namespace stagefs {

enum class Health { kGood, kMissing, kDamaged };

// Reads all of it, and tells the store what came out. An Error: it cannot be said now.
Result<Health> CheckVersion(VersionStore& store, const VersionInfo& version);

// What is stored and has no row.
Result<std::vector<Sha256>> ListOrphans(Repository& repository);

}  // namespace stagefs
