// With BUILD=tsan alone: GCC 12's ThreadSanitizer does not see locks that are awaited by a clock of one's choice, as
// std::timed_mutex does, and takes each unlock for a fault. Those by the wall clock it sees.
#include <pthread.h>
#include <time.h>

#include <cstdint>

namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

int64_t Ns(const timespec& time) { return time.tv_sec * kSecondNs + time.tv_nsec; }

int64_t NowNs(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return Ns(now);
}

}  // namespace

extern "C" int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* end) noexcept {
  const int64_t wall_ns = NowNs(CLOCK_REALTIME) + Ns(*end) - NowNs(clock);
  const timespec wall_end = {wall_ns / kSecondNs, wall_ns % kSecondNs};
  return pthread_mutex_timedlock(mutex, &wall_end);
}
