// What a start does before anybody may use a repository.
#pragma once

#include "stagefs/repository.h"

namespace stagefs {

// Lays out a repository that is new, and recovers what a crash left of another.
Result<RecoveryReport> Recover(Repository& repository);
// The working copies alone, while others use the repository: of what processes left that died.
void RecoverWorkingCopies(Repository& repository, RecoveryReport* report);
// What it would have to look at, where nothing can be written: all of that is left for later.
Result<RecoveryReport> CountLeft(Repository& repository);

}  // namespace stagefs
