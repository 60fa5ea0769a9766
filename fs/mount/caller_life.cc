#include "caller_life.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

// Those whose default is not to end the program.
constexpr uint64_t kHarmless = Bit(SIGCHLD) | Bit(SIGCONT) | Bit(SIGURG) | Bit(SIGWINCH) | Bit(SIGSTOP) |
                               Bit(SIGTSTP) | Bit(SIGTTIN) | Bit(SIGTTOU);
constexpr unsigned long kExitingFlag = 4;  // PF_EXITING of linux/sched.h.
constexpr int kSignalOfExitCode = 0x7f;

bool ProcIsOurs() {
  static const bool ours = [] {
    char self[32] = "";
    return readlink("/proc/self", self, sizeof self - 1) > 0 && self == std::to_string(getpid());
  }();
  return ours;
}

std::optional<std::string> ReadOf(pid_t id, const char* file) {
  if (!ProcIsOurs()) return std::nullopt;
  auto text = ReadWholeFile("/proc/" + std::to_string(id) + '/' + file);
  return text && !text->empty() ? std::optional(std::move(*text)) : std::nullopt;
}

bool IsGone(pid_t id) { return kill(id, 0) != 0 && errno == ESRCH; }

// A line of /proc/PID/status: "SigPnd:\t0000000000000100", "Tgid:\t71".
uint64_t NumberIn(const std::string& status, const std::string& line, int base) {
  const size_t at = status.find('\n' + line + ':');
  return at == std::string::npos ? 0 : std::strtoull(status.c_str() + at + line.size() + 2, nullptr, base);
}

bool IsDead(const std::string& status) {
  return status.find("\nState:\tZ") != std::string::npos || status.find("\nState:\tX") != std::string::npos;
}

bool SignalWaits(const std::string& status) {
  const auto signals = [&](const char* line) { return NumberIn(status, line, 16); };
  const uint64_t survived = signals("SigBlk") | signals("SigIgn") | signals("SigCgt");
  return ((signals("SigPnd") | signals("ShdPnd")) & ~survived & ~kHarmless) != 0;
}

// A killed program that closes what it had open has no signal left: what it ends with is in /proc/PID/stat, fields 9
// (flags) and 52 (exit_code) of proc(5).
bool WasKilled(pid_t id) {
  const auto stat = ReadOf(id, "stat");
  const size_t command_end = stat ? stat->rfind(')') : std::string::npos;
  if (command_end == std::string::npos) return false;
  std::istringstream fields(stat->substr(command_end + 1));
  std::string field;
  unsigned long flags = 0;
  for (int number = 3; number <= 52 && fields >> field; ++number) {
    if (number == 9) flags = std::strtoul(field.c_str(), nullptr, 10);
  }
  return (flags & kExitingFlag) != 0 && (std::atoi(field.c_str()) & kSignalOfExitCode) != 0;
}

// Of a process one of whose threads is gone.
Life LifeOfProcess(pid_t process) {
  const auto status = ReadOf(process, "status");
  if (!status) return IsGone(process) ? Life::kEnds : Life::kUnknown;
  // Its first thread may be dead while others go on.
  const bool alone = NumberIn(*status, "Threads", 10) <= 1;
  return (IsDead(*status) && alone) || SignalWaits(*status) ? Life::kEnds : Life::kGoesOn;
}

}  // namespace

Life CallerLife::Look() {
  if (thread_ <= 0) return Life::kUnknown;
  const auto status = ReadOf(thread_, "status");
  if (status) process_ = static_cast<pid_t>(NumberIn(*status, "Tgid", 10));
  if (status && !IsDead(*status)) {
    return SignalWaits(*status) || WasKilled(thread_) ? Life::kEnds : Life::kGoesOn;
  }
  if (process_ != 0) return LifeOfProcess(process_);
  return Life::kUnknown;
}

}  // namespace stagefs
