#include "prefetch.h"

#include "stagefs/parallel.h"
#include "stagefs/version_source.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1000;

Status FetchAll(Workspace& workspace, const std::vector<VersionId>& versions, Guarded<PrefetchReport>* report,
                const std::function<void(int64_t)>& progress) {
  return InParallel(versions.size(), kRequestsAtOnce, [&](uint64_t i) -> Status {
    Repository& repository = workspace.repository();
    STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, reader->GetVersion(versions[i]));
    reader.reset();
    if (!version) return {};  // Replaced meanwhile.
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
  for (std::string after;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, workspace.tree().List(folder, after, kPage));
    std::vector<VersionId> versions;
    for (const auto& [name, entry] : page) {
      if (entry.kind == EntryKind::kFile) versions.push_back(entry.version);
    }
    STAGEFS_RETURN_IF_ERROR(FetchAll(workspace, versions, report, progress));
    for (const auto& [name, entry] : page) {
      if (entry.kind == EntryKind::kFolder) {
        STAGEFS_RETURN_IF_ERROR(FetchBelow(workspace, entry.child, report, progress));
      }
    }
    if (page.size() < kPage) return {};
    after = page.back().name;
  }
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
