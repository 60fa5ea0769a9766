// Whether a program is about to end, whatever it is answered.
#pragma once

#include <sys/types.h>

#include <atomic>

namespace stagefs {

// kUnknown: it is of another PID namespace, /proc does not show it, or it was gone before the first look.
enum class Life { kGoesOn, kEnds, kUnknown };

// The kernel tells a file system of every signal alike, also of one that a program handles and goes on after, and to
// which EINTR of a file would be an error. So this looks at who asked: it ends if it was killed, if a signal waits for
// it that it neither catches, ignores nor blocks, or if its whole process is gone. A thread that is gone may have asked
// for what another one waits for. Safe for concurrent use.
class CallerLife {
 public:
  // `thread`: as FUSE names who asked; 0: it is not in this PID namespace.
  explicit CallerLife(pid_t thread) : thread_(thread) {}
  // Reads a few files of /proc.
  Life Look();

 private:
  const pid_t thread_;
  std::atomic<pid_t> process_ = 0;  // Of the thread, once it was seen.
};

}  // namespace stagefs
