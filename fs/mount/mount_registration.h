// The row that says that a workspace is mounted here: while it is there, others note what they change.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "stagefs/workspaces.h"

namespace stagefs {

// For one thread at a time.
class MountRegistration {
 public:
  // `repository` must outlive it.
  MountRegistration(Repository& repository, std::string mountpoint, WorkspaceId workspace, WriterId writer)
      : repository_(repository), mountpoint_(std::move(mountpoint)), workspace_(workspace), writer_(writer) {}

  WriterId writer() const { return writer_; }
  // Before the kernel asks anything. A mount begins, and shows what there is, also while others have a long turn: then
  // TakeMissed() does it. Where nothing can be written there is no row: this mount takes everything for changed once
  // anything was.
  Status Note();
  // That it lives. kBusy where the turn for it does not come in a moment.
  Status NoteAgain();
  Status Erase() { return repository_.CheckWritable() ? Workspaces(repository_).NoteUnmounted(mountpoint_) : Status(); }
  bool IsAmong(const std::vector<MountRow>& mounts) const {
    return std::any_of(mounts.begin(), mounts.end(), [this](const MountRow& row) { return row.writer == writer_; });
  }
  // To machines that cannot look at this process: often enough, however often it is called.
  void SayThatItLives();
  // The row is not there yet, or was gone.
  bool missed() const { return missed_; }
  // Whether others may have changed something without noting it, since this was asked: the row was not there, as after
  // a silence for which this mount was taken for dead. It is put back where `mounts` has it not; kBusy: not yet.
  Result<bool> TakeMissed(const std::vector<MountRow>& mounts);

 private:
  Repository& repository_;
  const std::string mountpoint_;
  const WorkspaceId workspace_;
  const WriterId writer_;
  std::chrono::steady_clock::time_point said_{};
  bool missed_ = false;
};

}  // namespace stagefs
