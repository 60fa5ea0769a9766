// Brings the versions of a folder to this machine before they are read.
#pragma once

#include <cstdint>
#include <functional>

#include "stagefs/workspace.h"

namespace stagefs {

struct PrefetchReport {
  int64_t files = 0;
  uint64_t bytes = 0;
};

// Opens every file at or below `path`, several at a time: what is not in this machine's cache is fetched, and checked.
// Where versions are on this machine's disk nothing has to move.
Result<PrefetchReport> Prefetch(Workspace& workspace, const RepoPath& path,
                                const std::function<void(int64_t done)>& progress);

}  // namespace stagefs
