// The open files of one mount: which OpenFile belongs to a node, and what follows when it is flushed, closed, renamed
// or removed.
//
// Locks, in the order they may be taken: an OpenFile's flushing(), its mutex(), the nodes'. Core is never called with
// the nodes' lock held.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "change_notifier.h"
#include "file_home.h"
#include "growing_files.h"
#include "nodes.h"
#include "open_file.h"
#include "sparse_versions.h"
#include "staging_worker.h"

namespace stagefs {

// Safe for concurrent use. A file waits here while it has handles, and after them while it is refused. It is *written*
// while one of them may write, and while something of it waits to be staged: only then it stands before what others
// stage at its name.
class OpenFiles {
 public:
  // All must outlive it. The homes are those of NodeKind::kFile and kInboxFile; nullptr where nothing is written.
  OpenFiles(Nodes& nodes, ChangeNotifier& notifier, OpenFileEnv env, MountCounters& counters, FileHome* tree,
            FileHome* inbox)
      : nodes_(nodes), notifier_(notifier), env_(env), counters_(counters), tree_(tree), inbox_(inbox),
        sparse_(env.repository.index()), growing_(env.repository) {}

  Repository& repository() { return env_.repository; }
  MountCounters& counters() { return counters_; }

  // The file of `node`, open once more. With `empty` it is emptied, as O_TRUNC does. kStale: to be written, but nobody
  // would find it any more.
  Result<std::shared_ptr<OpenFile>> Open(const std::shared_ptr<Node>& node, bool writes, bool empty);
  // The same for one that is being created; looked up once more.
  Result<std::shared_ptr<OpenFile>> OpenNew(const std::shared_ptr<Node>& node, mode_t mode);
  // The file of a node that is being written here; nullptr for others and for no node.
  std::shared_ptr<OpenFile> FileOf(const std::shared_ptr<Node>& node);
  // As whoever has it open sees it.
  Attributes AttributesOf(const std::shared_ptr<Node>& node);

  // The one place where an error still reaches whoever wrote.
  // `goes_on`: a process that inherited the descriptor ended, as others did before; whoever opened it writes on.
  Status Flush(const std::shared_ptr<Node>& node, OpenFile& file, bool goes_on = false);
  // One handle less.
  void Release(const std::shared_ptr<Node>& node, const std::shared_ptr<OpenFile>& file, bool writes);
  // REQUIRES of both: the file's mutex is held.
  Status Stage(const std::shared_ptr<Node>& node, OpenFile& file,
               std::chrono::milliseconds wait_max = Turn::kWaitMax);
  // Before anything changes a file that was closed and is not staged yet: from `offset` on.
  Status BeforeWriting(const std::shared_ptr<Node>& node, OpenFile& file, uint64_t offset);
  // Before anything else than writing does, and for whoever looks at what is staged: what a close() promised is. Not
  // what is not hashed yet.
  Status StageIfClosed(const std::shared_ptr<Node>& node, OpenFile& file,
                       std::chrono::milliseconds wait_max = Turn::kWaitMax);
  // The same for all files, for so long at most.
  void StageAllClosed();
  // Before that, without the mutex, where hashing takes long. kInterrupted.
  Status AwaitHashed(OpenFile* file);
  // Renames and links move staged content: what is not staged yet is staged first.
  Status StageIfWaiting(const std::shared_ptr<Node>& node, OpenFile& file);
  // Returns whether all that was set is staged with the file. truncate() by path has no close that could stage it, so
  // that is `staged_at_once`.
  Result<bool> SetOn(const std::shared_ptr<Node>& node, OpenFile& file, const SetAttributes& set, bool staged_at_once);
  // Removes what is staged, by `remove`, and what `node` (if any) holds that is not.
  Status Remove(const std::shared_ptr<Node>& node, const std::function<Status()>& remove);

  // A new file has no row before it is staged, so that its folder looks empty: kNotEmpty.
  Status CheckNothingIsWrittenIn(FolderId folder);
  Placer PlacerOf(const std::shared_ptr<Node>& node);

  // What became of a file that was refused.
  enum class Refused { kSettled, kNoSuchFile };
  // Stages the refused file at `path` again, or gives it up.
  Result<Refused> Retry(const std::string& path);
  Result<Refused> Dismiss(const std::string& path);
  // Before the process ends: what is not staged is kept for the next start.
  void KeepUnstaged();
  void Stop() {
    stopping_ = true;
    hasher_.Stop();
    closer_.Stop();
    growing_.Stop();
  }

 private:
  FileHome& HomeOf(const Node& node) const { return node.kind == NodeKind::kInboxFile ? *inbox_ : *tree_; }
  NodePlace PlaceOf(const Node& node);
  Status StageOrClose(const std::shared_ptr<Node>& node, OpenFile& file, bool goes_on = false);
  Status Empty(const std::shared_ptr<Node>& node, OpenFile& file);
  Status StageClosedPart(const std::shared_ptr<Node>& node, OpenFile& file, std::chrono::milliseconds wait_max);
  bool CloseUnstaged(const std::shared_ptr<Node>& node, OpenFile& file, const OpenFile::Until& until = {});
  OpenFile::Until UntilWhen(const std::shared_ptr<Node>& node, OpenFile& file, bool goes_on);
  void AddClosed(const std::shared_ptr<Node>& node);
  bool IsToBeStaged(const Node& node, OpenFile& file);
  bool StageClosed();
  bool StageClosed(const std::shared_ptr<Node>& node);
  bool HashClosed();
  void Hash(const Node& node, OpenFile& file);
  void SyncClosed(const Node& node, OpenFile& file);
  bool IsManifest(const Node& node);
  Status StageManifest(const Node& node, bool appended = false);
  std::shared_ptr<ManifestSoFar> SoFarOf(const NodePlace& place, bool appended);
  std::vector<std::shared_ptr<Node>> AllOpen();
  Result<std::shared_ptr<OpenFile>> OpenToRead(FileLock lock, const std::shared_ptr<Node>& node,
                                               const std::shared_ptr<OpenFile>& file, bool writes);
  static void LetGo(InodeTable& table, const std::shared_ptr<Node>& node, const OpenFile& file);
  Result<Refused> Settle(const std::string& path,
                         const std::function<Status(const std::shared_ptr<Node>&, OpenFile&)>& settle);

  // Constant after construction.
  Nodes& nodes_;
  ChangeNotifier& notifier_;
  const OpenFileEnv env_;
  MountCounters& counters_;
  FileHome* const tree_;
  FileHome* const inbox_;
  // Synchronize themselves.
  SparseVersions sparse_;
  GrowingFiles growing_;
  Guarded<std::vector<std::shared_ptr<Node>>> closed_;  // Files that were closed and are not staged yet.
  // Of manifests that were closed lately, by their places. Each is used by who holds its file's flushing().
  Guarded<std::map<std::pair<std::string, Slot>, std::shared_ptr<ManifestSoFar>>> manifests_;
  std::atomic<bool> stopping_ = false;
  bool stage_now_ = false;  // The closer's alone: somebody waits for what is closed.
  StagingWorker closer_{[this] { return StageClosed(); }, std::chrono::milliseconds(20)};
  StagingWorker hasher_{[this] { return HashClosed(); }, std::chrono::milliseconds(100)};
};

}  // namespace stagefs
