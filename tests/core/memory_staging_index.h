// A StagingIndex in memory that honours what every index must, and nothing more: no hints, no moving, one process.
#pragma once

#include "stagefs/staging_index.h"

namespace stagefs::test {

std::unique_ptr<StagingIndex> NewMemoryStagingIndex();

}  // namespace stagefs::test
