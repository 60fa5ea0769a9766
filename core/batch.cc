// Staging a whole manifest: the core behind the inbox, dropped manifests, HTTP and the command line.
#include <algorithm>
#include <unordered_map>

#include "stagefs/posix_env.h"
#include "workspace_impl.h"

namespace stagefs {
namespace {

// Entries are sorted in runs of this many: neighbours in the tree are neighbours in the index, and memory
// stays bounded. Runs are in the manifest's order, so the last entry of a path wins.
constexpr size_t kRunEntriesMax = 32'768;
constexpr size_t kRunBytesMax = 16 << 20;

// Byte order with '/' before every other byte: a path is followed by what lies below it.
bool ComesBefore(const std::string& a, const std::string& b) {
  const size_t common = std::min(a.size(), b.size());
  for (size_t i = 0; i < common; ++i) {
    if (a[i] == b[i]) continue;
    if (a[i] == '/' || b[i] == '/') return a[i] == '/';
    return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[i]);
  }
  return a.size() < b.size();
}

class Batch {
 public:
  Batch(Overlay& overlay, const Workspace::ManifestRequest& request, StageReport* report)
      : overlay_(overlay), request_(request), report_(*report) {}

  Status Add(const ManifestOptions& options, ManifestEntry entry) {
    options_ = options;
    run_bytes_ += entry.hash.size() + entry.path.size() + sizeof(Waiting);
    run_.push_back({std::move(entry), run_.size()});
    if (run_.size() < kRunEntriesMax && run_bytes_ < kRunBytesMax) return {};
    return StageRun();
  }

  Status StageRun() {
    std::stable_sort(run_.begin(), run_.end(), [](const Waiting& a, const Waiting& b) {
      return ComesBefore(a.entry.path, b.entry.path);
    });
    // Where one path is a folder on the way to another, which of them is refused follows from their order.
    for (size_t i = 1; i < run_.size(); ++i) {
      const std::string& above = run_[i - 1].entry.path;
      const std::string& below = run_[i].entry.path;
      if (below.size() > above.size() && below[above.size()] == '/' && below.starts_with(above)) {
        std::sort(run_.begin(), run_.end(),
                  [](const Waiting& a, const Waiting& b) { return a.position < b.position; });
        break;
      }
    }
    for (Waiting& waiting : run_) {
      ++report_.entries;
      const auto staged = StageOne(waiting.entry);
      if (!staged) {
        // Trouble with the index ends the batch; trouble with an entry is the entry's.
        if (staged.error().code() == ErrorCode::kIo || staged.error().code() == ErrorCode::kNoSpace ||
            staged.error().code() == ErrorCode::kCorrupt || staged.error().code() == ErrorCode::kReadOnly) {
          return staged.error();
        }
        refused_.emplace_back(waiting.position,
                              RefusedEntry{std::move(waiting.entry.hash), std::move(waiting.entry.path),
                                           staged.error().message()});
        continue;
      }
      switch (*staged) {
        case StageOutcome::kAdded: ++report_.added; break;
        case StageOutcome::kModified: ++report_.modified; break;
        case StageOutcome::kUnchanged:
        case StageOutcome::kScratch: ++report_.unchanged; break;
      }
    }
    std::sort(refused_.begin(), refused_.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [position, entry] : refused_) STAGEFS_RETURN_IF_ERROR(report_.refused.Append(entry));
    refused_.clear();
    run_.clear();
    run_bytes_ = 0;
    folders_.clear();
    if (request_.progress) request_.progress(report_.entries);
    return {};
  }

 private:
  struct Waiting {
    ManifestEntry entry;
    size_t position;
  };

  Result<StageOutcome> StageOne(const ManifestEntry& entry) {
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath below, RepoPath::Parse(entry.path));
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, request_.directory.Join(below));
    STAGEFS_ASSIGN_OR_RETURN(const HashRef hash, HashRef::Parse(entry.hash));
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, overlay_.index().FindVersion(hash));
    if (!version) return Error(ErrorCode::kNotFound, "version " + entry.hash + ": no such version");
    STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, FolderOf(path.parent()));
    StageHow how;
    how.update_timestamp = request_.options.update_timestamp || options_.update_timestamp;
    STAGEFS_ASSIGN_OR_RETURN(const StagedFile staged,
                             overlay_.StageVersion({folder, std::string(path.name())}, *version, how));
    return staged.outcome;
  }

  Result<FolderId> FolderOf(const RepoPath& directory) {
    if (const auto known = folders_.find(directory.str()); known != folders_.end()) return known->second;
    STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, overlay_.EnsureFolders(directory));
    folders_[directory.str()] = folder;
    return folder;
  }

  Overlay& overlay_;
  const Workspace::ManifestRequest& request_;
  StageReport& report_;
  ManifestOptions options_;
  std::vector<Waiting> run_;
  size_t run_bytes_ = 0;
  std::vector<std::pair<size_t, RefusedEntry>> refused_;
  std::unordered_map<std::string, FolderId> folders_;
};

}  // namespace

Result<StageReport> Workspace::StageManifest(const ManifestRequest& request) {
  StageReport report(repository_.incoming());
  report.directory = request.directory.str();
  bool withdrawn = false;
  const Status staged = Mutate(Durability::kPowerLoss, [&](Overlay& overlay) -> Status {
    Batch batch(overlay, request, &report);
    STAGEFS_ASSIGN_OR_RETURN(const ManifestOptions own,
                             ReadManifest(*request.source, request.format,
                                          [&](const ManifestOptions& options, ManifestEntry entry) {
                                            return batch.Add(options, std::move(entry));
                                          }));
    STAGEFS_RETURN_IF_ERROR(batch.StageRun());
    report.atomic = request.options.atomic || own.atomic;
    report.update_timestamp = request.options.update_timestamp || own.update_timestamp;
    withdrawn = report.Withdrawn();
    if (withdrawn) return Error(ErrorCode::kConflict, "withdrawn");  // Rolls back.
    return {};
  });
  if (!staged && !withdrawn) return staged.error();
  report.finished_ns = NowNs();
  return report;
}

Result<VersionInfo> Workspace::KeepReport(const StageReport& report) {
  STAGEFS_ASSIGN_OR_RETURN(IncomingFile file, repository_.NewIncoming());
  STAGEFS_RETURN_IF_ERROR(WriteReportJson(report, [&](std::string_view text) { return file.Write(text); }));
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, repository_.Adopt(std::move(file)));
  STAGEFS_RETURN_IF_ERROR(NameReport(version));
  return version;
}

}  // namespace stagefs
