// commit and rebase.
//
// A commit on top of the workspace's own base moves the staged rows into the tree as they are. When the
// branch has moved on, the rows are first laid over its head, path by path; then the same happens.
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "committer.h"
#include "rebaser.h"
#include "stagefs/commit.h"
#include "stagefs/posix_env.h"
#include "stagefs/working_copy.h"
#include "staging/closed_files.h"
#include "staging/live_mounts.h"
#include "staging/workspace_change.h"

namespace stagefs {
namespace {

// Everything in the tree may have moved: FolderId 0 stands for all of it.
constexpr FolderId kEverything = 0;

// A close() of a file that nobody wrote to, or that was written through a mapping, returns before a mount has
// staged it. A commit waits this long for copies that were touched this recently.
constexpr auto kCloseWaitMax = std::chrono::milliseconds(200);
constexpr int64_t kJustTouchedNs = 1'000'000'000;

Result<int64_t> CountCommits(IndexReader& index, CommitSeq head, CommitSeq base) {
  int64_t count = 0;
  for (CommitSeq seq = head; seq > base; ++count) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, index.GetCommit(seq));
    if (!commit) break;
    seq = commit->parent;
  }
  return count;
}

Result<bool> HasJustBeenTouched(Repository& repository, WorkspaceId workspace) {
  STAGEFS_ASSIGN_OR_RETURN(const auto places, ListWorkingCopyPlaces(repository));
  const int64_t now_ns = NowNs();
  return std::any_of(places.begin(), places.end(), [&](const WorkingCopyPlace& place) {
    struct stat st;
    if (place.workspace != workspace || !place.is_written()) return false;
    return stat(place.file.c_str(), &st) == 0 && ToNs(st.st_ctim) > now_ns - kJustTouchedNs;
  });
}

Status AwaitCloses(Repository& repository, WorkspaceId workspace) {
  const auto deadline = std::chrono::steady_clock::now() + kCloseWaitMax;
  do {
    STAGEFS_ASSIGN_OR_RETURN(const bool waiting, HasJustBeenTouched(repository, workspace));
    if (!waiting) return {};
    std::this_thread::sleep_for(kCloseWaitMax / 40);
  } while (std::chrono::steady_clock::now() < deadline);
  return {};
}

}  // namespace

Result<Overlay> OnTopOf(Overlay& overlay, CommitSeq base) {
  WorkspaceInfo info = overlay.workspace();
  info.base = base;
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, overlay.index().ViewOf(base));
  return Overlay(overlay.change(), std::move(info), std::move(view), overlay.writer());
}

Result<std::vector<std::string>> FindConflicts(Workspace& workspace, const std::string& branch_name) {
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(workspace.repository(), Durability::kProcessDeath,
                                                Turn::Workspace(workspace.id())));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> info, transaction.GetWorkspace(workspace.id()));
  if (!info) return Error(ErrorCode::kStale, "the workspace was deleted");
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> branch, transaction.FindBranch(branch_name));
  if (!branch) return Error(ErrorCode::kNotFound, "Branch '" + branch_name + "' not found");
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, workspace.ViewOf(transaction, info->base));
  Overlay overlay(*change, *info, std::move(view), workspace.writer());
  STAGEFS_ASSIGN_OR_RETURN(Overlay onto, OnTopOf(overlay, branch->head));
  return Rebaser(overlay, onto).Conflicts();  // Never committed.
}

Result<int64_t> Rebase(Workspace& workspace) {
  return workspace.Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Result<int64_t> {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> branch,
                             overlay.index().FindBranch(overlay.workspace().branch));
    if (!branch) return Error(ErrorCode::kNotFound, "Branch '" + overlay.workspace().branch + "' not found");
    const CommitSeq base = overlay.workspace().base;
    if (branch->head == base) return int64_t{0};
    STAGEFS_ASSIGN_OR_RETURN(Overlay onto, OnTopOf(overlay, branch->head));
    STAGEFS_RETURN_IF_ERROR(Rebaser(overlay, onto).Run());
    STAGEFS_RETURN_IF_ERROR(overlay.transaction().PutWorkspace(onto.workspace()));
    overlay.NoteChange(kEverything);
    return CountCommits(overlay.index(), branch->head, base);
  });
}

namespace {

// Inside the change that it becomes part of.
Result<CommitResult> CommitOnto(Overlay& overlay, const std::string& name, const std::string& message,
                                const Author& author, bool mounted) {
  IndexTransaction& transaction = overlay.transaction();
  const WorkspaceInfo& info = overlay.workspace();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<BranchInfo> branch, transaction.FindBranch(name));
  if (!branch) return Error(ErrorCode::kNotFound, "Branch '" + name + "' not found");
  STAGEFS_ASSIGN_OR_RETURN(Overlay onto, OnTopOf(overlay, branch->head));
  CommitResult result;
  if (branch->head != info.base) {
    STAGEFS_RETURN_IF_ERROR(Rebaser(overlay, onto).Run());
    STAGEFS_ASSIGN_OR_RETURN(result.others, CountCommits(transaction, branch->head, info.base));
    overlay.NoteChange(kEverything);
  }
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo commit, NewCommit(branch->head, message, author));
  STAGEFS_ASSIGN_OR_RETURN(result.commit, transaction.AddCommit(commit, name));
  STAGEFS_ASSIGN_OR_RETURN(result.entries, Committer(onto, result.commit).Run(&result.left_out));
  STAGEFS_RETURN_IF_ERROR(onto.Finish());
  if (result.entries == 0) return Error(ErrorCode::kInvalidArgument, kNothingToCommit);
  STAGEFS_RETURN_IF_ERROR(transaction.PutBranch({name, result.commit.seq, result.commit.lineage}));
  result.workspace_deleted = !info.name && !mounted;
  if (result.workspace_deleted) {
    STAGEFS_RETURN_IF_ERROR(transaction.EraseWorkspace(info.id));
  } else {
    WorkspaceInfo moved = info;
    moved.base = result.commit.seq;
    STAGEFS_RETURN_IF_ERROR(transaction.PutWorkspace(moved));
  }
  return result;
}

}  // namespace

Result<CommitResult> CommitStaged(Workspace& workspace, const std::string& message, const Author& author,
                                  const std::optional<std::string>& branch_name) {
  Repository& repository = workspace.repository();
  if (message.empty()) return Error(ErrorCode::kInvalidArgument, "a commit needs a message");
  STAGEFS_RETURN_IF_ERROR(AwaitCloses(repository, workspace.id()));
  return workspace.Mutate(Durability::kPowerLoss, Turn::Commit(workspace.id()),
                          [&](Overlay& overlay) -> Result<CommitResult> {
    STAGEFS_ASSIGN_OR_RETURN(const auto mounts, LiveMountsOf(overlay.transaction()));
    const bool mounted = std::any_of(mounts.begin(), mounts.end(),
                                     [&](const MountRow& mount) { return mount.workspace == workspace.id(); });
    return CommitOnto(overlay, branch_name.value_or(overlay.workspace().branch), message, author, mounted);
  });
}

}  // namespace stagefs
