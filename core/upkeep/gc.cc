// gc: what nothing names goes, rows first and bytes afterwards, in turns so short that nobody waits for them.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <sstream>
#include <thread>

#include "durable/reserve.h"
#include "stagefs/posix_env.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"
#include "stagefs/uploads.h"

namespace stagefs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kPage = 1000;
constexpr int64_t kHourNs = 3'600LL * 1'000'000'000LL;
constexpr int64_t kDayNs = 24 * kHourNs;
// So long a turn lasts, and so many times longer nobody has it afterwards: who polls for SQLite's lock, as other
// processes do, gets it soon.
constexpr auto kTurn = std::chrono::milliseconds(3);
constexpr int kPause = 3;
// How far a clock may be ahead of what the repository knows of the time before it is doubted.
constexpr int64_t kAheadInOneBootNs = kDayNs;
constexpr int64_t kAheadNs = 7 * kDayNs;
// In the index: the boot of the last gc, how long it had lasted, and what time it was.
constexpr char kClockKey[] = "gc clock";

// Runs `work` in turns until it says that it is done. It is asked to stop where `is_over` says so.
using IsOver = std::function<bool()>;
Status InTurns(const std::function<Result<bool>(const IsOver& is_over)>& work) {
  for (;;) {
    const auto begun = Clock::now();
    STAGEFS_ASSIGN_OR_RETURN(const bool done, work([&] { return Clock::now() - begun > kTurn; }));
    if (done) return {};
    std::this_thread::sleep_for(kPause * (Clock::now() - begun));
  }
}

// By the clock of the file system, which is another machine's where that keeps it.
Result<int64_t> FileClockNs(const Repository& repository) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenUnnamed(repository.incoming()));
  STAGEFS_RETURN_IF_ERROR(WriteAll(fd.get(), "", 1));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return ErrnoError("stat a new file");
  return ToNs(info.st_mtim);
}

struct GcTime {
  int64_t now_ns = 0;
  bool is_doubtful = false;  // The machine's clock says later.
  std::string record;
};

// The machine's clock may have jumped, or be wrong since the start. So what time it is for gc is never much later than
// what the repository knows: its newest version or commit, and, within one boot, the last gc and how long that is ago.
// A repository in which nothing happens gets older only as the machine runs.
Result<GcTime> TimeFor(Repository& repository, IndexReader& reader) {
  GcTime time;
  if (repository.index().IsShared()) {
    STAGEFS_ASSIGN_OR_RETURN(time.now_ns, reader.ClockNs());
    return time;
  }
  STAGEFS_ASSIGN_OR_RETURN(const int64_t file_clock_ns, FileClockNs(repository));
  const int64_t clock_ns = std::min(NowNs(), file_clock_ns);
  STAGEFS_ASSIGN_OR_RETURN(int64_t known_ns, reader.NewestNs());
  STAGEFS_ASSIGN_OR_RETURN(const auto last, reader.GetMeta(kClockKey));
  int64_t ahead_ns = kAheadNs;
  if (last) {
    std::istringstream text(*last);
    std::string boot;
    int64_t since_boot_ns = 0, last_ns = 0;
    text >> boot >> since_boot_ns >> last_ns;
    const bool same_boot = boot == BootId();
    known_ns = std::max(known_ns, last_ns + (same_boot ? std::max<int64_t>(SinceBootNs() - since_boot_ns, 0) : 0));
    if (same_boot) ahead_ns = kAheadInOneBootNs;
  }
  time.is_doubtful = clock_ns > known_ns + ahead_ns;
  time.now_ns = time.is_doubtful ? known_ns : clock_ns;
  time.record = BootId() + ' ' + std::to_string(SinceBootNs()) + ' ' + std::to_string(time.now_ns);
  return time;
}

// Rows of unused versions, on an index that others use beside a sweep. Returns those that went.
Result<std::set<Sha256>> SweepRows(Repository& repository, int64_t before_ns, const std::string& record,
                                   GcReport* report) {
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
    STAGEFS_RETURN_IF_ERROR(turn->BeginSweep());
    STAGEFS_RETURN_IF_ERROR(turn->PutMeta(kClockKey, record));
    STAGEFS_RETURN_IF_ERROR(turn->Commit());
  }
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto unused, reader->ListUnused(before_ns, SIZE_MAX >> 1));
  reader.reset();
  std::set<Sha256> erased;
  size_t next = 0;
  const Status swept = InTurns([&](const IsOver& is_over) -> Result<bool> {
    if (next == unused.size()) return true;
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
    std::vector<Sha256> of_turn;
    for (; next < unused.size() && !is_over(); ++next) {
      STAGEFS_ASSIGN_OR_RETURN(const bool went, turn->SweepVersion(unused[next].id, before_ns));
      if (!went) continue;
      of_turn.push_back(unused[next].content.sha256);
      report->bytes += unused[next].size_bytes;
    }
    STAGEFS_RETURN_IF_ERROR(turn->Commit());
    erased.insert(of_turn.begin(), of_turn.end());
    return next == unused.size();
  });
  STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
  STAGEFS_RETURN_IF_ERROR(turn->EndSweep());
  STAGEFS_RETURN_IF_ERROR(turn->Commit());
  if (!swept) return swept.error();
  report->versions = static_cast<int64_t>(erased.size());
  return erased;
}

// The same where a transaction has the index to itself.
Result<std::set<Sha256>> EraseRows(Repository& repository, int64_t before_ns, GcReport* report) {
  std::set<Sha256> erased;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
    STAGEFS_ASSIGN_OR_RETURN(const auto unused, turn->ListUnused(before_ns, kPage));
    for (const VersionInfo& version : unused) STAGEFS_RETURN_IF_ERROR(turn->EraseVersion(version.id));
    STAGEFS_RETURN_IF_ERROR(turn->Commit());
    for (const VersionInfo& version : unused) {
      erased.insert(version.content.sha256);
      report->bytes += version.size_bytes;
    }
    if (unused.size() < kPage) break;
  }
  report->versions = static_cast<int64_t>(erased.size());
  return erased;
}

Result<std::vector<Sha256>> ListOrphans(Repository& repository) {
  std::vector<Sha256> stored, orphans;
  STAGEFS_RETURN_IF_ERROR(repository.versions().List([&](const Sha256& hash) {
    stored.push_back(hash);
    return true;
  }));
  std::unique_ptr<IndexReader> reader;
  for (size_t i = 0; i < stored.size(); ++i) {
    if (i % kPage == 0) {
      reader.reset();
      STAGEFS_ASSIGN_OR_RETURN(reader, repository.index().Read());
    }
    STAGEFS_ASSIGN_OR_RETURN(const auto row, reader->FindVersion(HashRef(stored[i])));
    if (!row) orphans.push_back(stored[i]);
  }
  return orphans;
}

// Bytes without a row are kept as long as others: whoever has a backup of the index may want them.
Status RemoveOrphans(Repository& repository, const std::set<Sha256>& erased, int64_t before_ns, GcReport* report) {
  STAGEFS_ASSIGN_OR_RETURN(auto orphans, ListOrphans(repository));
  VersionStore& versions = repository.versions();
  std::erase_if(orphans, [&](const Sha256& hash) {
    if (erased.contains(hash)) return false;
    const auto arrived_ns = versions.ArrivedNs(hash);
    return !arrived_ns || *arrived_ns >= before_ns;
  });
  size_t next = 0;
  return InTurns([&](const IsOver& is_over) -> Result<bool> {
    if (next == orphans.size()) return true;
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
    for (; next < orphans.size() && !is_over(); ++next) {
      STAGEFS_ASSIGN_OR_RETURN(const auto row, turn->FindVersion(HashRef(orphans[next])));
      if (row) continue;
      const Status removed = versions.Remove(orphans[next]);
      if (!removed && removed.error().code() != ErrorCode::kNotFound) return removed.error();
      if (!erased.contains(orphans[next])) ++report->orphans;
    }
    return next == orphans.size();
  });
}

// One gc at a time on this machine: who comes second waits.
Result<UniqueFd> TakeGcLock(const Repository& repository) {
  const std::string path = repository.folder() + "/gc.lock";
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd lock, OpenFd(path, O_RDWR | O_CREAT));
  while (flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoError("lock " + path);
  }
  return lock;
}

Result<GcReport> Collect(Repository& repository, int64_t keep_days) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd lock, TakeGcLock(repository));
  STAGEFS_RETURN_IF_ERROR(repository.SyncAll());
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const GcTime time, TimeFor(repository, *reader));
  reader.reset();
  GcReport report;
  report.counted_until_ns = time.is_doubtful ? std::optional(time.now_ns) : std::nullopt;
  if (!time.is_doubtful) {
    const int64_t unfinished_ns = time.now_ns - kUploadKeepHours * kHourNs;
    STAGEFS_RETURN_IF_ERROR(Uploads(repository).RemoveStale(unfinished_ns).WithoutValue());
    STAGEFS_RETURN_IF_ERROR(repository.versions().RemoveUnfinished(unfinished_ns).WithoutValue());
  }
  // Who keeps nothing asks for no time: a clock that is behind spares nothing either.
  const int64_t before_ns = keep_days == 0 ? INT64_MAX : time.now_ns - keep_days * kDayNs;
  auto swept = SweepRows(repository, before_ns, time.record, &report);
  if (!swept && swept.error().code() == ErrorCode::kUnsupported) swept = EraseRows(repository, before_ns, &report);
  if (!swept) return swept.error();
  const std::set<Sha256> erased = std::move(*swept);
  // Bytes go only now that no durable row names them. Each removal holds a turn, in which every put moves its bytes and
  // adds its row: nobody gets a row for bytes that are about to go.
  STAGEFS_RETURN_IF_ERROR(repository.index().Sync());
  STAGEFS_RETURN_IF_ERROR(RemoveOrphans(repository, erased, before_ns, &report));
  return report;
}

}  // namespace

Result<GcReport> Gc(Repository& repository, int64_t keep_days) {
  if (keep_days < 0) return Error(ErrorCode::kInvalidArgument, "gc: --keep counts days from 0");
  STAGEFS_RETURN_IF_ERROR(repository.CheckWritable());
  auto report = WithReserve(repository.folder(), [&] { return Collect(repository, keep_days); });
  MakeReserve(repository.folder());
  return report;
}

}  // namespace stagefs
