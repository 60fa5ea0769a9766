#include "stagefs/workspaces.h"

#include <unistd.h>

#include <algorithm>

#include "durable/durable_change.h"
#include "durable/repository_places.h"
#include "durable/reserve.h"
#include "live_mounts.h"
#include "stagefs/posix_env.h"
#include "stagefs/process.h"
#include "stagefs/text.h"

namespace stagefs {

Status CheckRevisionName(const std::string& what, const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c >= ' ' && c != 0x7f && c != ':' && c != '\\' && c != '?' && c != '#' && c != '%';
  });
  if (!name.empty() && plain && IsValidUtf8(name) && name.size() <= kRevisionNameBytesMax &&
      name.front() != '/' && name.back() != '/' && name.front() != ' ' && name.back() != ' ' &&
      name.find("..") == std::string::npos && name.find("//") == std::string::npos &&
      name.find_first_of("~^") == std::string::npos && name.find("@{") == std::string::npos) {
    return {};
  }
  return Error(ErrorCode::kInvalidArgument,
               what + " name '" + ToDisplayUtf8(name.substr(0, 100)) +
                   "' is not allowed: use 1 to 200 bytes of letters, digits, spaces and punctuation "
                   "without ':', '?', '#', '%', '\\', '~', '^', '@{' and '..'");
}

Result<std::vector<WorkspaceInfo>> Workspaces::List() {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  return reader->ListWorkspaces();
}

Result<std::optional<WorkspaceInfo>> Workspaces::Find(const std::string& id_or_name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  return reader->FindWorkspace(id_or_name);
}

Result<WorkspaceInfo> Workspaces::Create(const std::string& branch,
                                                  const std::optional<std::string>& name,
                                                  const std::optional<std::string>& uid) {
  if (name) STAGEFS_RETURN_IF_ERROR(CheckRevisionName("workspace", *name));
  if (uid) STAGEFS_RETURN_IF_ERROR(CheckRevisionName("workspace", *uid));
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kPowerLoss, Turn::History()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> head, transaction.FindBranch(branch));
  if (!head) return Error(ErrorCode::kNotFound, "Branch '" + branch + "' not found");
  WorkspaceInfo workspace;
  workspace.uid = uid.value_or(RandomHex());
  workspace.name = name;
  workspace.branch = branch;
  workspace.base = head->head;
  workspace.created_ns = NowNs();
  for (const std::string& key : {workspace.uid, name.value_or(workspace.uid)}) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> existing, transaction.FindWorkspace(key));
    if (existing) return Error(ErrorCode::kExists, "workspace " + key + " exists");
  }
  STAGEFS_ASSIGN_OR_RETURN(workspace, transaction.AddWorkspace(workspace));
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  return workspace;
}

Status Workspaces::Delete(const std::string& id_or_name, bool force) {
  return WithReserve(repository_.folder(), [&] { return DeleteNow(id_or_name, force); });
}

Status Workspaces::DeleteNow(const std::string& id_or_name, bool force) {
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kPowerLoss, Turn::Everything()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> workspace,
                           transaction.FindWorkspace(id_or_name));
  if (!workspace) return Error(ErrorCode::kNotFound, "Workspace not found: " + ToDisplayUtf8(id_or_name));
  STAGEFS_ASSIGN_OR_RETURN(const auto mounts, LiveMountsOf(transaction));
  for (const MountRow& mount : mounts) {
    if (mount.workspace == workspace->id && !force) {
      return Error(ErrorCode::kBusy, "workspace " + id_or_name + " is mounted at " + mount.mountpoint +
                                         ": unmount it first, or delete it with --force");
    }
  }
  STAGEFS_RETURN_IF_ERROR(transaction.EraseWorkspace(workspace->id));
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  repository_.NotifyListeners(workspace->id, kNoMount);
  return {};
}

namespace {

struct SortedMounts {
  std::vector<MountRow> live, dead;
};

Result<SortedMounts> SortMounts(IndexReader& index) {
  STAGEFS_ASSIGN_OR_RETURN(auto mounts, index.ListMounts());
  STAGEFS_ASSIGN_OR_RETURN(const int64_t now_ns, index.ClockNs());
  SortedMounts sorted;
  const std::string host = HostOfPids();
  for (MountRow& mount : mounts) {
    const bool alive = mount.host.empty() || mount.host == host
                           ? mount.started == ProcessStartTime(mount.pid) && mount.started != 0
                           : now_ns - mount.seen_ns < kMountSilenceSeconds * 1'000'000'000LL;
    (alive ? sorted.live : sorted.dead).push_back(std::move(mount));
  }
  return sorted;
}

}  // namespace

Result<std::vector<MountRow>> LiveMountsOf(IndexReader& index) {
  STAGEFS_ASSIGN_OR_RETURN(SortedMounts mounts, SortMounts(index));
  return std::move(mounts.live);
}

Result<std::vector<MountRow>> Workspaces::LiveMounts() {
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository_.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(SortedMounts mounts, SortMounts(*reader));
  reader.reset();
  // The answer is right without, also where nothing can be written.
  if (!mounts.dead.empty()) (void)Forget(mounts.dead);
  return std::move(mounts.live);
}

Status Workspaces::Forget(const std::vector<MountRow>& dead) {
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kProcessDeath, Turn::NothingElse()));
  for (const MountRow& mount : dead) {
    STAGEFS_RETURN_IF_ERROR(change->index().EraseMount(mount.host, mount.mountpoint));
  }
  return change->Commit();
}

Result<bool> Workspaces::NoteMounted(const std::string& mountpoint, WorkspaceId workspace, WriterId writer,
                                     std::chrono::milliseconds wait_max) {
  STAGEFS_ASSIGN_OR_RETURN(const auto change, DurableChange::Begin(repository_, Durability::kProcessDeath,
                                                                   Turn::NothingElse().Within(wait_max)));
  // Its mounts moved with it, and who removes it now does not see this one.
  STAGEFS_ASSIGN_OR_RETURN(const auto moved, change->index().GetMeta(kMovedKey));
  if (moved) {
    return Error(ErrorCode::kStale, "repository " + repository_.name().ToString() +
                                        " moved: mount it again; if stagefs migrate was interrupted, call it again");
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto mounts, change->index().ListMounts());
  const bool known =
      std::any_of(mounts.begin(), mounts.end(), [&](const MountRow& mount) { return mount.writer == writer; });
  STAGEFS_ASSIGN_OR_RETURN(const int64_t now_ns, change->index().ClockNs());
  STAGEFS_RETURN_IF_ERROR(change->index().PutMount(
      {HostOfPids(), mountpoint, workspace, getpid(), ProcessStartTime(getpid()), writer, now_ns}));
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  return known;
}

Status Workspaces::NoteUnmounted(const std::string& mountpoint) {
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kProcessDeath, Turn::NothingElse()));
  STAGEFS_RETURN_IF_ERROR(change->index().EraseMount(HostOfPids(), mountpoint));
  return change->Commit();
}

}  // namespace stagefs
