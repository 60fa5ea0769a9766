// What this process did, for whoever watches it: counted where it happens, shown by `/metrics` and `.stagefs/stats`.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace stagefs {

// How long something took, in buckets that Prometheus understands. Safe for concurrent use.
class LatencyCounter {
 public:
  static constexpr std::array<double, 8> kBoundsSeconds = {0.001, 0.01, 0.1, 0.5, 1, 5, 30, 120};

  void Note(std::chrono::nanoseconds took) {
    const double seconds = std::chrono::duration<double>(took).count();
    for (size_t i = 0; i < kBoundsSeconds.size(); ++i) {
      if (seconds <= kBoundsSeconds[i]) buckets_[i].fetch_add(1, std::memory_order_relaxed);
    }
    nanoseconds_.fetch_add(took.count(), std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  // At most kBoundsSeconds[i].
  int64_t bucket(size_t i) const { return buckets_[i]; }
  int64_t count() const { return count_; }
  double sum_seconds() const { return static_cast<double>(nanoseconds_) / 1e9; }

 private:
  std::array<std::atomic<int64_t>, kBoundsSeconds.size()> buckets_{};
  std::atomic<int64_t> nanoseconds_ = 0, count_ = 0;
};

// Never reset; `notifier_lag_ms` is the newest value.
struct ProcessCounters {
  LatencyCounter batch;  // Manifests, by whatever door.
  std::atomic<int64_t> batch_entries = 0, batch_refused = 0;
  std::atomic<int64_t> index_errors = 0, index_reconnects = 0;
  std::atomic<int64_t> s3_requests = 0, s3_retries = 0, s3_errors = 0, s3_bytes_sent = 0, s3_bytes_received = 0;
  std::atomic<int64_t> cache_hits = 0, cache_misses = 0, cache_dropped = 0, cache_bytes = 0;
  std::atomic<int64_t> notifier_lag_ms = 0;  // From learning of others' changes to the kernel's knowing them.
};

inline ProcessCounters& Counters() {
  static ProcessCounters counters;
  return counters;
}

}  // namespace stagefs
