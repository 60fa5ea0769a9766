#include "recovery.h"

#include <fcntl.h>

#include "durable/durable_change.h"
#include "stagefs/history.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"
#include "stagefs/working_copy.h"

namespace stagefs {
namespace {

// In the index: the boot of this machine that was the last to look after versions that were not synced.
std::string BootKey(Repository& repository) { return repository.index().IsShared() ? "boot " + MachineId() : "boot"; }

bool IsWhole(VersionStore& store, const VersionInfo& version) {
  const auto reader = store.Open(version.content.sha256);
  if (!reader || (*reader)->size_bytes() != version.size_bytes) return false;
  ContentHasher hasher;
  std::vector<char> buffer(256 << 10);
  for (uint64_t offset = 0; offset < version.size_bytes;) {
    const auto got = (*reader)->ReadAt(buffer.data(), buffer.size(), offset);
    if (!got || *got == 0) return false;
    hasher.Update(buffer.data(), *got);
    offset += *got;
  }
  return hasher.Finish() == version.content;
}

Status FallBack(Repository& repository, const VersionInfo& lost) {
  STAGEFS_ASSIGN_OR_RETURN(
      const auto change, DurableChange::Begin(repository, Durability::kPowerLoss, Turn::Everything()));
  IndexTransaction& transaction = change->index();
  STAGEFS_ASSIGN_OR_RETURN(const auto entries, transaction.UnsyncedEntriesOf(lost.id));
  STAGEFS_RETURN_IF_ERROR(transaction.EraseEntriesOf(lost.id).WithoutValue());
  for (const UnsyncedEntry& entry : entries) {
    if (!entry.previous) continue;  // Of an older stagefs.
    if (const VersionId version = entry.previous->entry.version; version != 0) {
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> there, transaction.GetVersion(version));
      if (!there || version == lost.id) continue;  // Lost, too.
    }
    STAGEFS_RETURN_IF_ERROR(transaction.PutStaged(entry.workspace, entry.slot, *entry.previous));
    STAGEFS_RETURN_IF_ERROR(transaction.NoteChange(entry.workspace, entry.slot.folder, kNoMount));
  }
  STAGEFS_RETURN_IF_ERROR(transaction.EraseVersion(lost.id));
  return change->Commit();
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
  STAGEFS_ASSIGN_OR_RETURN(commit, transaction.AddCommit(commit));
  STAGEFS_RETURN_IF_ERROR(transaction.PutBranch({std::string(kDefaultBranch), commit.seq}));
  STAGEFS_RETURN_IF_ERROR(transaction.PutMeta(BootKey(repository), BootId()));
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
  for (const VersionInfo& version : unsynced) {
    if (IsWhole(repository.versions(), version)) continue;
    STAGEFS_RETURN_IF_ERROR(FallBack(repository, version));
    ++report->lost_versions;
  }
  STAGEFS_ASSIGN_OR_RETURN(
      const auto change, DurableChange::Begin(repository, Durability::kPowerLoss, Turn::Everything()));
  IndexTransaction& transaction = change->index();
  STAGEFS_RETURN_IF_ERROR(transaction.PutMeta(BootKey(repository), BootId()));
  return change->Commit();
}

}  // namespace

Result<RecoveryReport> Recover(Repository& repository) {
  RecoveryReport report;
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto branches, reader->ListBranches());
  reader.reset();
  if (branches.empty()) STAGEFS_RETURN_IF_ERROR(LayOut(repository));
  STAGEFS_RETURN_IF_ERROR(RecoverUnsyncedVersions(repository, &report));
  STAGEFS_RETURN_IF_ERROR(RecoverWorkingCopies(repository, &report));
  return report;
}

}  // namespace stagefs
