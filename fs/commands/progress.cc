#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace stagefs {
namespace {

constexpr auto kQuiet = std::chrono::seconds(1);
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr auto kLogInterval = std::chrono::minutes(1);

std::string Duration(int64_t seconds) {
  const auto two_digits = [](int64_t number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  if (seconds < 3600) return std::to_string(seconds / 60) + ':' + two_digits(seconds % 60);
  return std::to_string(seconds / 3600) + " h " + two_digits(seconds % 3600 / 60) + " min";
}

}  // namespace

std::string ProgressText(const std::string& what, const std::string& unit, int64_t done, int64_t total,
                         std::chrono::milliseconds spent) {
  std::string text = what + ": " + std::to_string(done);
  if (total > 0) text += " of " + std::to_string(total);
  text += ' ' + unit;
  const int64_t spent_ms = std::max<int64_t>(spent.count(), 1);
  if (done <= 0) return text;
  const double a_second = static_cast<double>(done) * 1000 / static_cast<double>(spent_ms);
  char rate[64];
  std::snprintf(rate, sizeof rate, a_second < 10 ? ", %.1f a second" : ", %.0f a second", a_second);
  text += rate;
  const auto left_s = static_cast<int64_t>(static_cast<double>(total - done) / a_second);
  if (total > done) text += ", " + Duration(left_s) + " left";
  return text;
}

Progress::Progress(std::string what, std::string unit)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      shown_(start_) {}

Progress::~Progress() {
  if (visible_) std::fputs("\r\033[K", stderr);
}

void Progress::Show(int64_t done, int64_t total) {
  const auto now = std::chrono::steady_clock::now();
  const auto interval = !terminal_ ? std::chrono::milliseconds(kLogInterval)
                        : visible_ ? kInterval
                                   : std::chrono::milliseconds(kQuiet);
  if (now - shown_ < interval) return;
  shown_ = now;
  visible_ = terminal_;
  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(now - start_);
  std::fprintf(stderr, terminal_ ? "\r%s\033[K" : "stagefs: %s\n",
               ProgressText(what_, unit_, done, total, spent).c_str());
}

Waiting::Waiting(std::string what, std::string unit)
    : what_(std::move(what)), unit_(std::move(unit)), thread_([this] { Run(); }) {}

Waiting::~Waiting() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

// Once all that was expected is done the rest says nothing, such as a sync.
std::string Waiting::Text(std::chrono::seconds spent) const {
  const int64_t done = progress_.done, expected = progress_.expected;
  if (done < expected) return ProgressText(what_, unit_, done, expected, spent);
  return what_ + ": " + Duration(spent.count()) + " so far";
}

void Waiting::Run() {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  bool visible = false;
  std::unique_lock lock(mutex_);
  for (int64_t seconds = 1; !wake_.wait_for(lock, kQuiet, [this] { return stop_; }); ++seconds) {
    if (!terminal && seconds % 60 != 0) continue;
    visible = terminal;
    std::fprintf(stderr, terminal ? "\r%s\033[K" : "stagefs: %s\n", Text(std::chrono::seconds(seconds)).c_str());
  }
  if (visible) std::fputs("\r\033[K", stderr);
}

}  // namespace stagefs
