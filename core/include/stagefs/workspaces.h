// The workspaces of a repository.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/repository.h"

namespace stagefs {

// A mount that other machines can see says this often that it lives, and is taken for dead after so much silence.
constexpr int64_t kMountBeatSeconds = 10;
constexpr int64_t kMountSilenceSeconds = 60;

// The name of a branch, a tag or a workspace.
constexpr size_t kRevisionNameBytesMax = 200;

// The workspaces of a repository, which outlives it. Safe for concurrent use.
class Workspaces {
 public:
  explicit Workspaces(Repository& repository) : repository_(repository) {}

  Result<std::vector<WorkspaceInfo>> List();
  // std::nullopt if there is none.
  Result<std::optional<WorkspaceInfo>> Find(const std::string& id_or_name);
  Result<WorkspaceInfo> Create(const std::string& branch, const std::optional<std::string>& name,
                               const std::optional<std::string>& uid);
  // Working copies not staged go to recovered/. kBusy if it is mounted, unless `force`.
  Status Delete(const std::string& id_or_name, bool force);

  // Mounts whose process is alive, those of other machines as long as they said so in the last
  // kMountSilenceSeconds; rows of others are dropped.
  Result<std::vector<MountRow>> LiveMounts();
  // That this process shows a workspace at `mountpoint`, as `writer`; said again, that it lives. Whether that was
  // known: else others did not note what they changed. kBusy where others have a turn for longer than `wait_max`.
  Result<bool> NoteMounted(const std::string& mountpoint, WorkspaceId workspace, WriterId writer,
                           std::chrono::milliseconds wait_max = Turn::kWaitMax);
  Status NoteUnmounted(const std::string& mountpoint);

 private:
  Status DeleteNow(const std::string& id_or_name, bool force);
  Status Forget(const std::vector<MountRow>& dead);
  Repository& repository_;
};

// Branches, tags and workspaces share the rules for their names, which appear in paths of URLs, in NS/REPO:WORKSPACE
// and in NS/REPO@REV.
Status CheckRevisionName(const std::string& what, const std::string& name);

}  // namespace stagefs
