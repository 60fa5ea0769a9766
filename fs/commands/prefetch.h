// Brings the versions of a folder to this machine before they are read.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "stagefs/workspace.h"

namespace stagefs {

struct PrefetchReport {
  int64_t files = 0;
  uint64_t bytes = 0;
};

// Opens every file at or below `paths`, several at a time: what is not in this machine's cache is fetched, and checked.
// Where versions are on this machine's disk nothing has to move. Where nothing is at a path: kNotFound with the first
// 20 of them, before anything is fetched; with `missing` they are put there instead.
Result<PrefetchReport> Prefetch(Workspace& workspace, std::vector<RepoPath> paths, std::vector<Status>* missing,
                                const std::function<void(int64_t done)>& progress);

}  // namespace stagefs
