// What programs watch with inotify, as far as this process may see it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>

namespace stagefs {

// The inodes of the file system `device` (st_dev) that some process watches. Read from /proc/PID/fdinfo,
// whose lines "inotify wd:N ino:HEX sdev:HEX …" name them (proc(5)); other users' processes are seen by root
// alone.
std::set<uint64_t> WatchedInodes(dev_t device);

}  // namespace stagefs
