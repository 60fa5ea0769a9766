// Branches, commits and workspaces of a repository.
#include <algorithm>
#include <csignal>

#include "tree/overlay.h"
#include "stagefs/posix_env.h"
#include "stagefs/process.h"
#include "stagefs/repository.h"
#include "stagefs/workspace.h"

namespace stagefs {
namespace {

// Names appear in paths of URLs and in NS/REPO:WORKSPACE.
Status CheckName(const std::string& what, const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c >= ' ' && c != 0x7f && c != ':' && c != '\\' && c != '?' && c != '#' && c != '%';
  });
  if (!name.empty() && plain && IsValidUtf8(name) && name.size() <= kRevisionNameBytesMax &&
      name.front() != '/' && name.back() != '/' && name.front() != ' ' && name.back() != ' ' &&
      name.find("..") == std::string::npos && name.find("//") == std::string::npos) {
    return {};
  }
  return Error(ErrorCode::kInvalidArgument,
               what + " name '" + ToDisplayUtf8(name.substr(0, 100)) +
                   "' is not allowed: use 1 to 200 bytes of letters, digits, spaces and punctuation "
                   "without ':', '?', '#', '%', '\\' and '..'");
}

}  // namespace

Status Repository::CreateBranch(const std::string& name, const std::string& from) {
  STAGEFS_RETURN_IF_ERROR(CheckName("branch", name));
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit, ResolveRevision(from));
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index_->Begin(Durability::kPowerLoss, Turn::History()));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> existing, transaction->FindBranch(name));
  if (existing) return Error(ErrorCode::kExists, "branch " + name + " exists");
  STAGEFS_RETURN_IF_ERROR(transaction->PutBranch({name, commit.seq}));
  return transaction->Commit();
}

Result<CommitInfo> Repository::MoveBranch(const std::string& name, const std::string& to) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit, ResolveRevision(to));
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index_->Begin(Durability::kPowerLoss, Turn::History()));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> existing, transaction->FindBranch(name));
  if (!existing) return Error(ErrorCode::kNotFound, "Branch '" + name + "' not found");
  STAGEFS_RETURN_IF_ERROR(transaction->PutBranch({name, commit.seq}));
  STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  return commit;
}

Status Repository::DeleteBranch(const std::string& name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index_->Begin(Durability::kPowerLoss, Turn::History()));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> existing, transaction->FindBranch(name));
  if (!existing) return Error(ErrorCode::kNotFound, "Branch '" + name + "' not found");
  STAGEFS_ASSIGN_OR_RETURN(const auto branches, transaction->ListBranches());
  if (branches.size() == 1) return Error(ErrorCode::kConflict, "branch " + name + " is the only one");
  STAGEFS_ASSIGN_OR_RETURN(const auto workspaces, transaction->ListWorkspaces());
  for (const WorkspaceInfo& workspace : workspaces) {
    if (workspace.branch == name) {
      return Error(ErrorCode::kBusy, "branch " + name + " is used by workspace " +
                                         workspace.name.value_or(workspace.uid) + ": delete that first");
    }
  }
  STAGEFS_RETURN_IF_ERROR(transaction->EraseBranch(name));
  return transaction->Commit();
}

Result<CommitInfo> Repository::ResolveRevision(const std::string& revision) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_->Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> branch, reader->FindBranch(revision));
  if (branch) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> head, reader->GetCommit(branch->head));
    if (head) return *head;
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, reader->FindCommit(revision));
  if (commit) return *commit;
  return Error(ErrorCode::kNotFound, "no branch or commit '" + ToDisplayUtf8(revision) + "'");
}

Result<std::vector<Named<Entry>>> Repository::ListTree(const std::string& revision, const RepoPath& folder,
                                                       std::string_view after, size_t limit) {
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit, ResolveRevision(revision));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_->Read());
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, reader->ViewOf(commit.seq));
  OverlayReader tree(*reader, WorkspaceInfo(), std::move(view));  // No workspace: nothing is staged.
  STAGEFS_ASSIGN_OR_RETURN(const Located at, tree.Find(folder, Workspace::Tree::kBase));
  if (at.entry.kind != EntryKind::kFolder) {
    return std::vector<Named<Entry>>{{at.slot.name, at.entry}};
  }
  return tree.ListBase(at.entry.child, after, limit);
}

Result<WorkspaceInfo> Repository::CreateWorkspace(const std::string& branch,
                                                  const std::optional<std::string>& name,
                                                  const std::optional<std::string>& uid) {
  if (name) STAGEFS_RETURN_IF_ERROR(CheckName("workspace", *name));
  if (uid) STAGEFS_RETURN_IF_ERROR(CheckName("workspace", *uid));
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index_->Begin(Durability::kPowerLoss, Turn::History()));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> head, transaction->FindBranch(branch));
  if (!head) return Error(ErrorCode::kNotFound, "Branch '" + branch + "' not found");
  WorkspaceInfo workspace;
  workspace.uid = uid.value_or(RandomHex());
  workspace.name = name;
  workspace.branch = branch;
  workspace.base = head->head;
  workspace.created_ns = NowNs();
  for (const std::string& key : {workspace.uid, name.value_or(workspace.uid)}) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> existing, transaction->FindWorkspace(key));
    if (existing) return Error(ErrorCode::kExists, "workspace " + key + " exists");
  }
  STAGEFS_ASSIGN_OR_RETURN(workspace, transaction->AddWorkspace(workspace));
  STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  return workspace;
}

Status Repository::DeleteWorkspace(const std::string& id_or_name, bool force) {
  STAGEFS_ASSIGN_OR_RETURN(const auto mounts, LiveMounts());
  STAGEFS_ASSIGN_OR_RETURN(auto transaction, index_->Begin(Durability::kPowerLoss));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> workspace,
                           transaction->FindWorkspace(id_or_name));
  if (!workspace) return Error(ErrorCode::kNotFound, "Workspace not found: " + ToDisplayUtf8(id_or_name));
  for (const MountRow& mount : mounts) {
    if (mount.workspace == workspace->id && !force) {
      return Error(ErrorCode::kBusy, "workspace " + id_or_name + " is mounted at " + mount.mountpoint +
                                         ": unmount it first, or delete it with --force");
    }
  }
  STAGEFS_RETURN_IF_ERROR(transaction->EraseWorkspace(workspace->id));
  STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  transaction.reset();
  NotifyListeners(workspace->id, kNoMount);
  return {};
}

Result<std::vector<MountRow>> Repository::LiveMounts() {
  STAGEFS_ASSIGN_OR_RETURN(auto reader, index_->Read());
  STAGEFS_ASSIGN_OR_RETURN(auto mounts, reader->ListMounts());
  STAGEFS_ASSIGN_OR_RETURN(const int64_t now_ns, reader->ClockNs());
  reader.reset();
  std::vector<MountRow> live;
  std::vector<MountRow> dead;
  const std::string host = HostOfPids();
  for (MountRow& mount : mounts) {
    const bool alive = mount.host.empty() || mount.host == host
                           ? mount.started == ProcessStartTime(mount.pid) && mount.started != 0
                           : now_ns - mount.seen_ns < kMountSilenceSeconds * 1'000'000'000LL;
    (alive ? live : dead).push_back(std::move(mount));
  }
  if (!dead.empty()) {
    STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index_->Begin(Durability::kProcessDeath, Turn::NothingElse()));
    for (const MountRow& mount : dead) STAGEFS_RETURN_IF_ERROR(transaction->EraseMount(mount.host, mount.mountpoint));
    STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  }
  return live;
}

}  // namespace stagefs
