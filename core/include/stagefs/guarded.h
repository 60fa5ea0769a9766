// Guarded<T>: no lock, no data.
#pragma once

#include <mutex>

namespace stagefs {

template <class T>
class Guarded {
 public:
  // Holds the lock while it lives; reach the data through it.
  class Access {
   public:
    Access(std::mutex& mutex, T& value) : lock_(mutex), value_(value) {}
    T* operator->() { return &value_; }
    T& operator*() { return value_; }
    // For waiting on a condition variable while holding the data.
    std::unique_lock<std::mutex>& lock() { return lock_; }

   private:
    std::unique_lock<std::mutex> lock_;
    T& value_;
  };

  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  Access Lock() { return Access(mutex_, value_); }

 private:
  std::mutex mutex_;
  T value_{};
};

}  // namespace stagefs
