// Where a workspace may be mounted, and how what a dead daemon left is cleared away.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "stagefs/result.h"

namespace stagefs {

// The absolute path of `mountpoint`, fit to be mounted on: an existing, empty folder that is no stagefs mount
// and neither inside `root` nor around it. A stale mount point ("Transport endpoint is not connected") is
// detached first.
//
// Errors: kNotFound, kNotDirectory, kNotEmpty, kBusy (mounted already), kInvalidArgument (overlap), kIo; each
// says what to do.
Result<std::string> PrepareMountpoint(const std::string& mountpoint, const std::string& root,
                                      bool allow_nonempty);

// The device number (st_dev) of the stagefs mount at the real path `mountpoint`, without asking that mount;
// std::nullopt where there is none.
std::optional<dev_t> DeviceOfMount(const std::string& mountpoint);

// Unmounts the stagefs mount at `mountpoint`; with `lazy` also while it is in use.
Status Unmount(const std::string& mountpoint, bool lazy);

}  // namespace stagefs
