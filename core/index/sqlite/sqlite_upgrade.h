// From an older layout of an index on SQLite to the newest.
#pragma once

#include <string>

#include "stagefs/result.h"

namespace stagefs {

// In one transaction, while nobody else has the index at `path` open: an older stagefs that is alive would go on by the
// layout that it knows. Nothing to do is no error.
//
// REQUIRES: this process has no connection to it.
// Errors: kBusy, naming who has it open.
Status UpgradeSqliteIndex(const std::string& path);

}  // namespace stagefs
