// What the kernel must be told: finds what others changed by comparing what the kernel knows with what is.
//
// One thread waits and refreshes, and holds no lock while it tells the kernel anything: a request that did so could
// wait for itself. Everybody else only notes that there is something to look at.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "mount_registration.h"
#include "nodes.h"
#include "stagefs/workspace.h"

namespace stagefs {

// A folder the kernel knows in which others changed something, and names it knew that are gone or other now.
struct ChangedFolder {
  FolderId folder = 0;
  std::vector<std::string> gone, changed;
};

class ChangeNotifier {
 public:
  // Of a workspace: what others than `registration`'s writer changed after `change_seq`. All must outlive it.
  ChangeNotifier(Nodes& nodes, Workspace& workspace, MountRegistration& registration, int64_t change_seq);
  // Of a tree that never changes: nothing but ShowAgain() leads to anything.
  ChangeNotifier(Nodes& nodes, MountRegistration& registration) : nodes_(nodes), registration_(&registration) {}
  ~ChangeNotifier();

  // For the one thread that tells the kernel.
  struct Notify {
    std::function<void(NodeId parent, const std::string& name)> entry;
    std::function<void(NodeId id)> attributes;
    std::function<void(std::vector<ChangedFolder>)> folders;
  };
  // Blocks until another process or door may have changed something, or Stop(). False: stopped.
  bool WaitForChange();
  // The callbacks may block on the kernel.
  void Refresh(const Notify& notify);

  // For everybody else.
  void Stop();
  // The kernel must look this name up anew.
  void ShowAgain(const Slot& slot);
  // What was written to `node` is gone: the path shows what is staged, under a new inode.
  void ShowStagedAgain(const std::shared_ptr<Node>& node);
  // `node` was passed over while it was written, and is not any more. May be called with the nodes' lock held.
  void LookAtClosed(std::shared_ptr<Node> node);

  // Changes when anybody's change is heard of, where the index tells (StagingIndex::HeardMark).
  std::optional<int64_t> HeardMark();
  // Whether the nodes show all that was heard of up to `mark`, those aside that were passed over.
  bool Shows(int64_t mark) const { return shown_mark_ == mark; }

 private:
  struct Changes;
  struct News;
  void TellShownAgain(const Notify& notify);
  std::optional<Changes> AskIndex(std::optional<int64_t> heard);
  std::vector<std::shared_ptr<Node>> Suspects(const Changes& changes, News* news);
  bool LookAt(const std::shared_ptr<Node>& node, News* news);
  static void Tell(News news, const Notify& notify);
  // Returns the number of the change that it is told of.
  uint64_t Wake();
  // Blocks until the kernel knows that change, so that who made it through another door of this process sees it in the
  // mount; not for long, as the kernel may be waiting for who waits here.
  void AwaitShown(uint64_t change);

  // Constant after construction.
  Nodes& nodes_;
  Workspace* const workspace_ = nullptr;
  MountRegistration* const registration_ = nullptr;
  int listener_ = 0;
  // Synchronize themselves.
  Guarded<std::vector<Slot>> shown_again_;              // Names the kernel must look up anew.
  Guarded<std::vector<std::shared_ptr<Node>>> closed_;  // Passed over by Refresh() while they were written.
  std::atomic<int64_t> shown_mark_{-1};                 // The HeardMark() from before the nodes were last refreshed.
  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable wake_;
  uint64_t changes_ = 0;        // So many,
  uint64_t taken_changes_ = 0;  // so many of these are taken up by the notifier,
  uint64_t shown_changes_ = 0;  // and the kernel knows so many.
  bool stopped_ = false;
  // Used by the notifying thread alone.
  static constexpr int64_t kMarkNeverSeen = -1;
  int64_t seen_seq_ = 0;
  int64_t seen_mark_ = kMarkNeverSeen;
};

// Entries of a folder of `tree` that the kernel has not looked up, or only just now; at most `limit`.
Result<std::vector<Named<Entry>>> ListUnseen(Nodes& nodes, Tree& tree, FolderId folder, size_t limit);

}  // namespace stagefs
