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
#include "stagefs/parallel.h"
#include "stagefs/posix_env.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"
#include "stagefs/uploads.h"
#include "stagefs/work_progress.h"
#include "version_health.h"

namespace stagefs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kTogether = 16;
constexpr size_t kTakenBackTogether = 256;
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

// Rows of unused versions. Returns those that went.
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
  ExpectSteps(static_cast<int64_t>(unused.size()));
  const Status swept = InTurns([&](const IsOver& is_over) -> Result<bool> {
    if (next == unused.size()) return true;
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
    std::vector<Sha256> of_turn;
    // So many at least: where the index is far away its turn alone may take longer than it should last.
    size_t done = 0;
    for (; next < unused.size() && (done < kTogether || !is_over()); ++next, ++done) {
      STAGEFS_ASSIGN_OR_RETURN(const bool went, turn->SweepVersion(unused[next].id, before_ns));
      if (!went) continue;
      of_turn.push_back(unused[next].content.sha256);
      report->bytes += unused[next].size_bytes;
    }
    STAGEFS_RETURN_IF_ERROR(turn->Commit());
    erased.insert(of_turn.begin(), of_turn.end());
    NoteSteps(static_cast<int64_t>(done));
    return next == unused.size();
  });
  STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
  STAGEFS_RETURN_IF_ERROR(turn->EndSweep());
  STAGEFS_RETURN_IF_ERROR(turn->Commit());
  if (!swept) return swept.error();
  report->versions = static_cast<int64_t>(erased.size());
  return erased;
}

Status ForgetTakenBack(Repository& repository, int64_t before_ns) {
  return InTurns([&](const IsOver&) -> Result<bool> {
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
    STAGEFS_ASSIGN_OR_RETURN(const int64_t erased, turn->EraseTakenBack(before_ns, kTakenBackTogether));
    STAGEFS_RETURN_IF_ERROR(turn->Commit());
    return erased < static_cast<int64_t>(kTakenBackTogether);
  });
}

// Bytes without a row are kept as long as others: whoever has a backup of the index may want them.
Status RemoveOrphans(Repository& repository, const std::set<Sha256>& erased, int64_t before_ns, GcReport* report) {
  STAGEFS_ASSIGN_OR_RETURN(const auto all, ListOrphans(repository));
  VersionStore& versions = repository.versions();
  const size_t threads = versions.IsElsewhere() ? kRequestsAtOnce : 1;
  std::vector<char> is_old(all.size());
  STAGEFS_RETURN_IF_ERROR(InParallel(all.size(), threads, [&](uint64_t i) -> Status {
    const auto arrived_ns = erased.contains(all[i]) ? Result<int64_t>(INT64_MIN) : versions.ArrivedNs(all[i]);
    is_old[i] = arrived_ns && *arrived_ns < before_ns;
    return {};
  }));
  std::vector<Sha256> orphans;
  for (size_t i = 0; i < all.size(); ++i) {
    if (is_old[i]) orphans.push_back(all[i]);
  }
  size_t next = 0;
  ExpectSteps(static_cast<int64_t>(orphans.size()));
  return InTurns([&](const IsOver& is_over) -> Result<bool> {
    if (next == orphans.size()) return true;
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
    do {
      std::vector<HashRef> some;
      for (size_t i = next; i < std::min(next + kTogether, orphans.size()); ++i) some.emplace_back(orphans[i]);
      STAGEFS_ASSIGN_OR_RETURN(const auto rows, turn->FindVersions(some));
      STAGEFS_RETURN_IF_ERROR(InParallel(some.size(), threads, [&](uint64_t i) -> Status {
        if (rows[i]) return {};
        const Status removed = versions.Remove(orphans[next + i]);
        return !removed && removed.error().code() != ErrorCode::kNotFound ? removed : Status();
      }));
      for (size_t i = 0; i < some.size(); ++i) report->orphans += !rows[i] && !erased.contains(orphans[next + i]);
      next += some.size();
      NoteSteps(static_cast<int64_t>(some.size()));
    } while (next < orphans.size() && !is_over());
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
  STAGEFS_ASSIGN_OR_RETURN(const std::set<Sha256> erased, SweepRows(repository, before_ns, time.record, &report));
  STAGEFS_RETURN_IF_ERROR(ForgetTakenBack(repository, before_ns));
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
