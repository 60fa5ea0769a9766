// Cuts connections whose clients send and take next to nothing, or never show who they are, so that these cannot hold
// all there are.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

namespace stagefs {

// Safe for concurrent use.
class ClientWatch {
 public:
  struct Client {
    int fd = -1;
    bool answering = false;  // Then it is the server that takes its time.
    bool stranger = true;    // No request of its was let in: it showed no good token, where one is asked for.
    uint64_t bytes_before = 0;
    std::chrono::steady_clock::time_point since;
  };
  using Handle = std::list<Client>::iterator;

  // In each `window` a client must complete a request, or bytes both ways must come to `bytes_per_second_min`.
  // Strangers have `strangers_max` connections among them: of more, the one that came first is cut, which had the
  // longest to say who it is. REQUIRES: strangers_max > 0.
  ClientWatch(std::chrono::milliseconds window, uint64_t bytes_per_second_min, size_t strangers_max);
  ~ClientWatch();

  Handle Add(int fd);
  // From now on it is no stranger.
  void Know(Handle client);
  // Before `fd` is closed.
  void Remove(Handle client);
  // The window begins anew; none ends while the client is being answered.
  void Restart(Handle client, bool answering);

 private:
  void Run();
  void CutOldestStranger();

  const std::chrono::milliseconds window_;
  const uint64_t bytes_min_;
  const size_t strangers_max_;
  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Client> clients_;  // In the order in which they came.
  size_t strangers_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace stagefs
