// StagingIndex on SQLite: one file, for the processes of one machine.
#pragma once

#include "stagefs/staging_index.h"

namespace stagefs {

// As OpenStagingIndex() without a URL.
Result<std::unique_ptr<StagingIndex>> OpenSqliteStagingIndex(const std::string& path,
                                                             WhereMissing missing = WhereMissing::kMake);

}  // namespace stagefs
