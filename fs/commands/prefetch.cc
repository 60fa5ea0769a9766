#include "prefetch.h"

#include <utility>
#include <vector>

#include "stagefs/parallel.h"
#include "stagefs/version_source.h"

namespace stagefs {
namespace {

constexpr size_t kTogether = 1000;

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

}  // namespace

Result<PrefetchReport> Prefetch(Workspace& workspace, const RepoPath& path,
                                const std::function<void(int64_t)>& progress) {
  STAGEFS_ASSIGN_OR_RETURN(const Located at, workspace.tree().Find(path));
  Guarded<PrefetchReport> report;
  if (at.entry.kind == EntryKind::kFolder) {
    STAGEFS_RETURN_IF_ERROR(FetchBelow(workspace, at.entry.child, &report, progress));
  } else if (at.entry.kind == EntryKind::kFile) {
    STAGEFS_RETURN_IF_ERROR(FetchAll(workspace, {at.entry.version}, &report, progress));
  }
  return *report.Lock();
}

}  // namespace stagefs
