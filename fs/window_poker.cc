#include "window_poker.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "inotify_watches.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

// Changes that come within this time are poked together.
constexpr auto kGather = std::chrono::milliseconds(100);

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
  // Open only while we poke: it would keep the mount from being unmounted.
  const auto root = OpenFd(mountpoint_, O_RDONLY | O_DIRECTORY);
  struct stat top {};
  struct statfs kind {};
  if (!root || fstat(root->get(), &top) != 0 || fstatfs(root->get(), &kind) != 0) return;
  // Unmounted meanwhile: what lies below is not ours.
  if (top.st_ino != kRootNode || kind.f_type != FUSE_SUPER_MAGIC) return;
  const std::set<uint64_t> watched = WatchedInodes(top.st_dev);
  if (watched.empty()) return;
  for (const auto& [folder, names] : folders) {
    const auto id = fs_.NodeOf(folder);
    if (id && watched.contains(*id)) PokeFolder(root->get(), folder, names);
  }
}

void WindowPoker::PokeFolder(int root, FolderId folder, const Names& names) {
  const auto path = fs_.workspace().PathOf(folder);
  if (!path) return;
  const UniqueFd at(openat(root, path->empty() ? "." : path->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return;
  const auto touch = [&](const std::string& name) {
    const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};  // One alone is no event of attributes.
    (void)utimensat(at.get(), name.c_str(), now, AT_SYMLINK_NOFOLLOW);
  };
  for (const std::string& name : names.gone) {
    if (stop_) return;
    if (mknodat(at.get(), name.c_str(), S_IFREG | 0600, 0) == 0) {
      (void)unlinkat(at.get(), name.c_str(), 0);
    } else {
      touch(name);  // It is there again.
    }
  }
  for (const std::string& name : names.changed) {
    if (stop_) return;
    touch(name);
  }
  const auto unseen = fs_.Unseen(folder, kPokesMax);
  if (!unseen) return;
  for (const auto& [name, entry] : *unseen) {
    if (stop_) return;
    pretends_absent_ = true;
    const bool folder_made = entry.kind == EntryKind::kFolder && mkdirat(at.get(), name.c_str(), 0700) == 0;
    const bool file_made =
        entry.kind == EntryKind::kFile && mknodat(at.get(), name.c_str(), S_IFREG | 0600, 0) == 0;
    pretends_absent_ = false;
    if (!folder_made && !file_made) touch(name);  // Somebody looked it up meanwhile.
  }
}

}  // namespace stagefs
