// What may be wrong with a repository's places and this machine, and what to do.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stagefs/posix_env.h"
#include "stagefs/recovered.h"
#include "stagefs/repositories.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"
#include "stagefs/workspaces.h"

namespace stagefs {
namespace {

constexpr int64_t kSlowNs = 200'000'000;
constexpr int64_t kClockOffNs = 60'000'000'000;
constexpr uint64_t kDiskLowBytes = 1ULL << 30;

std::string Milliseconds(int64_t ns) { return std::to_string(ns / 1'000'000) + " ms"; }

void LookAtIndex(Repository& repository, std::vector<Finding>* findings) {
  const int64_t begun_ns = NowNs();
  auto reader = repository.index().Read();
  const auto clock_ns = reader ? (*reader)->ClockNs() : reader.error();
  if (!clock_ns) {
    findings->push_back({false, "index: " + clock_ns.error().message()});
    return;
  }
  const int64_t took_ns = NowNs() - begun_ns;
  findings->push_back({took_ns < kSlowNs, "index: answers in " + Milliseconds(took_ns) +
                                              (took_ns < kSlowNs ? "" : ": every operation waits for that; use a "
                                                                        "database that is nearer")});
  const int64_t off_ns = *clock_ns - NowNs();
  if (std::abs(off_ns) > kClockOffNs) {
    findings->push_back({false, "clock: this machine is " + std::to_string(off_ns / 1'000'000'000) +
                                    " s behind the index: times of files will be wrong, and S3 may refuse "
                                    "requests; set the clock"});
  }
  const auto dangling = (*reader)->CountDangling();
  reader->reset();  // Before the index opens a connection of its own.
  const auto advice = repository.index().Advice();
  for (const std::string& text : advice ? *advice : std::vector<std::string>{advice.error().message()}) {
    findings->push_back({false, "index: " + text});
  }
  const auto damage = repository.index().CheckIntegrity();
  for (const std::string& text : damage ? *damage : std::vector<std::string>{damage.error().message()}) {
    findings->push_back({false, "index: damaged: " + text + ": restore a backup of it, or stagefs fsck --rebuild"});
  }
  if (dangling && *dangling > 0) {
    findings->push_back(
        {false, std::to_string(*dangling) + " entries name versions without a row: restore the index from a backup"});
  }
}

void LookAtVersions(Repository& repository, std::vector<Finding>* findings) {
  // Written, read back from where it went, and left: the empty version is in every store.
  const int64_t begun_ns = NowNs();
  const auto there = repository.versions().OpenToCheck(EmptyContent().sha256);
  if (!there) {
    findings->push_back({false, "versions: " + there.error().message()});
    return;
  }
  findings->push_back({true, "versions: answer in " + Milliseconds(NowNs() - begun_ns)});
}

}  // namespace

Result<std::vector<Finding>> Diagnose(const std::string& root, const RepositoryName& name,
                                     const RepositoryPlaces& places) {
  std::vector<Finding> findings;
  if (access("/dev/fuse", R_OK | W_OK) != 0) {
    findings.push_back({false, "/dev/fuse: cannot be used, so nothing can be mounted: load the fuse module, or give"
                               " the container the device"});
  }
  if (const auto space = SpaceOf(root); space && space->blocks_available * space->block_bytes < kDiskLowBytes) {
    findings.push_back({false, root + ": less than 1 GiB is free: files on their way in may not fit"});
  }
  const auto repository = OpenRepository(root, name, places);
  if (!repository) {
    findings.push_back({false, repository.error().message()});
    return findings;
  }
  if (const Status writable = (*repository)->CheckWritable(); !writable) {
    findings.push_back({false, writable.error().message()});
    if (const int64_t left = (*repository)->recovery().left_for_later; left > 0) {
      findings.push_back({false, std::to_string(left) + " files that a crash left wait until it can be written to"});
    }
  }
  struct stat info {};
  if (stat((*repository)->folder().c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    findings.push_back({false, (*repository)->folder() + ": others on this machine may look into it: chmod go= it"});
  }
  STAGEFS_ASSIGN_OR_RETURN(const RepositoryPlaces at, RepositoryPlaces::Read((*repository)->folder()));
  if (!at.index.empty() && at.versions.empty()) {
    findings.push_back({false, "versions: in a folder of this machine, while the index is shared: no other machine can"
                               " read them; stagefs migrate them to S3"});
  }
  LookAtIndex(**repository, &findings);
  LookAtVersions(**repository, &findings);
  const auto mounts = Workspaces(**repository).LiveMounts();
  if (mounts) findings.push_back({true, std::to_string(mounts->size()) + " mounts"});
  const auto workspaces = Workspaces(**repository).List();
  for (const WorkspaceInfo& workspace : workspaces ? *workspaces : std::vector<WorkspaceInfo>()) {
    const auto recovered = ListRecovered(**repository, workspace);
    if (recovered && !recovered->empty()) {
      findings.push_back({false, "workspace " + workspace.name.value_or(workspace.uid) + ": " +
                                     std::to_string(recovered->size()) +
                                     " files recovered after a crash wait for stagefs retry or dismiss"});
    }
  }
  const auto of_nobody = ListRecoveredOfNobody(**repository);
  for (const auto& [folder, files] : of_nobody ? *of_nobody : std::vector<RecoveredFolderOfNobody>()) {
    findings.push_back({false, folder + ": " + std::to_string(files) +
                                   " files recovered after a crash, of no workspace: copy what you want, then remove"
                                   " it"});
  }
  return findings;
}

}  // namespace stagefs
