#include "window_poker.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>

#include "inotify_watches.h"
#include "mountpoint.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

// Changes that come within this time are poked together.
constexpr auto kGather = std::chrono::milliseconds(100);
// So many names, then out of the mount for a while.
constexpr size_t kBatch = 50;
constexpr auto kPause = std::chrono::milliseconds(20);

}  // namespace

WindowPoker::WindowPoker(StageFs& fs, std::string mountpoint)
    : fs_(fs), mountpoint_(std::move(mountpoint)), thread_([this] { Run(); }) {}

WindowPoker::~WindowPoker() {
  Stop();
  thread_.join();
}

void WindowPoker::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
}

void WindowPoker::Add(std::vector<StageFs::ChangedFolder> changed) {
  if (changed.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (StageFs::ChangedFolder& folder : changed) {
      Names& names = waiting_[folder.folder];
      for (auto& name : folder.gone) {
        if (names.gone.size() < kPokesMax) names.gone.insert(std::move(name));
      }
      for (auto& name : folder.changed) {
        if (names.changed.size() < kPokesMax) names.changed.insert(std::move(name));
      }
    }
  }
  wake_.notify_all();
}

void WindowPoker::Run() {
  thread_id_ = gettid();
  std::unique_lock lock(mutex_);
  while (!stop_) {
    wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    wake_.wait_for(lock, kGather, [this] { return stop_.load(); });
    if (stop_) return;
    std::map<FolderId, Names> folders = std::exchange(waiting_, {});
    lock.unlock();
    Poke(std::move(folders));
    lock.lock();
  }
}

void WindowPoker::Poke(std::map<FolderId, Names> folders) {
  const auto device = DeviceOfMount(mountpoint_);
  if (!device) return;
  const std::set<uint64_t> watched = WatchedInodes(*device);
  for (const auto& [folder, names] : folders) {
    const auto id = fs_.NodeOf(folder);
    if (id && watched.contains(*id)) PokeFolder(folder, names);
  }
}

// std::nullopt once it is unmounted: what lies below is not ours.
std::optional<UniqueFd> WindowPoker::OpenRoot() {
  auto root = OpenFd(mountpoint_, O_RDONLY | O_DIRECTORY);
  struct stat top {};
  struct statfs kind {};
  if (!root || fstat(root->get(), &top) != 0 || fstatfs(root->get(), &kind) != 0) return std::nullopt;
  if (top.st_ino != kRootNode || kind.f_type != FUSE_SUPER_MAGIC) return std::nullopt;
  return std::move(*root);
}

void WindowPoker::PokeFolder(FolderId folder, const Names& names) {
  std::vector<std::pair<std::string, PokeKind>> pokes;
  for (const std::string& name : names.gone) pokes.emplace_back(name, PokeKind::kGone);
  for (const std::string& name : names.changed) pokes.emplace_back(name, PokeKind::kChanged);
  if (const auto unseen = fs_.Unseen(folder, kPokesMax)) {
    for (const auto& [name, entry] : *unseen) {
      pokes.emplace_back(name, entry.kind == EntryKind::kFolder ? PokeKind::kNewFolder : PokeKind::kNewFile);
    }
  }
  for (size_t begin = 0; begin < pokes.size(); begin += kBatch) {
    if (begin > 0) std::this_thread::sleep_for(kPause);
    // Open for a moment only: it would keep the mount from being unmounted.
    const auto root = OpenRoot();
    const auto path = fs_.workspace().PathOf(folder);
    if (!root || !path) return;
    const UniqueFd at(
        openat(root->get(), path->empty() ? "." : path->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (size_t i = begin; at.valid() && i < std::min(begin + kBatch, pokes.size()); ++i) {
      if (stop_) return;
      PokeName(at.get(), pokes[i].first, pokes[i].second);
    }
  }
}

void WindowPoker::PokeName(int folder, const std::string& name, PokeKind kind) {
  bool done = false;
  pretends_absent_ = kind == PokeKind::kNewFile || kind == PokeKind::kNewFolder;
  switch (kind) {
    case PokeKind::kGone:
      done = mknodat(folder, name.c_str(), S_IFREG | 0600, 0) == 0;
      if (done) (void)unlinkat(folder, name.c_str(), 0);
      break;
    case PokeKind::kNewFile: done = mknodat(folder, name.c_str(), S_IFREG | 0600, 0) == 0; break;
    case PokeKind::kNewFolder: done = mkdirat(folder, name.c_str(), 0700) == 0; break;
    case PokeKind::kChanged: break;
  }
  pretends_absent_ = false;
  if (done) return;
  // Changed; or somebody looked it up meanwhile, or it is there again.
  const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};  // One alone is no event of attributes.
  (void)utimensat(folder, name.c_str(), now, AT_SYMLINK_NOFOLLOW);
}

}  // namespace stagefs
