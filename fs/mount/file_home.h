// Where the files of one kind are staged when they were written: the tree, or the inbox.
#pragma once

#include <string>

#include "mount_counters.h"
#include "nodes.h"
#include "stagefs/inbox.h"
#include "stagefs/working_copy.h"
#include "stagefs/workspace.h"

namespace stagefs {

// Where a node is, as it was at one moment.
struct NodePlace {
  Slot slot;
  std::string inbox_directory;  // Of inbox files, whose slot has no folder.
};

// Safe for concurrent use.
class FileHome {
 public:
  virtual ~FileHome();
  // For the working copy's line in `places`.
  virtual Result<WorkingCopyPlace> PlaceOf(const NodePlace& place) = 0;
  // Stages the file at `file`, which is moved away; or content that is stored already.
  virtual Result<StagedFile> StageFile(const NodePlace& place, const std::string& file, const ContentId& content,
                                       uint64_t size_bytes, const StageHow& how) = 0;
  virtual Result<Entry> StageVersion(const NodePlace& place, VersionId version, const StageHow& how) = 0;
  // What the place holds now: a version, or 0 for nothing. std::nullopt: its close() has to wait until it is staged.
  virtual Result<std::optional<VersionId>> HeldAt(const NodePlace&) { return std::optional<VersionId>(); }
  // Whether other mounts show what is staged there, by versions that they looked up a moment ago.
  virtual bool IsFollowed() { return true; }
  // Whether a file of this name is staged as a manifest once it is written, and doing so.
  virtual bool IsManifest(const std::string& name) const = 0;
  // `so_far`: of that file; nullptr for one that was not only appended to.
  virtual Status StageManifest(const NodePlace& place, ManifestSoFar* so_far) = 0;
};

// `behind`: what is staged through it the kernel must be told of, as of anybody else's.
class TreeHome : public FileHome {
 public:
  TreeHome(Workspace& workspace, Workspace& behind, MountCounters& counters)
      : workspace_(workspace), behind_(behind), counters_(counters) {}
  Result<WorkingCopyPlace> PlaceOf(const NodePlace& place) override;
  Result<StagedFile> StageFile(const NodePlace& place, const std::string& file, const ContentId& content,
                               uint64_t size_bytes, const StageHow& how) override;
  Result<Entry> StageVersion(const NodePlace& place, VersionId version, const StageHow& how) override;
  Result<std::optional<VersionId>> HeldAt(const NodePlace& place) override;
  bool IsFollowed() override;
  bool IsManifest(const std::string& name) const override;
  Status StageManifest(const NodePlace& place, ManifestSoFar* so_far) override;

 private:
  Workspace& workspace_;
  Workspace& behind_;
  MountCounters& counters_;
};

class InboxHome : public FileHome {
 public:
  explicit InboxHome(Workspace& behind) : behind_(behind) {}
  Result<WorkingCopyPlace> PlaceOf(const NodePlace& place) override;
  Result<StagedFile> StageFile(const NodePlace& place, const std::string& file, const ContentId& content,
                               uint64_t size_bytes, const StageHow& how) override;
  Result<Entry> StageVersion(const NodePlace& place, VersionId version, const StageHow& how) override;
  bool IsManifest(const std::string& name) const override;
  Status StageManifest(const NodePlace& place, ManifestSoFar* so_far) override;

 private:
  Workspace& behind_;
};

}  // namespace stagefs
