// Files that are written on again and again: logs, lists that a loop appends to. Each close() stages one as a version
// of its own; what it grew out of leaves the store again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include "file_home.h"
#include "stagefs/guarded.h"
#include "stagefs/upkeep.h"
#include "staging_worker.h"

namespace stagefs {

// Of one mount. Safe for concurrent use.
class GrowingFiles {
 public:
  using Clock = std::chrono::steady_clock;

  explicit GrowingFiles(Repository& repository);

  // What a close() staged.
  struct Staged {
    VersionId from = 0;  // It went on from this one; 0: from none.
    VersionId version = 0;
    bool brought = false;  // See StagedFile.
    Clock::duration took{};
  };
  void Note(const Staged& staged, FileHome& home);
  // What goes on from this version need not be staged before that: it came a moment ago, for what it took.
  Clock::time_point DueAfter(VersionId version);

  // Removes what files grew out of as far as it can go. False: some is left for another time.
  bool RemoveOutgrown();
  void Stop() { remover_.Stop(); }
  // The same before the process ends; the rest is gc's.
  void RemoveRest();

 private:
  struct Waiting {
    OutgrownVersion version;
    Clock::time_point not_before;
    int tries = 0;
  };
  // A version that came with a close of this mount.
  struct Came {
    CommitSeq newest_commit = 0;  // At that time.
    Clock::time_point due{};
  };
  struct Known {
    std::map<VersionId, Came> lately;
    std::vector<Waiting> outgrown;
    CommitSeq newest_commit = 0;  // As it was at some time.
  };
  void NoteNewestCommit();

  Repository& repository_;
  const bool removes_;
  Guarded<Known> known_;
  StagingWorker remover_{[this] { return RemoveOutgrown(); }, std::chrono::milliseconds(500)};
};

}  // namespace stagefs
