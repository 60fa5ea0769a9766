// The log of a process that nobody sits in front of: what went wrong that a program is told only by a number, or that
// nobody is told at all.
//
// A line each, on stderr until LogTo():
//
//   2026-11-27T09:30:12.123Z error: read train/cat.jpg: Input/output error: its version is damaged
//
// Where stderr is the journal's (JOURNAL_STREAM of systemd.exec(5)) a line has journald's priority (sd-daemon(3))
// instead of time and level, on a terminal neither. A message that comes again within kLogRepeatSeconds is counted, and
// said with its number when it comes after that.
#pragma once

#include <cstddef>
#include <string>

#include "stagefs/result.h"

namespace stagefs {

// Debug lines are for who asked for them, and are all written.
enum class LogLevel { kDebug, kInfo, kWarning, kError };

constexpr size_t kLogBytesMax = 4 << 20;
constexpr int kLogRepeatSeconds = 60;

// Any thread. What in `message` would control a terminal, or begin a line, is shown as '?'.
void Log(LogLevel level, const std::string& message);
// Goes on in the file `path`, mode 0600. Where that has kLogBytesMax it becomes PATH with `.1` before its extension, of
// which one is kept.
Status LogTo(const std::string& path);

}  // namespace stagefs
