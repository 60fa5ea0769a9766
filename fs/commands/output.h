// What commands print, and what they end with.
#pragma once

#include <string_view>

#include "stagefs/result.h"

namespace stagefs {

// As the man page lists them.
enum ExitStatus {
  kExitOk = 0,
  kExitPartly = 1,    // Done, but an entry was refused, or fsck found damage.
  kExitUsage = 2,     // Bad usage or input; nothing was changed.
  kExitNotFound = 3,  // No such repository, workspace, version or path.
  kExitConflict = 4,  // Conflict, busy, or there already.
  kExitTrouble = 5,   // The disk, the kernel or the index.
};

Status PrintOut(std::string_view text);
// Prints "stagefs: MESSAGE" on stderr and returns the status for it.
ExitStatus Report(const Error& error);
ExitStatus Done(const Status& status);

}  // namespace stagefs
