#include "stagefs/daemon_log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "stagefs/guarded.h"
#include "stagefs/text.h"

namespace stagefs {
namespace {

constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%eZ %l: %v";
constexpr size_t kMessagesMax = 1'000;

using Clock = std::chrono::steady_clock;

// By sd-daemon(3); SD_DEBUG, SD_INFO, SD_WARNING, SD_ERR.
const char* PriorityOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "<7>";
    case LogLevel::kInfo: return "<6>";
    case LogLevel::kWarning: return "<4>";
    case LogLevel::kError: return "<3>";
  }
  return "<3>";
}

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

// JOURNAL_STREAM is DEVICE:INODE of the journal's end, which a child may have replaced.
bool StderrIsTheJournal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat st;
  return stream != nullptr && fstat(STDERR_FILENO, &st) == 0 &&
         stream == std::to_string(st.st_dev) + ':' + std::to_string(st.st_ino);
}

// How often each message came since it was last written.
class Repeats {
 public:
  // nullopt: not now. Otherwise how many were left out.
  std::optional<int64_t> Count(const std::string& message) {
    const auto now = Clock::now();
    if (seen_.size() >= kMessagesMax) {
      std::erase_if(seen_, [&](const auto& one) { return now - one.second.written >= kRepeat; });
      if (seen_.size() >= kMessagesMax) seen_.clear();
    }
    const auto [at, first] = seen_.try_emplace(message, Seen{now, 0});
    if (first) return 0;
    if (now - at->second.written < kRepeat) {
      ++at->second.left_out;
      return std::nullopt;
    }
    at->second.written = now;
    return std::exchange(at->second.left_out, 0);
  }

 private:
  static constexpr std::chrono::seconds kRepeat{kLogRepeatSeconds};
  struct Seen {
    Clock::time_point written;
    int64_t left_out;
  };
  std::map<std::string, Seen> seen_;
};

struct State {
  State() {
    to_journal = StderrIsTheJournal();
    const char* pattern = to_journal ? "%v" : isatty(STDERR_FILENO) != 0 ? "stagefs: %v" : kPattern;
    Take(std::make_shared<spdlog::sinks::stderr_sink_st>(), pattern);
  }

  void Take(spdlog::sink_ptr sink, const char* pattern) {
    logger = std::make_unique<spdlog::logger>("stagefs", std::move(sink));
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
    logger->set_level(spdlog::level::debug);
    logger->flush_on(spdlog::level::debug);
    logger->set_error_handler([](const std::string&) {});  // Where its disk is full nobody can be told.
  }

  bool to_journal = false;
  std::unique_ptr<spdlog::logger> logger;
  Repeats repeats;
};

// Never destroyed: threads may log while the process ends.
Guarded<State>& Shared() {
  static auto& state = *new Guarded<State>;
  return state;
}

}  // namespace

void Log(LogLevel level, const std::string& message) {
  auto state = Shared().Lock();
  const auto left_out = level == LogLevel::kDebug ? std::optional<int64_t>(0) : state->repeats.Count(message);
  if (!left_out) return;
  std::string line = ToDisplayUtf8(message);
  std::replace_if(line.begin(), line.end(), [](unsigned char byte) { return byte < ' ' || byte == 0x7f; }, '?');
  if (*left_out > 0) line += " (and " + std::to_string(*left_out) + " times before)";
  state->logger->log(LevelOf(level), state->to_journal ? PriorityOf(level) + line : line);
}

Status LogTo(const std::string& path) {
  const mode_t before = umask(0077);
  Status opened;
  try {
    auto state = Shared().Lock();
    state->Take(std::make_shared<spdlog::sinks::rotating_file_sink_st>(path, kLogBytesMax, 1), kPattern);
    state->to_journal = false;
  } catch (const spdlog::spdlog_ex& trouble) {
    opened = Error(ErrorCode::kIo, trouble.what());
  }
  umask(before);
  return opened;
}

}  // namespace stagefs
