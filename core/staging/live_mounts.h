// Whose mounts live.
#pragma once

#include <vector>

#include "stagefs/staging_index.h"

namespace stagefs {

// Workspaces::LiveMounts() as `index` has it, which may be a transaction that depends on it. No row is dropped.
Result<std::vector<MountRow>> LiveMountsOf(IndexReader& index);

}  // namespace stagefs
