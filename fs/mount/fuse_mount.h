// One mounted workspace or commit, from fuse_session_new to the clean end.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "attributes.h"
#include "stagefs/repository.h"

namespace stagefs {

struct MountRequest {
  std::string workspace;             // Id or name; or
  std::optional<CommitInfo> commit;  // what is shown read-only.
  MountOptions options;   // `mountpoint` is PrepareMountpoint()'s answer.
  bool allow_other = false;
  std::string kernel_options;  // ",nosuid,noexec" and such: not ours to heed.
  bool debug = false;
  // The mount answers. Called once, on a thread of the session.
  std::function<void()> on_ready;
};

// Mounts and serves until unmounted, or until SIGTERM or SIGINT; then unmounts. What was not staged is kept
// for the next start. Errors: what the kernel or fusermount3 said; kNotFound if FUSE is not there.
Status ServeMount(Repository& repository, const MountRequest& request);

}  // namespace stagefs
