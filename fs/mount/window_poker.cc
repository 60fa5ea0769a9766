#include "window_poker.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <new>

#include "inotify_watches.h"
#include "mountpoint.h"

namespace stagefs {
namespace {

// Changes that come within this time are poked together.
constexpr auto kGather = std::chrono::milliseconds(100);
// So many names, then out of the mount for a while.
constexpr size_t kBatch = 50;
constexpr auto kPause = std::chrono::milliseconds(20);

void* SharedMemory(size_t size_bytes) {
  void* memory = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::terminate();  // As `new` without memory does.
  return memory;
}

}  // namespace

WindowPoker::WindowPoker(Nodes& nodes, Tree& tree, std::string mountpoint)
    : nodes_(nodes),
      tree_(tree),
      mountpoint_(std::move(mountpoint)),
      shared_(*new (SharedMemory(sizeof(Shared))) Shared),
      thread_([this] { Run(); }) {}

WindowPoker::~WindowPoker() {
  Stop();
  thread_.join();
  munmap(&shared_, sizeof(Shared));
}

void WindowPoker::Stop() {
  {
    const std::lock_guard lock(mutex_);
    shared_.stop = true;
  }
  wake_.notify_all();
}

void WindowPoker::Add(std::vector<ChangedFolder> changed) {
  if (changed.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    for (ChangedFolder& folder : changed) {
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
  std::unique_lock lock(mutex_);
  while (!shared_.stop) {
    wake_.wait(lock, [this] { return shared_.stop || !waiting_.empty(); });
    wake_.wait_for(lock, kGather, [this] { return shared_.stop.load(); });
    if (shared_.stop) return;
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
    if (watched.contains(nodes_.NumberOf(folder))) PokeFolder(folder, names);
  }
}

void WindowPoker::PokeFolder(FolderId folder, const Names& names) {
  std::vector<NamePoke> pokes;
  for (const std::string& name : names.gone) pokes.emplace_back(name, PokeKind::kGone);
  for (const std::string& name : names.changed) pokes.emplace_back(name, PokeKind::kChanged);
  if (const auto unseen = ListUnseen(nodes_, tree_, folder, kPokesMax)) {
    for (const auto& [name, entry] : *unseen) {
      pokes.emplace_back(name, entry.kind == EntryKind::kFolder ? PokeKind::kNewFolder : PokeKind::kNewFile);
    }
  }
  for (size_t begin = 0; begin < pokes.size() && !shared_.stop; begin += kBatch) {
    if (begin > 0) std::this_thread::sleep_for(kPause);
    const auto path = tree_.PathOf(folder);
    if (!path) return;
    const auto batch = std::span(pokes).subspan(begin, std::min(kBatch, pokes.size() - begin));
    const pid_t asker = fork();
    if (asker < 0) return;
    if (asker == 0) {
      closefrom(0);  // Whoever holds /dev/fuse keeps the mount from ending.
      shared_.asker = getpid();
      PokeNames(path->empty() ? "." : path->c_str(), batch);
      _exit(0);
    }
    // Its id is nobody else's until it is waited for.
    siginfo_t ended;
    TEMP_FAILURE_RETRY(waitid(P_PID, static_cast<id_t>(asker), &ended, WEXITED | WNOWAIT));
    shared_.asker = 0;
    TEMP_FAILURE_RETRY(waitpid(asker, nullptr, 0));
  }
}

// Open for a moment only: it would keep the mount from being unmounted. -1 once it is: what lies below is not
// ours.
int WindowPoker::OpenFolder(const char* path) {
  const int root = open(mountpoint_.c_str(), O_RDONLY | O_DIRECTORY);
  struct stat top {};
  struct statfs kind {};
  if (root < 0 || fstat(root, &top) != 0 || fstatfs(root, &kind) != 0) return -1;
  if (top.st_ino != kRootNode || kind.f_type != FUSE_SUPER_MAGIC) return -1;
  return openat(root, path, O_PATH | O_DIRECTORY);
}

void WindowPoker::PokeNames(const char* path, std::span<const NamePoke> pokes) {
  const int folder = OpenFolder(path);
  if (folder < 0) return;
  for (const auto& [name, kind] : pokes) {
    if (shared_.stop) return;
    PokeName(folder, name.c_str(), kind);
  }
}

void WindowPoker::PokeName(int folder, const char* name, PokeKind kind) {
  bool done = false;
  shared_.pretends_absent = kind == PokeKind::kNewFile || kind == PokeKind::kNewFolder;
  switch (kind) {
    case PokeKind::kGone:
      done = mknodat(folder, name, S_IFREG | 0600, 0) == 0;
      if (done) (void)unlinkat(folder, name, 0);
      break;
    case PokeKind::kNewFile: done = mknodat(folder, name, S_IFREG | 0600, 0) == 0; break;
    case PokeKind::kNewFolder: done = mkdirat(folder, name, 0700) == 0; break;
    case PokeKind::kChanged: break;
  }
  shared_.pretends_absent = false;
  if (done) return;
  // Changed; or somebody looked it up meanwhile, or it is there again.
  const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};  // One alone is no event of attributes.
  (void)utimensat(folder, name, now, AT_SYMLINK_NOFOLLOW);
}

}  // namespace stagefs
