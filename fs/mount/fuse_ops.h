// The kernel's requests, translated: unpack, call StageFs, reply.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "stage_fs.h"
#include "window_poker.h"

struct fuse_lowlevel_ops;
struct fuse_session;

namespace stagefs {

// What a session's requests are answered with.
struct FuseContext {
  StageFs& fs;
  bool debug = false;              // Each refused request is a line in the log.
  const WindowPoker& poker;        // Its requests are answered without doing anything.
  std::function<void()> on_ready;  // The kernel has said hello: the mount answers.
  fuse_session* session = nullptr;
  // What the kernel has open. It goes without giving anything back when the mount ends under open files.
  Guarded<std::map<const FileHandle*, std::unique_ptr<FileHandle>>> files{};
  Guarded<std::map<const DirectoryStream*, std::unique_ptr<DirectoryStream>>> folders{};
};

// Each request that waits has a thread of its own. libfuse starts one when none is free, so as many as this are there
// only while that many wait.
constexpr unsigned kFuseThreadsMax = 1'000;
// So many requests that no call waits for (what is read ahead, releases) the kernel sends at once: others find a
// thread.
constexpr unsigned kBackgroundMax = 750;

const fuse_lowlevel_ops& FuseOperations();

}  // namespace stagefs
