// Looks at stored bytes before somebody needs them.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <thread>

#include "stagefs/daemon_log.h"
#include "stagefs/posix_env.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"
#include "version_health.h"

namespace stagefs {
namespace {

constexpr size_t kAtOnce = 16;
constexpr int64_t kPassEachNs = 30LL * 86'400 * 1'000'000'000;
constexpr auto kFirstWait = std::chrono::seconds(60), kIdleWait = std::chrono::seconds(60);
constexpr auto kLeastWait = std::chrono::milliseconds(50);
constexpr uint64_t kBytesPerSecondDefault = 8 << 20;

// $STAGEFS_CHECK_BYTES a second; 0: none.
uint64_t BytesPerSecond() {
  const char* text = std::getenv("STAGEFS_CHECK_BYTES");
  return text == nullptr ? kBytesPerSecondDefault : std::strtoull(text, nullptr, 10);
}

// How far the pass is, in the file `checked`: HASH BEGUN-NS, or "- BEGUN-NS" between two passes. The file is no
// promise: without it the pass begins anew.
struct CheckProgress {
  std::string after;  // Empty: at the beginning. "-": done.
  int64_t begun_ns = 0;

  static CheckProgress Read(const std::string& path) {
    CheckProgress progress;
    const auto text = ReadWholeFile(path);
    if (text) std::istringstream(*text) >> progress.after >> progress.begun_ns;
    return progress;
  }
  void Write(const std::string& path) const {
    const auto fd = OpenFd(path + ".new", O_WRONLY | O_CREAT | O_TRUNC);
    const std::string text = after + ' ' + std::to_string(begun_ns) + '\n';
    if (fd && WriteAll(fd->get(), text.data(), text.size())) (void)RenameFile(path + ".new", path);
  }
};

}  // namespace

std::optional<uint64_t> CheckSomeVersions(Repository& repository) {
  if (repository.versions().IsElsewhere()) return std::nullopt;  // Hashed whenever it is fetched.
  const std::string path = repository.folder() + "/checked";
  const auto lock = OpenFd(path + ".lock", O_RDWR | O_CREAT);
  if (!lock || flock(lock->get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  CheckProgress progress = CheckProgress::Read(path);
  const bool again = unlink((repository.folder() + kDiskErrorFile).c_str()) == 0;
  if (progress.after == "-" && !again && std::abs(NowNs() - progress.begun_ns) < kPassEachNs) return std::nullopt;
  const auto after = HashRef::Parse("sha256:" + progress.after);
  const bool begins = again || !after || after->sha256() == nullptr;
  if (begins) progress = CheckProgress{"", NowNs()};
  const auto reader = repository.index().Read();
  const auto page = reader ? (*reader)->ListVersions(begins ? std::optional<Sha256>() : *after->sha256(), kAtOnce)
                           : reader.error();
  if (!page) return std::nullopt;
  uint64_t bytes = 0;
  for (const VersionInfo& version : *page) {
    const auto health = CheckVersion(repository.versions(), version);
    bytes += version.size_bytes;
    // What is missing may be gone because gc removed it.
    if (health && *health == Health::kDamaged) {
      Log(LogLevel::kError, repository.name().ToString() + ": version " + ToHex(version.content.sha256) +
                                " is damaged: store its content again");
    }
  }
  progress.after = page->size() < kAtOnce ? "-" : ToHex(page->back().content.sha256);
  progress.Write(path);
  return bytes;
}

struct BackgroundCheck::State {
  std::function<std::vector<std::shared_ptr<Repository>>()> opened;
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::thread thread;

  // Returns whether it is time to end.
  bool Sleep(std::chrono::nanoseconds time) {
    std::unique_lock lock(mutex);
    return wake.wait_for(lock, time, [this] { return stop; });
  }
  void Run(uint64_t bytes_per_second) {
    if (Sleep(kFirstWait)) return;
    for (;;) {
      bool idle = true;
      for (size_t i = 0;; ++i) {
        std::optional<uint64_t> bytes;
        {
          // Held for a few versions only: who deletes a repository waits for its handles.
          const auto repositories = opened();
          if (i >= repositories.size()) break;
          bytes = CheckSomeVersions(*repositories[i]);
        }
        if (!bytes) continue;
        idle = false;
        const std::chrono::duration<double> pause(static_cast<double>(*bytes) / static_cast<double>(bytes_per_second));
        if (Sleep(std::max<std::chrono::nanoseconds>(std::chrono::duration_cast<std::chrono::nanoseconds>(pause),
                                                     kLeastWait))) {
          return;
        }
      }
      if (idle && Sleep(kIdleWait)) return;
    }
  }
};

BackgroundCheck::BackgroundCheck(std::function<std::vector<std::shared_ptr<Repository>>()> opened)
    : state_(std::make_unique<State>()) {
  state_->opened = std::move(opened);
  if (const uint64_t rate = BytesPerSecond(); rate > 0) {
    state_->thread = std::thread([state = state_.get(), rate] { state->Run(rate); });
  }
}

BackgroundCheck::~BackgroundCheck() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace stagefs
