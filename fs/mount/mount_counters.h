// What one mount did since it began, for .stagefs/stats.
#pragma once

#include <atomic>
#include <cstdint>

#include "stagefs/posix_env.h"

namespace stagefs {

struct MountCounters {
  std::atomic<int64_t> operations{0}, bytes_read{0}, bytes_written{0}, staged{0}, cloned{0};
  const int64_t started_ns = NowNs();

  static void Add(std::atomic<int64_t>& counter, int64_t more = 1) {
    counter.fetch_add(more, std::memory_order_relaxed);
  }
};

}  // namespace stagefs
