// A thread that stages what must wait for nobody: manifests that were renamed into place, and files that were closed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace stagefs {

class StagingWorker {
 public:
  // `stage_queued` stages all that is queued. It is called from one thread: at the start, for what a crash kept
  // waiting, after each Wake(), and `again_after` it said false: something could not be staged and waits.
  explicit StagingWorker(std::function<bool()> stage_queued,
                         std::chrono::milliseconds again_after = std::chrono::seconds(1));
  // What is being staged is finished first.
  ~StagingWorker();

  // Something may be queued. Never blocks on the staging.
  void Wake();
  // Nothing is begun any more.
  void Stop();

 private:
  void Run();

  const std::function<bool()> stage_queued_;
  const std::chrono::milliseconds again_after_;
  // Guarded by mutex_, which is not held while anything is staged.
  std::mutex mutex_;
  std::condition_variable wake_;
  bool queued_ = true;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace stagefs
