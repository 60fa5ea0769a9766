// Whose turn it is to write: first come, first served, among threads and among processes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <utility>

#include "stagefs/posix_env.h"

namespace stagefs {

using TurnClock = std::chrono::steady_clock;

// A mutex for std::unique_lock. Whoever asks while it is free has it at once, as that saves a switch between threads
// for each turn; but once the first of those who wait has waited for kFairAfter, it is next.
class FairMutex {
 public:
  void lock();
  // Only if nobody waits.
  bool try_lock();
  // Less long if Interrupted() (interruption.h).
  bool try_lock_until(TurnClock::time_point deadline);
  void unlock();

 private:
  struct Waiter {
    TurnClock::time_point since;
    bool has_turn = false;
    std::condition_variable wake;
  };
  bool IsDue() const;

  // Guarded by mutex_, which is held for moments.
  std::mutex mutex_;
  bool held_ = false;
  std::list<Waiter*> waiting_;
};

// The same among processes: two locks of open file descriptions, on bytes of a file that stays empty. Who waits for
// kFairAfter takes NEXT and keeps it until it has TURN; who just ended cannot take TURN again while somebody has NEXT.
// They end with their process. Nothing depends on them but fairness: SQLite's own lock decides, which older processes
// take alone, and where the file cannot be used all goes on without.
class TurnFile {
 public:
  explicit TurnFile(const std::string& path);

  bool Lock(TurnClock::time_point deadline);
  void Unlock();

 private:
  bool Try(off_t first, off_t count);
  void Free(off_t first, off_t count);
  bool Set(short type, off_t first, off_t count);

  UniqueFd fd_;
};

// A turn, held or not.
class WriterTurn {
 public:
  // Waits until `deadline`, or less long if Interrupted().
  WriterTurn(FairMutex& here, TurnFile& everywhere, TurnClock::time_point deadline);
  WriterTurn(WriterTurn&& other) noexcept
      : here_(std::move(other.here_)), everywhere_(std::exchange(other.everywhere_, nullptr)) {}
  WriterTurn& operator=(WriterTurn&&) = delete;
  ~WriterTurn() { End(); }

  bool held() const { return everywhere_ != nullptr; }
  void End();

 private:
  std::unique_lock<FairMutex> here_;
  TurnFile* everywhere_ = nullptr;
};

}  // namespace stagefs
