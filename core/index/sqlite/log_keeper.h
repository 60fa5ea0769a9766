// Keeps SQLite's log short, on a thread of its own, so that no writer waits while it is copied into the database.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "sqlite.h"
#include "writer_turn.h"

namespace stagefs {

// Safe for concurrent use.
class LogKeeper {
 public:
  // Of the database at `path`. `turn`: waits for a turn of this process's, for a moment.
  LogKeeper(std::string path, std::function<WriterTurn()> turn) : path_(std::move(path)), turn_(std::move(turn)) {}
  // What was begun is finished first.
  ~LogKeeper();

  // After a commit that left `pages` in the log.
  void Note(int pages) {
    if (pages >= begin_at_) Begin();
  }

 private:
  void Begin();
  void Run();

  const std::string path_;
  const std::function<WriterTurn()> turn_;
  std::atomic<int> begin_at_ = kLogPagesMax;
  static constexpr int kLogPagesMax = 16'384;  // 64 MiB.
  std::atomic<bool> running_ = false;
  std::mutex mutex_;    // Guards thread_.
  std::thread thread_;  // Of the newest time.
};

}  // namespace stagefs
