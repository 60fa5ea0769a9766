// Cuts connections whose clients send and take next to nothing, so that a few of them cannot hold all there are.
#pragma once

#include <chrono>
#include <condition_variable>
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
    uint64_t bytes_before = 0;
    std::chrono::steady_clock::time_point since;
  };
  using Handle = std::list<Client>::iterator;

  // In each `window` a client must complete a request, or bytes both ways must come to `bytes_per_second_min`.
  ClientWatch(std::chrono::milliseconds window, uint64_t bytes_per_second_min);
  ~ClientWatch();

  Handle Add(int fd);
  // Before `fd` is closed.
  void Remove(Handle client);
  // The window begins anew; none ends while the client is being answered.
  void Restart(Handle client, bool answering);

 private:
  void Run();

  const std::chrono::milliseconds window_;
  const uint64_t bytes_min_;
  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Client> clients_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace stagefs
