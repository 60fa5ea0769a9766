// Lets windows follow changes that did not come through the mount.
//
// The kernel raises inotify events only for what is done through the mount, never for what it is told
// (fuse_lowlevel_notify_*), so a file manager would show an old list until it is reloaded. So a thread of our
// own does something harmless through the mount, in folders that somebody watches and nowhere else: it makes
// a name that is new, sets the time of one that changed, and makes and removes one that is gone. A process of
// its own asks for that, known by its id and answered without doing anything: a daemon that asked itself and
// is killed meanwhile would wait for an answer for ever, and every program on the mount with it.
//
// At most kPokesMax names of a folder are poked for one change: a million entries raise no storm. A window
// that misses the rest shows them when it is reloaded.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>

#include "change_notifier.h"

namespace stagefs {

constexpr size_t kPokesMax = 2000;

// The inode of names that are made only to be removed.
constexpr NodeId kGhostNode = ~NodeId{1};

class WindowPoker {
 public:
  // Of the mount at `mountpoint`, which shows `tree`.
  WindowPoker(Nodes& nodes, Tree& tree, std::string mountpoint);
  // The session must have ended: a request of ours that nobody answers any more has failed then.
  ~WindowPoker();

  // Folders that others changed, and what is gone from them or changed in them. Never blocks.
  void Add(std::vector<ChangedFolder> changed);
  // Ends as soon as the request being made is answered.
  void Stop();

  // Whether a request of this process is one of ours. One of another pid namespace is process 0, and none of ours.
  bool Asks(pid_t process) const {
    return process > 0 && process == shared_.asker.load(std::memory_order_relaxed);
  }
  // Whether our look-ups must find nothing, so that the kernel goes on to ask for a name to be made.
  bool PretendsAbsent() const { return shared_.pretends_absent; }

 private:
  struct Names {
    std::set<std::string> gone, changed;
  };
  void Run();
  void Poke(std::map<FolderId, Names> folders);
  void PokeFolder(FolderId folder, const Names& names);

  enum class PokeKind { kGone, kChanged, kNewFile, kNewFolder };
  using NamePoke = std::pair<std::string, PokeKind>;
  // In the process that asks, a copy of one with many threads: no locks and no memory may be taken.
  int OpenFolder(const char* path);
  void PokeNames(const char* path, std::span<const NamePoke> pokes);
  void PokeName(int folder, const char* name, PokeKind kind);

  // In memory that both processes see.
  struct Shared {
    std::atomic<pid_t> asker{0};
    std::atomic<bool> stop{false}, pretends_absent{false};
  };

  Nodes& nodes_;
  Tree& tree_;
  const std::string mountpoint_;
  Shared& shared_;
  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<FolderId, Names> waiting_;
  std::thread thread_;
};

}  // namespace stagefs
