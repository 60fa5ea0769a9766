// Manifests as files: those of .stagefs/inbox and those dropped into the tree.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stagefs/workspace.h"

namespace stagefs {

// What the lines of a manifest came to so far, for one that commands append to, one after the other. Only of checksum
// lines, all of which were staged, each for a path of its own.
struct ManifestSoFar {
  bool seen = false;        // It was staged before; only then is the rest kept.
  uint64_t size_bytes = 0;  // Of the lines; 0: nothing is known.
  Sha256 sha256{};          // Theirs.
  int64_t entries = 0, added = 0, modified = 0, unchanged = 0;
  std::vector<uint64_t> paths;  // Hashes, sorted.
};

// The inbox of a workspace, which outlives it. Safe for concurrent use.
//
// Manifests in .stagefs/inbox/DIRECTORY are kept until removed and never part of the tree.
class Inbox {
 public:
  explicit Inbox(Workspace& workspace) : workspace_(workspace) {}

  Result<std::optional<InboxFile>> LookUp(const RepoPath& directory, const std::string& name);
  Result<std::vector<InboxFile>> List(const RepoPath& directory);

  // Takes `file` into the store, or names a stored version.
  Result<Entry> Store(const RepoPath& directory, const std::string& name, const std::string& file,
                      const ContentId& content, uint64_t size_bytes);
  Result<Entry> Store(const RepoPath& directory, const std::string& name, VersionId version);
  Status Rename(const RepoPath& from, const std::string& name, const RepoPath& to, const std::string& new_name);
  Status Remove(const RepoPath& directory, const std::string& name);

  // Stages what is there into DIRECTORY and puts the report beside it; its error says that nothing could be attempted
  // (the report says why, too). With `so_far`, which is kept from one time to the next: of a manifest that goes on
  // where it ended then, only what came since is staged, and the report is of all of it. A manifest that did not grow
  // so, or of which something was refused or replaced, is staged anew.
  Status Stage(const RepoPath& directory, const std::string& name, ManifestSoFar* so_far = nullptr) {
    return Stage(directory, name, Trouble::kReported, so_far);
  }
  // The same for a manifest dropped into the tree at `slot`.
  Status StageDropped(const Slot& slot, ManifestSoFar* so_far = nullptr) {
    return StageDropped(slot, Trouble::kReported, so_far);
  }
  // A manifest that is renamed into place is recorded with the rename and staged by this, which the mount calls from a
  // thread of its own and once at its start: a crash in between loses nothing. What was attempted has a report and is
  // done; an error says that something could not be, and waits to be tried again.
  Status StageQueued();

 private:
  // A manifest that was attempted: its report, and why it came to nothing.
  struct Processed {
    VersionInfo report;
    Status outcome;
  };
  // Of trouble that may pass: whether the report says it, or the manifest was not attempted and waits.
  enum class Trouble { kReported, kWaitedFor };
  Status Stage(const RepoPath& directory, const std::string& name, Trouble trouble, ManifestSoFar* so_far);
  Status StageDropped(const Slot& slot, Trouble trouble, ManifestSoFar* so_far);
  Result<Processed> StageStored(const RepoPath& directory, const std::string& name, VersionId manifest,
                                Trouble trouble, ManifestSoFar* so_far);

  Workspace& workspace_;
};

}  // namespace stagefs
