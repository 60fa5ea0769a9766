// Versions of many files, asked for together.
#pragma once

#include <unordered_map>
#include <vector>

#include "stagefs/staging_index.h"

namespace stagefs {

// Those that `ids` name, which may name some twice. kCorrupt if one is gone, which a tree names.
Result<std::unordered_map<VersionId, VersionInfo>> VersionsOf(VersionQuestions& index, std::vector<VersionId> ids);

}  // namespace stagefs
