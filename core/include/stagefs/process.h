// Processes by pid: a pid alone is reused, with its start time it is not.
#pragma once

#include <cstdint>

namespace stagefs {

// When `pid` started, in clock ticks since boot; 0 if there is no such process (proc(5), stat field 22).
int64_t ProcessStartTime(int64_t pid);

}  // namespace stagefs
