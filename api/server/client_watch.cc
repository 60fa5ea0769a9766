#include "client_watch.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace stagefs {
namespace {

using Clock = std::chrono::steady_clock;

// What the client sent, and what it took of what was sent to it.
uint64_t BytesMoved(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_bytes_received + info.tcpi_bytes_acked;
}

}  // namespace

ClientWatch::ClientWatch(std::chrono::milliseconds window, uint64_t bytes_per_second_min, size_t strangers_max)
    : window_(window),
      bytes_min_(bytes_per_second_min * static_cast<uint64_t>(window.count()) / 1000),
      strangers_max_(strangers_max),
      thread_([this] { Run(); }) {}

ClientWatch::~ClientWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

ClientWatch::Handle ClientWatch::Add(int fd) {
  const std::lock_guard lock(mutex_);
  if (strangers_ == strangers_max_) CutOldestStranger();
  ++strangers_;
  Client client;
  client.fd = fd;
  client.bytes_before = BytesMoved(fd);
  client.since = Clock::now();
  return clients_.insert(clients_.end(), client);
}

void ClientWatch::CutOldestStranger() {
  const auto oldest =
      std::find_if(clients_.begin(), clients_.end(), [](const Client& client) { return client.stranger; });
  oldest->stranger = false;  // It counts no longer: its own thread notices, and closes it.
  --strangers_;
  shutdown(oldest->fd, SHUT_RDWR);
}

void ClientWatch::Know(Handle client) {
  const std::lock_guard lock(mutex_);
  strangers_ -= std::exchange(client->stranger, false) ? 1 : 0;
}

void ClientWatch::Remove(Handle client) {
  const std::lock_guard lock(mutex_);
  strangers_ -= client->stranger ? 1 : 0;
  clients_.erase(client);
}

void ClientWatch::Restart(Handle client, bool answering) {
  const std::lock_guard lock(mutex_);
  client->answering = answering;
  client->bytes_before = BytesMoved(client->fd);
  client->since = Clock::now();
}

void ClientWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const Clock::time_point now = Clock::now();
    for (Client& client : clients_) {
      if (client.answering || now - client.since < window_) continue;
      const uint64_t bytes = BytesMoved(client.fd);
      // Its own thread notices, and closes it.
      if (bytes - client.bytes_before < bytes_min_) shutdown(client.fd, SHUT_RDWR);
      client.bytes_before = bytes;
      client.since = now;
    }
    wake_.wait_for(lock, window_ / 4, [this] { return stop_; });
  }
}

}  // namespace stagefs
