// Processes by pid: a pid alone is reused, with its start time it is not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace stagefs {

// When `pid` started, in clock ticks since boot; 0 if there is no such process (proc(5), stat field 22).
int64_t ProcessStartTime(int64_t pid);

// Another process of this machine that has one of these files open, whether it holds locks or not; 0: none that this
// user may look into. No file system is asked anything for it.
int64_t OtherProcessWith(const std::vector<std::string>& paths);

// Within what a pid means something: this boot of this machine, and this process's pid namespace.
std::string HostOfPids();

// As many open files as the system lets this process have: each file open on a mount and each connection takes one or
// two, and shells give no more than 1,024. Files as large as it may write, and an error, no signal, beyond that:
// whoever asks a daemon for a large file is not who limited it.
void RaiseLimits();

}  // namespace stagefs
