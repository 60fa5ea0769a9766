// Files whose close() returned before the turn came that stages them.
#pragma once

#include <optional>

#include "stagefs/repository.h"

namespace stagefs {

// Waits until those of `workspace` that were closed by now are staged, or refused: what comes after a close() finds
// what it promised. Without one: those of all, as far as their processes live. The caller has no turn. kBusy: not
// within Turn::kWaitMax.
Status AwaitClosedFiles(Repository& repository, std::optional<WorkspaceId> workspace);

}  // namespace stagefs
