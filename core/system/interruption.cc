#include "stagefs/interruption.h"

#include <thread>
#include <utility>

namespace stagefs {
namespace {

using std::chrono::steady_clock;

thread_local Caller* current = nullptr;

int64_t Ns(steady_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

}  // namespace

bool Caller::GaveUp() {
  if (carried_through_) return false;
  if (gone_) return true;
  const int64_t now_ns = Ns(steady_clock::now().time_since_epoch());
  int64_t next_ns = next_look_ns_;
  if (next_ns > now_ns) return false;
  // Most requests have ended before anybody is looked after; of several threads one looks.
  const auto pause = next_ns == 0 ? kFirstLookAfter : kLookAfterCallerEvery;
  const bool ours = next_look_ns_.compare_exchange_strong(next_ns, now_ns + Ns(pause));
  return ours && next_ns != 0 && GaveUpByNow();
}

bool Caller::GaveUpByNow() {
  if (carried_through_) return false;
  if (!gone_ && gave_up_()) gone_ = true;
  return gone_;
}

WorkingFor::WorkingFor(Caller* caller) : outer_(std::exchange(current, caller)) {}
WorkingFor::~WorkingFor() { current = outer_; }
Caller* WorkingFor::Current() { return current; }

bool Interrupted() { return current != nullptr && current->GaveUp(); }

Status CheckInterrupted() {
  if (Interrupted()) return InterruptedError();
  return {};
}

Status CheckInterruptedNow() {
  if (current != nullptr && current->GaveUpByNow()) return InterruptedError();
  return {};
}

Error InterruptedError() { return Error(ErrorCode::kInterrupted, "whoever asked for it is gone"); }

Error BusyOrInterrupted(const std::string& message) {
  return Interrupted() ? InterruptedError() : Error(ErrorCode::kBusy, message);
}

void CarryThrough() {
  if (current != nullptr) current->CarryThrough();
}

void SleepFor(std::chrono::milliseconds time) {
  const auto end = steady_clock::now() + time;
  for (auto now = steady_clock::now(); now < end && !Interrupted(); now = steady_clock::now()) {
    const steady_clock::duration left = end - now, look = kLookAfterCallerEvery;
    std::this_thread::sleep_for(current == nullptr ? left : std::min(left, look));
  }
}

Result<std::unique_lock<std::timed_mutex>> LockInterruptibly(std::timed_mutex& mutex) {
  std::unique_lock lock(mutex, std::defer_lock);
  if (current == nullptr) {
    lock.lock();
    return lock;
  }
  for (auto pause = kFirstLookAfter; !lock.try_lock_for(pause); pause = kLookAfterCallerEvery) {
    STAGEFS_RETURN_IF_ERROR(CheckInterruptedNow());
  }
  return lock;
}

}  // namespace stagefs
