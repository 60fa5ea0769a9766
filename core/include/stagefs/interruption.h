// Whoever waits for an answer may give up before it comes: its program was killed. What takes long asks, and ends.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

#include "stagefs/result.h"

namespace stagefs {

// Nobody is looked after more often than this, and not before a request takes longer than most: of those that wait for
// each other each may be abandoned.
constexpr auto kLookAfterCallerEvery = std::chrono::milliseconds(200);
constexpr auto kFirstLookAfter = std::chrono::milliseconds(20);

// Somebody for whom threads work, and who may give up. Safe for concurrent use.
class Caller {
 public:
  // `gave_up` is asked from whichever thread works for the caller, and must be quick. What it said once stays true.
  explicit Caller(std::function<bool()> gave_up) : gave_up_(std::move(gave_up)) {}
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  // Looks where kLookAfterCallerEvery has passed since the last look, or kFirstLookAfter since the first question.
  bool GaveUp();
  bool GaveUpByNow();  // Looks.
  void CarryThrough() { carried_through_ = true; }

 private:
  const std::function<bool()> gave_up_;
  std::atomic<bool> gone_ = false, carried_through_ = false;
  std::atomic<int64_t> next_look_ns_ = 0;  // 0: not asked yet.
};

// While this lives its thread works for `caller`, who outlives it; null: for nobody who could give up, as a thread does
// that has none of these, and as what puts something back in its place must. The innermost counts.
class WorkingFor {
 public:
  explicit WorkingFor(Caller* caller);
  ~WorkingFor();
  WorkingFor(const WorkingFor&) = delete;
  WorkingFor& operator=(const WorkingFor&) = delete;

  // For threads that this one starts.
  static Caller* Current();

 private:
  Caller* const outer_;
};

// Whether whoever this thread works for gave up. Costs a reading of the clock, and a look each kLookAfterCallerEvery.
bool Interrupted();
// kInterrupted then. Nothing was done, or as much as where any other error comes from the same place.
Status CheckInterrupted();
// The same before what surely takes long: a caller that was seen is told from one that is gone.
Status CheckInterruptedNow();
Error InterruptedError();
// For a wait that ended without what was waited for: kInterrupted, else kBusy with this message.
Error BusyOrInterrupted(const std::string& message);

// From here on what this thread's caller asked for is done to its end, whether it lives or not: called where a change
// is about to be committed.
void CarryThrough();

// Waits until `done()`, and returns true; false: until `deadline`, or Interrupted(). `lock` is held when `done` is
// asked, and not while the caller is looked after.
template <class Done>
bool WaitUntil(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
               std::chrono::steady_clock::time_point deadline, Done done) {
  if (WorkingFor::Current() == nullptr) return changed.wait_until(lock, deadline, done);
  for (auto pause = kFirstLookAfter;; pause = kLookAfterCallerEvery) {
    const auto next = std::min(deadline, std::chrono::steady_clock::now() + pause);
    if (changed.wait_until(lock, next, done)) return true;
    if (next == deadline) return false;
    lock.unlock();
    const Status go_on = CheckInterruptedNow();
    lock.lock();
    if (!go_on) return done();
  }
}

// Sleeps; less if Interrupted().
void SleepFor(std::chrono::milliseconds time);

// kInterrupted; the mutex is not held then.
Result<std::unique_lock<std::timed_mutex>> LockInterruptibly(std::timed_mutex& mutex);

}  // namespace stagefs
