#include "recovery.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "durable/durable_change.h"
#include "durable/version_bytes.h"
#include "stagefs/history.h"
#include "stagefs/posix_env.h"
#include "stagefs/recovered.h"
#include "stagefs/uploads.h"
#include "stagefs/version_store.h"
#include "stagefs/working_copy.h"
#include "stagefs/workspace.h"

namespace stagefs {
namespace {

constexpr size_t kRowsTogether = 1024;

// An index that cannot be read may call itself damaged, and says nothing of a copy then.
bool AskAgain(const Error& error) { return MayPass(error.code()) || error.code() == ErrorCode::kCorrupt; }

// In the index: the boot of this machine that was the last to look after versions that were not synced.
std::string BootKey(Repository& repository) { return repository.index().IsShared() ? "boot " + MachineId() : "boot"; }

// What `lost` replaced where it was closed, for a place it was moved to since, with nothing there before.
Status CarryBack(IndexTransaction& transaction, WorkspaceId workspace, VersionId lost, const Entry& previous) {
  std::optional<Slot> after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto rows, transaction.ScanStaged(workspace, after, kRowsTogether));
    for (const auto& row : rows) {
      if (row.staged.entry.version != lost) continue;
      StagedEntry staged = row.staged;
      staged.entry.version = previous.version;
      staged.entry.size_bytes = previous.size_bytes;
      staged.entry.mtime_ns = previous.mtime_ns;
      STAGEFS_RETURN_IF_ERROR(transaction.PutStaged(workspace, row.slot, staged));
      return transaction.NoteChange(workspace, row.slot.folder, kNoMount);
    }
    if (rows.size() < kRowsTogether) return {};
    after = rows.back().slot;
  }
}

// Where `lost` still is, its slots get back what was there before. Others may have recovered meanwhile, put the bytes
// there again, or staged something else: all is looked at once more. Whether it was lost indeed.
Result<bool> FallBack(Repository& repository, const VersionInfo& lost) {
  STAGEFS_ASSIGN_OR_RETURN(
      const auto change, DurableChange::Begin(repository, Durability::kPowerLoss, Turn::Everything()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> now, transaction.GetVersion(lost.id));
  if (!now || now->synced || now->content != lost.content) return false;
  STAGEFS_ASSIGN_OR_RETURN(const bool whole, AreWhole(repository.versions(), lost));
  if (whole) return false;
  STAGEFS_ASSIGN_OR_RETURN(const auto entries, transaction.UnsyncedEntriesOf(lost.id));
  std::vector<UnsyncedEntry> here, moved;
  for (const UnsyncedEntry& entry : entries) {
    if (!entry.previous) continue;  // Of an older stagefs.
    if (const VersionId version = entry.previous->entry.version; version != 0) {
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> there, transaction.GetVersion(version));
      if (!there || version == lost.id) continue;  // Lost, too.
    }
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> staged,
                             transaction.LookUpStaged(entry.workspace, entry.slot.folder, entry.slot.name));
    if (staged && staged->entry.version == lost.id) here.push_back(entry);
    else if (entry.previous->entry.version != 0) moved.push_back(entry);
  }
  for (const UnsyncedEntry& entry : here) {
    STAGEFS_RETURN_IF_ERROR(transaction.PutStaged(entry.workspace, entry.slot, *entry.previous));
    STAGEFS_RETURN_IF_ERROR(transaction.NoteChange(entry.workspace, entry.slot.folder, kNoMount));
  }
  for (const UnsyncedEntry& entry : moved) {
    STAGEFS_RETURN_IF_ERROR(CarryBack(transaction, entry.workspace, lost.id, entry.previous->entry));
  }
  STAGEFS_RETURN_IF_ERROR(transaction.EraseEntriesOf(lost.id).WithoutValue());
  // One that a commit names keeps its row: fsck says that it is missing, and storing it again mends it.
  STAGEFS_ASSIGN_OR_RETURN(const bool committed, transaction.IsCommitted(lost.id));
  STAGEFS_RETURN_IF_ERROR(committed ? transaction.SetSynced(lost.id) : transaction.EraseVersion(lost.id));
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  return true;
}

// The first commit, the default branch, and the empty version, which every store has.
Status LayOut(Repository& repository) {
  STAGEFS_RETURN_IF_ERROR(repository.PutBytes("").WithoutValue());
  STAGEFS_ASSIGN_OR_RETURN(
      const auto change, DurableChange::Begin(repository, Durability::kPowerLoss, Turn::Everything()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const auto made_meanwhile, transaction.ListBranches());
  if (!made_meanwhile.empty()) return {};
  CommitInfo commit;
  commit.id = RandomHex();
  commit.message = "Initialized repository";
  commit.author = "stagefs";
  commit.email = "stagefs@localhost";
  commit.time_ns = NowNs();
  STAGEFS_ASSIGN_OR_RETURN(commit, transaction.AddCommit(commit, std::string(kDefaultBranch)));
  STAGEFS_RETURN_IF_ERROR(transaction.PutBranch({std::string(kDefaultBranch), commit.seq, commit.lineage}));
  STAGEFS_RETURN_IF_ERROR(transaction.PutMeta(BootKey(repository), BootId()));
  return change->Commit();
}

Status MarkBoot(Repository& repository) {
  STAGEFS_ASSIGN_OR_RETURN(
      const auto change, DurableChange::Begin(repository, Durability::kPowerLoss, Turn::NothingElse()));
  STAGEFS_RETURN_IF_ERROR(change->index().PutMeta(BootKey(repository), BootId()));
  return change->Commit();
}

// After another boot, contents that were closed and not synced yet may be gone or cut short: each is hashed
// again, and the entries of a lost one fall back to what they were before.
Status RecoverUnsyncedVersions(Repository& repository, RecoveryReport* report) {
  StagingIndex& index = repository.index();
  STAGEFS_ASSIGN_OR_RETURN(auto reader, index.Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<std::string> boot, reader->GetMeta(BootKey(repository)));
  if (boot == BootId()) return {};
  STAGEFS_ASSIGN_OR_RETURN(const auto unsynced, reader->ListUnsynced(SIZE_MAX >> 1));
  reader.reset();
  bool all = true;
  for (const VersionInfo& version : unsynced) {
    const auto whole = AreWhole(repository.versions(), version);
    if (whole && *whole) continue;
    const auto lost = whole ? FallBack(repository, version) : Result<bool>(whole.error());
    if (lost) {
      report->lost_versions += *lost;
    } else {
      repository.NoteDoubtful(version);
      ++report->left_for_later;
      all = false;
    }
  }
  // Without the mark the next start looks again.
  if (all && !MarkBoot(repository)) ++report->left_for_later;
  return {};
}

// What is known of a copy that is to be staged.
struct KeptCopy {
  WorkspaceId workspace = 0;
  Slot slot;
  std::optional<VersionId> base_version;
  std::optional<WorkingCopyPlace> closed;
};

std::optional<KeptCopy> KeptCopyOf(const WorkingCopyRow* row, const std::optional<WorkingCopyPlace>& place) {
  const bool synced_since = row != nullptr && place && place->state == WorkingCopyState::kRewritten;
  if (place && place->was_closed() && !synced_since) {
    const VersionId over = place->closed.over;
    return KeptCopy{place->workspace, place->slot, over != 0 ? std::optional(over) : std::nullopt, place};
  }
  if (row == nullptr) return std::nullopt;
  return KeptCopy{row->workspace, row->slot, row->base_version, std::nullopt};
}

// Stages a copy that fsync() kept, or that was closed, if its path still is what it was then; one that was staged
// already, just before the crash, is done.
Result<bool> Restage(Repository& repository, const KeptCopy& row, const std::string& file) {
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> info, reader->GetWorkspace(row.workspace));
  reader.reset();
  if (!info) return false;
  STAGEFS_ASSIGN_OR_RETURN(const auto workspace, Workspace::Open(repository, info->uid));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> now, workspace->tree().LookUp(row.slot));
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(file, O_RDONLY));
  STAGEFS_ASSIGN_OR_RETURN(const HashedFile hashed, HashFile(fd.get()));
  if (row.closed) {
    STAGEFS_ASSIGN_OR_RETURN(const bool as_closed, IsAsClosed(*row.closed, hashed));
    if (!as_closed) return false;  // The power took some of it.
  }
  if (now && now->version != 0) {
    STAGEFS_ASSIGN_OR_RETURN(reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, reader->GetVersion(now->version));
    reader.reset();
    if (version && version->content == hashed.id) {
      // The copy is what survives the next crash until what is staged does.
      STAGEFS_RETURN_IF_ERROR(repository.SyncAll());
      STAGEFS_RETURN_IF_ERROR(RemoveFile(file));
      return true;
    }
  }
  const bool unchanged = row.base_version ? now && now->version == *row.base_version : !now;
  if (!unchanged) return false;
  STAGEFS_RETURN_IF_ERROR(workspace->tree().PathOf(row.slot.folder).WithoutValue());
  StageHow how;
  how.origin = Origin::kWritten;
  if (row.closed) {
    how.mtime_ns = row.closed->closed.mtime_ns;
    how.mode = row.closed->closed.mode;
    how.keep_mtime = true;
  }
  // It keeps its name until what is staged survives the next crash, too.
  const std::string taken = file + ".staged";
  unlink(taken.c_str());
  if (link(file.c_str(), taken.c_str()) != 0) return ErrnoError("link " + file);
  STAGEFS_RETURN_IF_ERROR(workspace->StageFile(row.slot, taken, hashed.id, hashed.size_bytes, how).WithoutValue());
  STAGEFS_RETURN_IF_ERROR(repository.SyncAll());
  STAGEFS_RETURN_IF_ERROR(RemoveFile(file));
  return true;
}

// Where a copy goes that is not staged: what is known of that. The row is durable, its place need not be.
struct Destination {
  std::string workspace, path;
};

Result<Destination> DestinationOf(Repository& repository, const WorkingCopyRow* row,
                                  const std::optional<WorkingCopyPlace>& place, const std::string& file) {
  Destination to{"unknown", place ? place->path : ""};
  const WorkspaceId id = row ? row->workspace : place ? place->workspace : 0;
  std::optional<WorkspaceInfo> info;
  if (id != 0) {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(info, reader->GetWorkspace(id));
    to.workspace = info ? info->uid : "deleted-" + std::to_string(id);
  }
  if (to.path.empty() && row) {
    to.path = row->slot.name;
    if (info) {
      STAGEFS_ASSIGN_OR_RETURN(const auto workspace, Workspace::Open(repository, info->uid));
      const auto folder = workspace->tree().PathOf(row->slot.folder);
      if (!folder && AskAgain(folder.error())) return folder.error();
      if (folder && !folder->empty()) to.path = *folder + '/' + to.path;
    }
  }
  if (to.path.empty()) to.path = file.substr(file.rfind('/') + 1);
  return to;
}

// An error leaves the copy as it is.
Status RecoverCopy(Repository& repository, const WorkingCopyRow* row, const std::optional<WorkingCopyPlace>& place,
                   const std::string& file, RecoveryReport* report) {
  if (const auto kept = KeptCopyOf(row, place)) {
    const auto restaged = Restage(repository, *kept, file);
    if (!restaged && AskAgain(restaged.error())) return restaged.error();
    if (restaged && *restaged) {
      ++report->restaged;
      return {};
    }
  }
  {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(file, O_RDONLY));
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd.get()));
    const bool closed = place && place->was_closed();
    if (!row && !closed && size_bytes == 0) return RemoveFile(file);
    (void)SyncFile(fd.get(), file);  // So that another crash leaves what this one left.
  }
  STAGEFS_ASSIGN_OR_RETURN(const Destination to, DestinationOf(repository, row, place, file));
  STAGEFS_RETURN_IF_ERROR(AddRecovered(repository, to.workspace, to.path, file));
  ++report->recovered;
  return {};
}

// Rows of copies that are staged or moved away, once what was staged is durable.
Status ForgetCopies(Repository& repository, const std::vector<std::string>& keys) {
  if (keys.empty()) return {};
  STAGEFS_ASSIGN_OR_RETURN(
      const auto change,
      DurableChange::Begin(repository, Durability::kPowerLoss, Turn::Everything(), Earlier::kSynced));
  for (const std::string& key : keys) STAGEFS_RETURN_IF_ERROR(change->index().EraseWorkingCopy(key));
  return change->Commit();
}

// What is known of a copy. Where the newest place came to the disk before the bytes that it tells of, an earlier one
// has what was promised.
std::optional<WorkingCopyPlace> PlaceOf(const KnownPlaces& places, const std::string& file) {
  const auto newest = places.of.find(file);
  if (newest == places.of.end()) return std::nullopt;
  const auto earlier = places.earlier.find(file);
  if (!newest->second.was_closed() || earlier == places.earlier.end()) return newest->second;
  const auto fd = OpenFd(file, O_RDONLY);
  const auto hashed = fd ? HashFile(fd->get()) : Result<HashedFile>(fd.error());
  const auto is_so = [&](const WorkingCopyPlace& place) {
    const auto as_closed = hashed ? IsAsClosed(place, *hashed) : Result<bool>(hashed.error());
    return !as_closed || *as_closed;  // What cannot be read now is looked at again.
  };
  if (is_so(newest->second)) return newest->second;
  for (const WorkingCopyPlace& place : earlier->second) {
    if (place.was_closed() && place.closed.content && is_so(place)) return place;
  }
  return newest->second;
}

// REQUIRES: we hold the lock of `instance`. An error says that some of it is left.
Status RecoverInstance(Repository& repository, const std::string& instance, RecoveryReport* report) {
  // Asked only now that its process can add no more.
  std::map<std::string, WorkingCopyRow> rows;
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(auto all, reader->ListWorkingCopies());
    const std::string prefix = WorkingCopyKey(instance + "/");
    for (WorkingCopyRow& row : all) {
      if (row.file.starts_with(prefix)) rows[row.file] = std::move(row);
    }
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto names, ListNames(instance));
  STAGEFS_ASSIGN_OR_RETURN(const KnownPlaces places, ReadPlaces(instance));
  Status outcome;
  for (const std::string& name : names) {
    if (!IsWorkingCopyName(name)) continue;
    const std::string file = instance + '/' + name;
    const auto row = rows.find(WorkingCopyKey(file));
    const WorkingCopyRow* const known = row == rows.end() ? nullptr : &row->second;
    const auto place = PlaceOf(places, file);
    const Status recovered = known || place || places.trouble
                                 ? RecoverCopy(repository, known, place, file, report)
                                 : places.trouble;
    if (recovered) continue;
    outcome = recovered;
    ++report->left_for_later;
    if (row != rows.end()) rows.erase(row);
  }
  std::vector<std::string> done;
  for (const auto& [key, row] : rows) done.push_back(key);
  const Status forgotten = ForgetCopies(repository, done);
  STAGEFS_RETURN_IF_ERROR(outcome);
  STAGEFS_RETURN_IF_ERROR(forgotten);
  // What was on its way, and was acknowledged to nobody.
  for (const std::string& name : names) {
    const std::string file = instance + '/' + name;
    if (unlink(file.c_str()) != 0 && errno != ENOENT) return ErrnoError("remove " + file);
  }
  if (rmdir(instance.c_str()) != 0 && errno != ENOENT) return ErrnoError("remove " + instance);
  return {};
}

bool Lives(const Repository& repository, const std::string& instance) {
  const std::string path = repository.folder() + "/incoming/" + instance;
  if (path == repository.incoming()) return true;
  const auto lock = OpenFd(path + ".lock", O_RDWR);
  if (!lock) return lock.error().code() != ErrorCode::kNotFound;
  return flock(lock->get(), LOCK_EX | LOCK_NB) != 0;
}

Status RecoverUploads(Repository& repository) {
  return Uploads(repository).GiveBackOfDead(
      [&](const std::string& instance) { return Lives(repository, instance); });
}

}  // namespace

void RecoverWorkingCopies(Repository& repository, RecoveryReport* report) {
  const auto instances = ListInstances(repository);
  if (!instances) {
    ++report->left_for_later;
    return;
  }
  for (const std::string& instance : *instances) {
    if (instance == repository.incoming()) continue;
    const auto lock = OpenFd(instance + ".lock", O_RDWR | O_CREAT);
    if (lock && flock(lock->get(), LOCK_EX | LOCK_NB) != 0) continue;  // Its process lives.
    const int64_t left = report->left_for_later;
    Status recovered = lock ? repository.DoubtSyncsOf({instance}) : Status(lock.error());
    if (recovered) recovered = RecoverInstance(repository, instance, report);
    if (recovered) unlink((instance + ".lock").c_str());
    else if (report->left_for_later == left) ++report->left_for_later;
  }
}

Result<RecoveryReport> Recover(Repository& repository) {
  RecoveryReport report;
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto branches, reader->ListBranches());
  reader.reset();
  if (branches.empty()) STAGEFS_RETURN_IF_ERROR(LayOut(repository));
  STAGEFS_RETURN_IF_ERROR(RecoverUnsyncedVersions(repository, &report));
  RecoverWorkingCopies(repository, &report);
  if (!RecoverUploads(repository)) ++report.left_for_later;
  return report;
}

Result<RecoveryReport> CountLeft(Repository& repository) {
  RecoveryReport report;
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<std::string> boot, reader->GetMeta(BootKey(repository)));
  if (boot != BootId()) {
    STAGEFS_ASSIGN_OR_RETURN(const auto unsynced, reader->ListUnsynced(SIZE_MAX >> 1));
    report.left_for_later += static_cast<int64_t>(unsynced.size());
  }
  const auto instances = ListInstances(repository);
  for (const std::string& instance : instances ? *instances : std::vector<std::string>()) {
    const auto lock = OpenFd(instance + ".lock", O_RDONLY);
    if (lock && flock(lock->get(), LOCK_SH | LOCK_NB) != 0) continue;  // Its process lives.
    const auto names = ListNames(instance);
    if (!names) continue;
    report.left_for_later += std::count_if(names->begin(), names->end(), IsWorkingCopyName);
  }
  return report;
}

}  // namespace stagefs
