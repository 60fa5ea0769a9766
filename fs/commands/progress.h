// A line on the terminal that says how far long work is. Silent where stderr is no terminal and for the
// first second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace stagefs {

class Progress {
 public:
  // `what` is counted in `unit`, for example "put" and "files".
  Progress(std::string what, std::string unit);
  ~Progress();
  // `total` 0: not known.
  void Show(int64_t done, int64_t total = 0);

 private:
  const std::string what_, unit_;
  const bool terminal_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point shown_;
  bool visible_ = false;
};

}  // namespace stagefs
