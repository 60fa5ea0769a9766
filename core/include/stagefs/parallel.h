// Work that waits for something far away, several pieces at a time.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "stagefs/guarded.h"
#include "stagefs/interruption.h"
#include "stagefs/result.h"

namespace stagefs {

// How many requests a machine has on their way at once.
constexpr size_t kRequestsAtOnce = 16;

// Runs `work(piece)` for 0…pieces-1 on up to `threads_max` threads, the caller's among them, all of which work for
// whom that one works for (interruption.h). The first trouble ends it, once what has begun has ended.
inline Status InParallel(uint64_t pieces, size_t threads_max, const std::function<Status(uint64_t)>& work) {
  std::atomic<uint64_t> next = 0;
  Guarded<Status> trouble;
  Caller* const caller = WorkingFor::Current();
  const auto run = [&] {
    const WorkingFor scope(caller);
    for (uint64_t piece; (piece = next.fetch_add(1)) < pieces;) {
      if (!*trouble.Lock()) return;
      const Status done = work(piece);
      if (auto first = trouble.Lock(); !done && *first) *first = done;
    }
  };
  std::vector<std::thread> threads;
  while (threads.size() + 1 < std::min<uint64_t>(threads_max, pieces)) threads.emplace_back(run);
  run();
  for (std::thread& thread : threads) thread.join();
  return *trouble.Lock();
}

}  // namespace stagefs
