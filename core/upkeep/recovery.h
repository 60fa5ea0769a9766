// What a start does before anybody may use a repository.
#pragma once

#include "stagefs/repository.h"

namespace stagefs {

// Lays out a repository that is new, and recovers what a crash left of another.
Result<RecoveryReport> Recover(Repository& repository);

}  // namespace stagefs
