// The row that says that a workspace is mounted here: while it is there, others note what they change.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "stagefs/workspaces.h"

namespace stagefs {

// Note() and Erase() are safe for concurrent use; SayThatItLives() is for one thread.
class MountRegistration {
 public:
  // `repository` must outlive it.
  MountRegistration(Repository& repository, std::string mountpoint, WorkspaceId workspace, WriterId writer)
      : repository_(repository), mountpoint_(std::move(mountpoint)), workspace_(workspace), writer_(writer) {}

  WriterId writer() const { return writer_; }
  // Before the kernel asks anything; again where the row was dropped.
  // Where nothing can be written there is no row: this mount takes everything for changed once anything was.
  Status Note() {
    if (!repository_.CheckWritable()) return {};
    return Workspaces(repository_).NoteMounted(mountpoint_, workspace_, writer_);
  }
  Status Erase() { return repository_.CheckWritable() ? Workspaces(repository_).NoteUnmounted(mountpoint_) : Status(); }
  bool IsAmong(const std::vector<MountRow>& mounts) const {
    return std::any_of(mounts.begin(), mounts.end(), [this](const MountRow& row) { return row.writer == writer_; });
  }
  // To machines that cannot look at this process: often enough, however often it is called.
  void SayThatItLives();

 private:
  Repository& repository_;
  const std::string mountpoint_;
  const WorkspaceId workspace_;
  const WriterId writer_;
  std::chrono::steady_clock::time_point said_{};
};

}  // namespace stagefs
