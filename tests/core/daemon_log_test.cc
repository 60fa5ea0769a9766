#include "stagefs/daemon_log.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

// What a process of its own logs to a file: a process has one log.
std::string LoggedBy(const std::string& path, const std::function<void()>& logs) {
  InKilledProcess([&] {
    Ok(LogTo(path));
    logs();
  });
  return ReadFile(path);
}

TEST_CASE("Log: a line has its time, its level and nothing that controls a terminal", "[core]") {
  const TempFolder folder;
  const std::string path = folder / "mount.log";
  const std::string log = LoggedBy(path, [] { Log(LogLevel::kError, "read a\n\033[31mb\xff: trouble"); });
  CHECK(log.find("Z error: read a??[31mb\uFFFD: trouble\n") == std::string("2026-11-27T09:30:12.123").size());
  struct stat st;
  REQUIRE(stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
}

TEST_CASE("Log: what comes again is counted, not written", "[core]") {
  const TempFolder folder;
  const std::string log = LoggedBy(folder / "mount.log", [] {
    for (int i = 0; i < 1'000; ++i) Log(LogLevel::kError, "the same");
    Log(LogLevel::kWarning, "another");
  });
  CHECK(std::count(log.begin(), log.end(), '\n') == 2);
}

TEST_CASE("Log: it takes twice kLogBytesMax at most", "[core]") {
  const TempFolder folder;
  const std::string path = folder / "mount.log";
  const std::string log = LoggedBy(path, [] {
    const std::string much(64 << 10, 'x');
    for (size_t i = 0; i < 3 * kLogBytesMax / much.size(); ++i) Log(LogLevel::kError, much + std::to_string(i));
  });
  CHECK(log.size() <= kLogBytesMax);
  CHECK(std::filesystem::file_size(folder / "mount.1.log") <= kLogBytesMax);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
}

TEST_CASE("Log: where it cannot be opened that is said", "[core]") {
  CHECK(LogTo("/proc/none/mount.log").error().code() == ErrorCode::kIo);
}

}  // namespace
}  // namespace stagefs::test
