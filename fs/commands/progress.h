// How far long work is. On a terminal: a line that goes again, after the first second, with the rate and the time left.
// Elsewhere: a line a minute, for logs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "stagefs/work_progress.h"

namespace stagefs {

class Progress {
 public:
  // `what` is counted in `unit`, for example "put" and "files".
  Progress(std::string what, std::string unit);
  ~Progress();
  // `total` 0: not known. From one thread at a time.
  void Show(int64_t done, int64_t total = 0);

 private:
  const std::string what_, unit_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point shown_;
  bool visible_ = false;
};

// The same for work that one call into core does: how far it is where that says so (work_progress.h), else how long it
// has taken.
class Waiting {
 public:
  Waiting(std::string what, std::string unit);
  ~Waiting();

 private:
  void Run();
  std::string Text(std::chrono::seconds spent) const;

  const std::string what_, unit_;
  WorkProgress progress_;
  const Watching watching_{&progress_};
  std::mutex mutex_;  // Guards stop_.
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

// "put: 1200 of 5000 files, 40 a second, 1:35 left". Without a total, or before anything is done, what is not known is
// left out.
std::string ProgressText(const std::string& what, const std::string& unit, int64_t done, int64_t total,
                         std::chrono::milliseconds spent);

}  // namespace stagefs
