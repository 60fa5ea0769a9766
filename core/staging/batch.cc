// Staging a whole manifest: the core behind the inbox, dropped manifests, HTTP and the command line.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "index/held_reader.h"
#include "stagefs/counters.h"
#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"
#include "closed_files.h"
#include "workspace_change.h"

namespace stagefs {
namespace {

// Entries are sorted in runs of this many: neighbours in the tree are neighbours in the index, and memory
// stays bounded. Runs are in the manifest's order, so the last entry of a path wins.
constexpr size_t kRunEntriesMax = 8'192;
constexpr size_t kRunBytesMax = 4 << 20;
// Where the index is far away, each run costs a few round trips.
constexpr size_t kFarAwayRuns = 4;
constexpr size_t kFindTogether = 512;
constexpr size_t kFoldersKnownMax = 65'536;
constexpr size_t kMd5Digits = 32;
constexpr const char* kNoMd5 = " (128 bits are XXH3-128 here: MD5 names no version)";

// Lets a map be asked for a std::string_view.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

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

// Trouble with the index ends the batch; trouble with an entry is the entry's.
bool IsTrouble(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kIo:
    case ErrorCode::kInterrupted:
    case ErrorCode::kNoSpace:
    case ErrorCode::kCorrupt:
    case ErrorCode::kReadOnly: return true;
    default: return false;
  }
}

// What became of the paths of a batch so far, by 62 bits of their hashes: 8 bytes for each of the first 4,194,304.
class Outcomes {
 public:
  // What became of an earlier entry for `path`, if there was one.
  std::optional<StageOutcome> Exchange(const std::string& path, StageOutcome outcome) {
    if (used_ >= kPathsMax) return std::nullopt;
    if (2 * (used_ + 1) > slots_.size()) Grow();
    const uint64_t before = PutKey((KeyOf(path) & ~uint64_t{3}) | static_cast<uint64_t>(outcome));
    return before == 0 ? std::nullopt : std::optional(static_cast<StageOutcome>(before & 3));
  }

 private:
  static constexpr size_t kPathsMax = 4 << 20;
  static constexpr size_t kSlotsMin = 1 << 10;

  // Never 0, which is an empty slot.
  static uint64_t KeyOf(const std::string& path) { return std::hash<std::string>()(path) | 4; }
  // Returns what was in its slot.
  uint64_t PutKey(uint64_t key) {
    const size_t mask = slots_.size() - 1;  // A power of two.
    size_t at = (key >> 2) & mask;
    while (slots_[at] != 0 && slots_[at] >> 2 != key >> 2) at = (at + 1) & mask;
    used_ += slots_[at] == 0;
    return std::exchange(slots_[at], key);
  }
  void Grow() {
    std::vector<uint64_t> before(std::max(kSlotsMin, 2 * slots_.size()));
    std::swap(before, slots_);
    used_ = 0;
    for (const uint64_t key : before) {
      if (key != 0) PutKey(key);
    }
  }

  std::vector<uint64_t> slots_;
  size_t used_ = 0;
};

// Two threads share a large manifest: the caller's reads it and sorts runs, the other one writes rows, and both find
// the versions that a run names. The caller's looks them up through a reader of its own, where there is one to spare,
// which sees what the transaction sees: nobody else commits while it lasts, and a batch adds no version. A manifest of
// one run is staged where it is read.
class Batch {
 public:
  Batch(StagingIndex& index, Overlay& overlay, const Workspace::ManifestRequest& request, StageReport* report)
      : index_(index), far_away_(index.IsShared()), request_(request), overlay_(overlay), report_(*report) {}
  ~Batch() {
    if (!stager_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      next_.reset();
    }
    AwaitStager();
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  Status Add(const ManifestOptions& options, ManifestEntry entry) {
    if (run_->entries.empty()) run_->options = options;
    run_bytes_ += entry.hash.size() + entry.path.size() + sizeof(Waiting);
    run_->entries.push_back({std::move(entry), run_->entries.size(), {}, {}, false});
    const size_t times = far_away_ ? kFarAwayRuns : 1;
    if (run_->entries.size() < times * kRunEntriesMax && run_bytes_ < times * kRunBytesMax) return {};
    return HandOver();
  }

  // Stages what is left; the report is complete afterwards.
  Status Finish() {
    if (!stager_.joinable()) {
      Sort(run_.get());
      FindSome(overlay_.index(), run_.get());
      return StageRun(run_.get());
    }
    STAGEFS_RETURN_IF_ERROR(HandOver());
    AwaitStager();
    return failed_;
  }

 private:
  struct Found {
    RepoPath path;
    VersionInfo version;
  };
  struct Waiting {
    ManifestEntry entry;
    size_t position;
    std::optional<RepoPath> path;
    std::optional<Result<Found>> found;  // An error before it was looked up: the path is none.
    bool names_folder;                   // By a slash at its end.

    const std::string& key() const { return path ? path->str() : entry.path; }
  };
  struct Run {
    ManifestOptions options;
    std::vector<Waiting> entries;
    bool nested = false;  // Some path is a folder on the way to another.
    std::atomic<size_t> taken = 0;  // So many of them are being looked up;
    size_t found = 0;               // so many were. Guarded by mutex_.
  };

  Status HandOver() {
    if (!stager_.joinable()) {
      const HeldReader::Beside beside;
      if (auto versions = index_.Read()) versions_ = std::move(*versions);
      else if (versions.error().code() != ErrorCode::kBusy) return versions.error();
      stager_ = std::thread([this, caller = WorkingFor::Current()] {
        const WorkingFor scope(caller);
        StageRuns();
      });
    }
    Sort(run_.get());
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !next_ || !failed_; });
      if (!failed_) return failed_;
      next_ = run_;
    }
    changed_.notify_all();
    if (versions_) FindSome(*versions_, run_.get());
    run_ = std::make_shared<Run>();
    run_bytes_ = 0;
    return {};
  }

  // No run comes any more.
  void AwaitStager() {
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
    }
    changed_.notify_all();
    stager_.join();
  }

  void StageRuns() {
    for (;;) {
      std::shared_ptr<Run> run;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return next_ || finished_; });
        if (!next_) return;
        run = std::move(next_);
      }
      changed_.notify_all();
      FindSome(overlay_.index(), run.get());
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return run->found == run->entries.size(); });
      }
      const Status staged = StageRun(run.get());
      if (staged) continue;
      {
        const std::lock_guard lock(mutex_);
        failed_ = staged;
      }
      changed_.notify_all();
      return;
    }
  }

  // Everything is decided on the path as it is normalised, however it was spelt.
  void Sort(Run* run) const {
    std::vector<Waiting>& entries = run->entries;
    for (Waiting& waiting : entries) {
      auto path = PathOf(run->options, waiting.entry.path);
      if (path) waiting.path = std::move(*path);
      else waiting.found = path.error();
      waiting.names_folder = waiting.entry.path.ends_with('/');
    }
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Waiting& a, const Waiting& b) { return ComesBefore(a.key(), b.key()); });
    // Where one path is a folder on the way to another, which of them is refused follows from their order.
    for (size_t i = 1; i < entries.size(); ++i) {
      const std::string& above = entries[i - 1].key();
      const std::string& below = entries[i].key();
      if (below.size() > above.size() && below[above.size()] == '/' && below.starts_with(above)) {
        std::sort(entries.begin(), entries.end(),
                  [](const Waiting& a, const Waiting& b) { return a.position < b.position; });
        run->nested = true;
        break;
      }
    }
  }

  // Finds versions that the other thread does not look up meanwhile, until none is left.
  void FindSome(IndexReader& versions, Run* run) {
    for (;;) {
      const size_t begin = run->taken.fetch_add(kFindTogether);
      if (begin >= run->entries.size()) return;
      const size_t end = std::min(begin + kFindTogether, run->entries.size());
      Find(versions, run, begin, end);
      {
        const std::lock_guard lock(mutex_);
        run->found += end - begin;
      }
      changed_.notify_all();
    }
  }

  void Find(IndexReader& versions, Run* run, size_t begin, size_t end) const {
    std::vector<HashRef> hashes;
    std::vector<Waiting*> asked;
    for (size_t i = begin; i < end; ++i) {
      Waiting& waiting = run->entries[i];
      if (waiting.found) continue;
      if (waiting.entry.target) {
        waiting.found = Found{*waiting.path, {}};
        continue;
      }
      const auto hash = HashRef::Parse(waiting.entry.hash);
      if (!hash) {
        waiting.found = hash.error();
        continue;
      }
      waiting.found = Found{*waiting.path, {}};
      hashes.push_back(*hash);
      asked.push_back(&waiting);
    }
    auto found = versions.FindVersions(hashes);
    for (size_t i = 0; i < asked.size(); ++i) {
      Waiting& waiting = *asked[i];
      if (!found) {
        waiting.found = found.error();
      } else if ((*found)[i]) {
        (*waiting.found)->version = *(*found)[i];
      } else {
        waiting.found = Error(ErrorCode::kNotFound, "version " + waiting.entry.hash + ": no such version" +
                                                        (waiting.entry.hash.size() == kMd5Digits ? kNoMd5 : ""));
      }
    }
  }

  Result<RepoPath> PathOf(const ManifestOptions& options, const std::string& written) const {
    const bool as_written = !options.backslash && options.strip_prefix.empty();
    STAGEFS_ASSIGN_OR_RETURN(const std::string changed,
                             as_written ? Result<std::string>("") : Respelt(options, written));
    STAGEFS_ASSIGN_OR_RETURN(RepoPath below, RepoPath::Parse(as_written ? written : changed));
    if (request_.directory.is_root()) return below;
    return request_.directory.Join(below);
  }

  static Result<std::string> Respelt(const ManifestOptions& options, std::string path) {
    if (options.backslash) std::replace(path.begin(), path.end(), '\\', '/');
    if (!options.strip_prefix.empty()) {
      if (!path.starts_with(options.strip_prefix)) {
        return Error(ErrorCode::kInvalidArgument, "path '" + ToDisplayUtf8(path) + "' does not begin with '" +
                                                      ToDisplayUtf8(options.strip_prefix) + "'");
      }
      path.erase(0, options.strip_prefix.size());
      path.erase(0, path.find_first_not_of('/'));
    }
    return path;
  }

  Status StageRun(Run* run) {
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    std::vector<std::pair<size_t, RefusedEntry>> refused;
    if (folders_.size() >= kFoldersKnownMax) folders_.clear();
    if (far_away_ && !run->nested) STAGEFS_RETURN_IF_ERROR(Expect(*run));
    for (Waiting& waiting : run->entries) {
      ++report_.entries;
      const auto staged = StageOne(run->options, waiting);
      if (!staged) {
        if (IsTrouble(staged.error())) return staged.error();
        ManifestEntry& entry = waiting.entry;
        refused.emplace_back(waiting.position,
                             RefusedEntry{std::move(entry.hash), std::move(entry.path), staged.error().message(),
                                          staged.error().code(), entry.number});
        continue;
      }
      const std::string& path = waiting.key();
      if (const auto before = outcomes_.Exchange(path, *staged)) {
        --*CountOf(*before);
        STAGEFS_RETURN_IF_ERROR(report_.replaced.Append({"", path, "a later entry names the same path"}));
      }
      ++*CountOf(*staged);
    }
    std::sort(refused.begin(), refused.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [position, entry] : refused) STAGEFS_RETURN_IF_ERROR(report_.refused.Append(entry));
    if (request_.progress) request_.progress(report_.entries);
    return {};
  }

  int64_t* CountOf(StageOutcome outcome) {
    switch (outcome) {
      case StageOutcome::kAdded: return &report_.added;
      case StageOutcome::kModified: return &report_.modified;
      case StageOutcome::kUnchanged:
      case StageOutcome::kScratch: break;
    }
    return &report_.unchanged;
  }

  static std::string_view DirectoryOf(const RepoPath& path) {
    const std::string_view text = path.str();
    return text.substr(0, text.size() - path.name().size() - (path.name().size() < text.size() ? 1 : 0));
  }

  // Lets the index read in one go what the run will ask for, level by level of its folders, which are made on the way.
  Status Expect(const Run& run) {
    std::map<size_t, std::set<RepoPath>> levels;  // By the number of their parents.
    for (const Waiting& waiting : run.entries) {
      if (!*waiting.found || folders_.contains(DirectoryOf((*waiting.found)->path))) continue;
      RepoPath directory = (*waiting.found)->path.parent();
      for (; !directory.is_root() && !folders_.contains(directory.str()); directory = directory.parent()) {
        const auto depth = static_cast<size_t>(std::count(directory.str().begin(), directory.str().end(), '/'));
        if (!levels[depth].insert(directory).second) break;
      }
    }
    std::vector<Slot> slots;
    for (const auto& [depth, level] : levels) {
      slots.clear();
      for (const RepoPath& directory : level) AddSlot(directory, &slots);
      STAGEFS_RETURN_IF_ERROR(overlay_.Expect(slots));
      for (const RepoPath& directory : level) {
        // Where a folder cannot be, each entry below it says so.
        if (const auto folder = FolderOf(directory); !folder && IsTrouble(folder.error())) return folder.error();
      }
    }
    slots.clear();
    for (const Waiting& waiting : run.entries) {
      if (*waiting.found) AddSlot((*waiting.found)->path, &slots);
    }
    return overlay_.Expect(slots);
  }

  // Where `path` is, if its folder is known.
  void AddSlot(const RepoPath& path, std::vector<Slot>* slots) const {
    const std::string_view directory = DirectoryOf(path);
    const auto folder = folders_.find(directory);
    if (folder != folders_.end()) slots->push_back({folder->second, std::string(path.name())});
    else if (directory.empty()) slots->push_back({kRootFolder, std::string(path.name())});
  }

  Result<StageOutcome> StageOne(const ManifestOptions& options, const Waiting& waiting) {
    const Result<Found>& found = *waiting.found;
    if (!found) return found.error();
    STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, FolderOf(found->path.parent()));
    const Slot slot{folder, std::string(found->path.name())};
    if (waiting.names_folder) {
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> there, overlay_.LookUp(slot));
      if (!there || there->kind != EntryKind::kFile) {
        return Error(ErrorCode::kInvalidArgument, "path '" + ToDisplayUtf8(waiting.entry.path) + "' names a folder");
      }
    }
    StageHow how;
    how.update_timestamp = request_.options.update_timestamp || options.update_timestamp;
    how.mtime_ns = waiting.entry.mtime_ns;
    if (waiting.entry.target) {
      STAGEFS_ASSIGN_OR_RETURN(const StagedFile link, overlay_.StageSymlink(slot, *waiting.entry.target, how.mtime_ns));
      return link.outcome;
    }
    how.keep_mtime = how.mtime_ns.has_value();
    if (waiting.entry.executable) how.mode = FileMode{*waiting.entry.executable, std::nullopt};
    STAGEFS_ASSIGN_OR_RETURN(const StagedFile staged, overlay_.StageVersion(slot, found->version, how));
    return staged.outcome;
  }

  // A batch makes folders and moves none, so they are remembered while it lasts.
  Result<FolderId> FolderOf(const RepoPath& directory) {
    if (directory.is_root()) return kRootFolder;
    if (const auto known = folders_.find(directory.str()); known != folders_.end()) return known->second;
    STAGEFS_ASSIGN_OR_RETURN(const FolderId above, FolderOf(directory.parent()));
    STAGEFS_ASSIGN_OR_RETURN(const FolderId folder, overlay_.EnsureFolder({above, std::string(directory.name())}));
    folders_[directory.str()] = folder;
    return folder;
  }

  StagingIndex& index_;
  const bool far_away_;
  const Workspace::ManifestRequest& request_;
  // The caller's thread.
  std::shared_ptr<Run> run_ = std::make_shared<Run>();
  size_t run_bytes_ = 0;
  std::unique_ptr<IndexReader> versions_;
  // The thread that stages.
  Overlay& overlay_;
  StageReport& report_;
  std::unordered_map<std::string, FolderId, TextHash, std::equal_to<>> folders_;
  Outcomes outcomes_;
  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Run> next_;
  bool finished_ = false;
  Status failed_;
  std::thread stager_;
};

}  // namespace

Result<StageReport> Workspace::StageManifest(const ManifestRequest& request) {
  const auto begun = std::chrono::steady_clock::now();
  StageReport report(repository_.incoming());
  report.directory = request.directory.str();
  report.dry_run = request.dry_run;
  bool rolls_back = false;
  // It may name what was just closed. Where that does not come, its entries say so.
  (void)AwaitClosedFiles(repository_, std::nullopt);
  const Durability durability = request.dry_run ? Durability::kProcessDeath : Durability::kPowerLoss;
  const Status staged = Mutate(durability, [&](Overlay& overlay) -> Status {
    Batch batch(repository_.index(), overlay, request, &report);
    STAGEFS_ASSIGN_OR_RETURN(const ManifestOptions own,
                             ReadManifest(*request.source, request.format, request.options,
                                          [&](const ManifestOptions& options, ManifestEntry entry) {
                                            return batch.Add(options, std::move(entry));
                                          }));
    STAGEFS_RETURN_IF_ERROR(batch.Finish());
    report.atomic = request.options.atomic || own.atomic;
    report.update_timestamp = request.options.update_timestamp || own.update_timestamp;
    report.columns = own.columns;
    report.counts_entries = own.counts_entries;
    rolls_back = report.dry_run || report.Withdrawn();
    if (rolls_back) return Error(ErrorCode::kConflict, "withdrawn");
    return {};
  });
  if (!staged && !rolls_back) return staged.error();
  report.finished_ns = NowNs();
  if (report.dry_run) return report;
  Counters().batch.Note(std::chrono::steady_clock::now() - begun);
  Counters().batch_entries.fetch_add(report.entries);
  Counters().batch_refused.fetch_add(static_cast<int64_t>(report.refused.size()));
  return report;
}

Result<VersionInfo> Workspace::KeepReport(const StageReport& report) {
  STAGEFS_ASSIGN_OR_RETURN(IncomingFile file, repository_.NewIncoming());
  STAGEFS_RETURN_IF_ERROR(WriteReportJson(report, [&](std::string_view text) { return file.Write(text); }));
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, repository_.Adopt(std::move(file)));
  STAGEFS_RETURN_IF_ERROR(NameReport(version));
  return version;
}

Status Workspace::NameReport(const VersionInfo& report) {
  return Mutate(Durability::kProcessDeath, [&](Overlay& overlay) -> Status {
    WorkspaceInfo info = overlay.workspace();
    info.report = report.id;
    return overlay.transaction().PutWorkspace(info);
  });
}

}  // namespace stagefs
