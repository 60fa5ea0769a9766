// What a start does before anybody may use a repository.
#pragma once

#include "stagefs/repository.h"

namespace stagefs {

// The first commit, the default branch, and the empty version, which every store has.
Status LayOutRepository(Repository& repository);

// After another boot, contents that were closed and not synced yet may be gone or cut short: each is hashed
// again, and the entries of a lost one fall back to what they were before.
Status RecoverUnsyncedVersions(Repository& repository, RecoveryReport* report);

}  // namespace stagefs
