// One reader or transaction of an index at a time on a thread.
#pragma once

#include <atomic>
#include <memory>
#include <set>

#include "stagefs/guarded.h"

namespace stagefs {

// Whoever takes a second one while it holds the first may wait for others who do the same, and all of them in vain: an
// index that is far away has so many connections and no more. Every reader and transaction has one of these. It may be
// given to another thread; it counts for the one that took it.
class HeldReader {
 public:
  explicit HeldReader(const void* index);
  ~HeldReader();
  HeldReader(HeldReader&&) = default;
  HeldReader& operator=(HeldReader&&) = delete;

  // While it lives its thread may take a second one: of an index that is far away only if that is not waited for, else
  // kBusy says that there is none to spare.
  class Beside {
   public:
    Beside() { ++beside_; }
    ~Beside() { --beside_; }
    Beside(const Beside&) = delete;
    Beside& operator=(const Beside&) = delete;
  };
  static bool IsBeside() { return beside_ > 0; }

  // Called where a thread takes a second one. Ends the process where assertions do; else null, and nobody counts.
  static std::atomic<void (*)()> on_second;

 private:
  static thread_local int beside_;
  using Held = Guarded<std::multiset<const void*>>;
  std::shared_ptr<Held> of_thread_;
  const void* index_ = nullptr;
};

}  // namespace stagefs
