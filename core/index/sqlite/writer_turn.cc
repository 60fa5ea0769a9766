#include "writer_turn.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "stagefs/interruption.h"

namespace stagefs {
namespace {

constexpr auto kFairAfter = std::chrono::milliseconds(1);
// A process that is next takes its turn within a millisecond, unless it was stopped: then it is passed over.
constexpr auto kStoppedAfter = std::chrono::seconds(1);
constexpr auto kPauseMin = std::chrono::microseconds(50);
constexpr auto kPauseMax = std::chrono::milliseconds(1);
constexpr off_t kNext = 0, kTurn = 1;

}  // namespace

bool FairMutex::IsDue() const {
  return !waiting_.empty() && TurnClock::now() - waiting_.front()->since >= kFairAfter;
}

void FairMutex::lock() {
  const WorkingFor nobody(nullptr);
  (void)try_lock_until(TurnClock::time_point::max());
}

bool FairMutex::try_lock() {
  const std::lock_guard lock(mutex_);
  if (held_ || !waiting_.empty()) return false;
  held_ = true;
  return true;
}

bool FairMutex::try_lock_until(TurnClock::time_point deadline) {
  std::unique_lock lock(mutex_);
  if (!held_ && !IsDue()) {
    held_ = true;
    return true;
  }
  Waiter self;
  self.since = TurnClock::now();
  const auto place = waiting_.insert(waiting_.end(), &self);
  const auto mine = [&] { return self.has_turn || (!held_ && waiting_.front() == &self); };
  const bool in_time = WaitUntil(self.wake, lock, deadline, mine);
  if (self.has_turn) return true;
  waiting_.erase(place);
  if (in_time) held_ = true;
  return in_time;
}

void FairMutex::unlock() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  if (waiting_.empty()) return;
  Waiter* const first = waiting_.front();
  if (IsDue()) {
    held_ = first->has_turn = true;
    waiting_.pop_front();
  }
  first->wake.notify_one();
}

TurnFile::TurnFile(const std::string& path) {
  if (auto fd = OpenFd(path, O_RDWR | O_CREAT)) fd_ = std::move(*fd);
}

// Locks that cannot be had at all are as good as had.
bool TurnFile::Try(off_t first, off_t count) {
  return Set(F_WRLCK, first, count) || (errno != EAGAIN && errno != EACCES && errno != EINTR);
}

void TurnFile::Free(off_t first, off_t count) { (void)Set(F_UNLCK, first, count); }

bool TurnFile::Set(short type, off_t first, off_t count) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = first;
  lock.l_len = count;
  return fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0;
}

bool TurnFile::Lock(TurnClock::time_point deadline) {
  if (!fd_.valid()) return true;
  bool next = false;
  if (Try(kNext, 2)) {
    Free(kNext, 1);
    return true;
  }
  const auto began = TurnClock::now();
  auto pause = std::chrono::duration_cast<std::chrono::nanoseconds>(kPauseMin);
  for (;;) {
    std::this_thread::sleep_for(pause);
    pause = std::min<std::chrono::nanoseconds>(2 * pause, kPauseMax);
    const auto now = TurnClock::now();
    if (!next && now - began >= kFairAfter) next = Try(kNext, 1);
    if (next || now - began >= kStoppedAfter ? Try(kTurn, 1) : Try(kNext, 2)) {
      Free(kNext, 1);
      return true;
    }
    if (now < deadline && !Interrupted()) continue;
    Free(kNext, 1);
    return false;
  }
}

void TurnFile::Unlock() {
  if (fd_.valid()) Free(kNext, 2);
}

WriterTurn::WriterTurn(FairMutex& here, TurnFile& everywhere, TurnClock::time_point deadline)
    : here_(here, deadline) {
  if (here_ && everywhere.Lock(deadline)) everywhere_ = &everywhere;
}

void WriterTurn::End() {
  if (everywhere_ != nullptr) std::exchange(everywhere_, nullptr)->Unlock();
  if (here_) here_.unlock();
}

}  // namespace stagefs
