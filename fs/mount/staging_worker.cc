#include "staging_worker.h"

#include <utility>

namespace stagefs {

StagingWorker::StagingWorker(std::function<bool()> stage_queued, std::chrono::milliseconds again_after)
    : stage_queued_(std::move(stage_queued)), again_after_(again_after), thread_([this] { Run(); }) {}

StagingWorker::~StagingWorker() {
  Stop();
  thread_.join();
}

void StagingWorker::Wake() {
  std::lock_guard lock(mutex_);
  queued_ = true;
  wake_.notify_all();
}

void StagingWorker::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  wake_.notify_all();
}

void StagingWorker::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return queued_ || stopped_; });
    if (stopped_) return;
    queued_ = false;
    lock.unlock();
    const bool all = stage_queued_();
    lock.lock();
    if (all) continue;
    wake_.wait_for(lock, again_after_, [this] { return stopped_; });
    queued_ = true;
  }
}

}  // namespace stagefs
