#include "prefetch.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "stagefs/parallel.h"
#include "stagefs/version_source.h"

namespace stagefs {
namespace {

constexpr size_t kTogether = 1000;
constexpr size_t kShownMax = 20;

Status FetchAll(Workspace& workspace, const std::vector<VersionId>& versions, Guarded<PrefetchReport>* report,
                const std::function<void(int64_t)>& progress) {
  return InParallel(versions.size(), kRequestsAtOnce, [&](uint64_t i) -> Status {
    Repository& repository = workspace.repository();
    const auto version = repository.GetVersion(versions[i]);
    if (!version && version.error().code() == ErrorCode::kStale) return {};  // Replaced meanwhile.
    if (!version) return version.error();
    STAGEFS_RETURN_IF_ERROR(repository.PrefetchVersion(*version));
    auto counts = report->Lock();
    counts->bytes += version->size_bytes;
    ++counts->files;
    if (progress) progress(counts->files);
    return {};
  });
}

Status FetchBelow(Workspace& workspace, FolderId folder, Guarded<PrefetchReport>* report,
                  const std::function<void(int64_t)>& progress) {
  std::vector<VersionId> versions;
  STAGEFS_RETURN_IF_ERROR(workspace.tree().Walk(folder, "", [&](const Tree::Walked& at) -> Status {
    if (at.entry.kind != EntryKind::kFile) return {};
    versions.push_back(at.entry.version);
    return versions.size() < kTogether ? Status() : FetchAll(workspace, std::exchange(versions, {}), report, progress);
  }));
  return FetchAll(workspace, versions, report, progress);
}

// Paths below others are left out.
void LeaveTops(std::vector<RepoPath>* paths) {
  const std::set<RepoPath> all(paths->begin(), paths->end());
  paths->assign(all.begin(), all.end());
  std::erase_if(*paths, [&](const RepoPath& path) {
    for (RepoPath above = path; !above.is_root();) {
      above = above.parent();
      if (all.contains(above)) return true;
    }
    return false;
  });
}

Error NotThere(const std::vector<Status>& missing) {
  std::string message = "nothing is fetched, as " + std::to_string(missing.size()) + " paths are not there:";
  for (size_t i = 0; i < std::min(missing.size(), kShownMax); ++i) message += "\n  " + missing[i].error().message();
  if (missing.size() > kShownMax) message += "\n  and " + std::to_string(missing.size() - kShownMax) + " more";
  return missing.size() == 1 ? missing[0].error() : Error(ErrorCode::kNotFound, message);
}

}  // namespace

Result<PrefetchReport> Prefetch(Workspace& workspace, std::vector<RepoPath> paths, std::vector<Status>* missing,
                                const std::function<void(int64_t)>& progress) {
  LeaveTops(&paths);
  std::vector<Status> not_there;
  std::vector<FolderId> folders;
  std::vector<VersionId> versions;
  for (const RepoPath& path : paths) {
    const auto at = workspace.tree().Find(path);
    if (!at && at.error().code() != ErrorCode::kNotFound && at.error().code() != ErrorCode::kNotDirectory) {
      return at.error();
    }
    if (!at) not_there.emplace_back(at.error());
    else if (at->entry.kind == EntryKind::kFolder) folders.push_back(at->entry.child);
    else if (at->entry.kind == EntryKind::kFile) versions.push_back(at->entry.version);
  }
  if (!not_there.empty() && missing == nullptr) return NotThere(not_there);
  if (missing != nullptr) *missing = std::move(not_there);
  Guarded<PrefetchReport> report;
  for (const FolderId folder : folders) {
    STAGEFS_RETURN_IF_ERROR(FetchBelow(workspace, folder, &report, progress));
  }
  STAGEFS_RETURN_IF_ERROR(FetchAll(workspace, versions, &report, progress));
  return *report.Lock();
}

}  // namespace stagefs
