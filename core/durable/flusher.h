// Makes acknowledged work survive power loss within a second.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "stagefs/repository.h"

namespace stagefs {

// One thread that does. Outlived by the repository.
class Flusher {
 public:
  explicit Flusher(Repository& repository) : repository_(repository), thread_([this] { Run(); }) {}
  // Syncs what waits, then ends the thread.
  ~Flusher();
  Flusher(const Flusher&) = delete;
  Flusher& operator=(const Flusher&) = delete;

  void Wake();

 private:
  void Run();

  Repository& repository_;
  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable wake_;
  bool work_ = true;  // At the start: what an earlier process left to sync.
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace stagefs
