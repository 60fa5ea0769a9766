// Files whose close() returned before the turn came that stages them.
#pragma once

#include <optional>

#include "stagefs/repository.h"

namespace stagefs {

// Waits until those of `workspace` (without one: of all) that were closed by now are staged, or refused: what comes
// after a close() finds what it promised. What dead processes closed is recovered first. The caller has no turn, and no
// reader. kBusy: not within Turn::kWaitMax.
Status AwaitClosedFiles(Repository& repository, std::optional<WorkspaceId> workspace);
// For whoever only looks: so long at most, and not for what takes its time, or what the dead left.
void AwaitClosedBriefly(Repository& repository, WorkspaceId workspace);

}  // namespace stagefs
