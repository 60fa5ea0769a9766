// How far long work is, for whoever watches from outside: the work says what it expects and what it did, whoever began
// it says who watches. Work that nobody watches pays nothing for it.
#pragma once

#include <atomic>
#include <cstdint>

namespace stagefs {

// In steps of whatever is counted. Read from any thread.
struct WorkProgress {
  std::atomic<int64_t> done = 0, expected = 0;
};

// What this thread does while this lives is counted in `progress`. The innermost one counts.
class Watching {
 public:
  explicit Watching(WorkProgress* progress);
  ~Watching();
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

 private:
  WorkProgress* const before_;
};

// Of this thread's work: `steps` more are to come, or are done.
void ExpectSteps(int64_t steps);
void NoteSteps(int64_t steps);

}  // namespace stagefs
