#include "progress.h"

#include <unistd.h>

#include <cstdio>

namespace stagefs {
namespace {

constexpr auto kQuiet = std::chrono::seconds(1);
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr int kBarWidth = 30;

}  // namespace

Progress::Progress(std::string what, std::string unit)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (visible_) std::fputs("\r\033[K", stderr);
}

void Progress::Show(int64_t done, int64_t total) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || now - start_ < kQuiet || now - shown_ < kInterval) return;
  shown_ = now;
  visible_ = true;
  if (total > 0) {
    const int filled = static_cast<int>(kBarWidth * done / total);
    std::fprintf(stderr, "\r%s [%.*s%*s] %lld of %lld %s\033[K", what_.c_str(), filled,
                 "##############################", kBarWidth - filled, "", static_cast<long long>(done),
                 static_cast<long long>(total), unit_.c_str());
  } else {
    std::fprintf(stderr, "\r%s: %lld %s\033[K", what_.c_str(), static_cast<long long>(done), unit_.c_str());
  }
}

}  // namespace stagefs
