// `-o a,b=c`, as mount(8) gives it.
#pragma once

#include <string>
#include <vector>

#include "mount/fuse_mount.h"

namespace stagefs {

struct ParsedMountOptions {
  MountOptions mount;  // This process's user, group and umask where nothing else is said.
  bool allow_other = false, nonempty = false;
  std::string kernel_options;  // Those that the kernel heeds, a comma before each.
};

// Each of `lists` is what one -o was given; the later of two wins. kInvalidArgument names the option it refuses.
Result<ParsedMountOptions> ParseMountOptions(const std::vector<std::string>& lists);

}  // namespace stagefs
