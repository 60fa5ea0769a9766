// What the mount shows of a node, what may be set on it, and how it was mounted.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "inode_table.h"

namespace stagefs {

struct MountOptions {
  std::string mountpoint;
  bool read_only = false;
  bool show_control = false;
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t umask = 022;  // Of 0666 for files, 0777 for folders.
  std::string actor;   // Who mounted it.
  std::optional<int64_t> commit_ns;  // Of a commit that is shown: the time of folders that have none.
};

struct Attributes {
  NodeId id = 0;
  uint64_t number = 0;  // The inode that programs see.
  mode_t type = 0;  // S_IFREG, S_IFDIR, S_IFLNK
  mode_t permissions = 0;
  uint64_t size_bytes = 0;
  std::optional<int64_t> blocks;  // Of 512 bytes, where it has holes.
  int64_t mtime_ns = 0;
  uint32_t links = 1;
  bool fleeting = false;  // The kernel remembers nothing of it.
};

struct LookedUp {
  Attributes attributes;  // Of a look-up: id 0 if there is no such name.
  bool cacheable = true;  // The kernel may remember the answer.
};

struct SetAttributes {
  std::optional<uint64_t> size_bytes;
  std::optional<mode_t> mode;
  std::optional<int64_t> mtime_ns;
};

}  // namespace stagefs
