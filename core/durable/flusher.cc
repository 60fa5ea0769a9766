#include "flusher.h"

#include <chrono>

#include "reserve.h"

namespace stagefs {
namespace {

// This long it waits for more before it syncs; the promise is one second.
constexpr auto kFlushDelay = std::chrono::milliseconds(200);

}  // namespace

Flusher::~Flusher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Flusher::Wake() {
  {
    const std::lock_guard lock(mutex_);
    if (work_) return;
    work_ = true;
  }
  wake_.notify_all();
}

void Flusher::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return work_ || stop_; });
    if (!work_) return;
    wake_.wait_for(lock, kFlushDelay, [this] { return stop_; });
    work_ = false;
    const bool last = stop_;  // Marks that cannot be set now are left to the next process.
    lock.unlock();
    const Status renewed = repository_.RenewFound();
    const Status synced = repository_.SyncAll();
    const Status& status = renewed ? synced : renewed;
    if (last) return;
    MakeReserve(repository_.folder());
    lock.lock();
    if (repository_.MarksWait()) work_ = true;
    if (!status && !stop_) {
      // A disk that cannot sync is tried again; the entries stay marked as not synced.
      work_ = true;
      wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stop_; });
    }
  }
}

}  // namespace stagefs
