// StagingIndex on SQLite: one file, for the processes of one machine.
#pragma once

#include "stagefs/staging_index.h"

namespace stagefs {

// As OpenStagingIndex() without a URL.
Result<std::unique_ptr<StagingIndex>> OpenSqliteStagingIndex(const std::string& path,
                                                             WhereMissing missing = WhereMissing::kMake);

// As OpenStagingIndex() without a URL, where nothing can be written: `why`, which every change is told. Where a log
// waits to be read, and nobody looks after it, or the layout is an older one, a copy in $TMPDIR is read.
Result<std::unique_ptr<StagingIndex>> OpenSqliteIndexToRead(const std::string& path, const Error& why);

}  // namespace stagefs
