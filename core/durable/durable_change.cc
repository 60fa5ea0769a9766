#include "durable_change.h"

#include <fcntl.h>
#include <unistd.h>

#include "flusher.h"
#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

constexpr size_t kLatecomersMax = SIZE_MAX >> 1;

}  // namespace

Result<std::unique_ptr<DurableChange>> DurableChange::Begin(Repository& repository, Durability durability, Turn turn,
                                                            Earlier earlier) {
  if (earlier == Earlier::kSynced) {
    STAGEFS_RETURN_IF_ERROR(repository.SyncVersions());
  } else if (durability == Durability::kPowerLoss) {
    STAGEFS_RETURN_IF_ERROR(repository.DoubtSyncsOfDead());
  }
  STAGEFS_ASSIGN_OR_RETURN(auto transaction, repository.index_->Begin(durability, turn));
  return std::unique_ptr<DurableChange>(new DurableChange(repository, durability, earlier, std::move(transaction)));
}

DurableChange::~DurableChange() {
  if (!transaction_) return;
  transaction_.reset();
  const WorkingFor nobody(nullptr);  // Else somebody's bytes would be left where nobody looks.
  for (const Taken& file : taken_) (void)GiveBack(file.path, file.hash);
}

Result<VersionInfo> DurableChange::Take(const std::string& path, const ContentId& content, uint64_t size_bytes,
                                        bool synced, bool* is_new) {
  taken_.push_back({path, content.sha256});
  STAGEFS_RETURN_IF_ERROR(repository_.CheckVersionsAreHere(*transaction_));
  STAGEFS_ASSIGN_OR_RETURN(std::optional<VersionInfo> known,
                           transaction_->FindVersion(HashRef(content.sha256)));
  if (is_new != nullptr) *is_new = !known;
  const bool doubtful = repository_.doubtful_.Lock()->contains(content.sha256);
  STAGEFS_ASSIGN_OR_RETURN(const Presence there,
                           known && !doubtful ? repository_.versions_->Locate(content.sha256) : Presence::kNowhere);
  if (there != Presence::kNowhere) {
    STAGEFS_RETURN_IF_ERROR(transaction_->RenewVersion(known->id, ClockNs()));
    STAGEFS_RETURN_IF_ERROR(RemoveFile(path));
    return *known;
  }
  VersionInfo version;
  if (known) {
    version = *known;  // The bytes were lost, or are wrong: these heal it.
  } else {
    version.content = content;
    version.size_bytes = size_bytes;
    version.stored_ns = NowNs();
    version.renewed_ns = repository_.index_->IsShared() ? ClockNs() : version.stored_ns;
    if (synced) ++version.renewed_ns;  // It was put: IsWanted().
    version.synced = synced || repository_.versions_->TakesDurably();
    STAGEFS_ASSIGN_OR_RETURN(version.id, transaction_->AddVersion(version));
    if (size_bytes >= kSparseBytesMin) {
      STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
      if (const auto blocks = SparseBlocks(fd.get())) {
        STAGEFS_RETURN_IF_ERROR(transaction_->PutSparse({version.id, *blocks}));
      }
    }
  }
  // Rows that are durable name what heals: it is synced before it is there by its name.
  const bool heals = known && (known->synced || doubtful) && !repository_.versions_->TakesDurably();
  if (heals) {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
    STAGEFS_RETURN_IF_ERROR(SyncFile(fd.get(), path));
  }
  STAGEFS_RETURN_IF_ERROR(repository_.versions_->Take(content.sha256, path));
  if (heals) {
    STAGEFS_RETURN_IF_ERROR(repository_.versions_->Sync({content.sha256}));
    if (!known->synced) STAGEFS_RETURN_IF_ERROR(transaction_->SetSynced(known->id));
    version.synced = true;
    repository_.doubtful_.Lock()->erase(content.sha256);
  }
  repository_.NoteHashes({version});
  return version;
}

Status DurableChange::GiveBack(const std::string& path, const Sha256& hash) {
  if (access(path.c_str(), F_OK) == 0) return {};
  // Before the turn: it may have to be fetched. This machine's own copy, where there still is one, whether the store
  // answers or not.
  const bool is_elsewhere = repository_.versions_->IsElsewhere();
  if (is_elsewhere) STAGEFS_RETURN_IF_ERROR(CopyBack(path, hash));
  const auto turn = repository_.BeginRemoval();
  if (!turn && turn.error().code() != ErrorCode::kStale) return turn.error();
  bool named = true;  // For all that an index that moved can say.
  if (turn) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> row, (*turn)->FindVersion(HashRef(hash)));
    named = row.has_value();
  }
  if (!named && !is_elsewhere) return repository_.versions_->GiveBack(hash, path);
  if (!is_elsewhere) return CopyBack(path, hash);
  if (!named) (void)repository_.versions_->Remove(hash);  // Else gc does.
  return {};
}

Status DurableChange::CopyBack(const std::string& path, const Sha256& hash) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.versions_->Open(hash));
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd copy, OpenFd(path, O_RDWR | O_CREAT | O_EXCL));
  if (const Status copied = CopyBytes(reader->fd(), copy.get(), reader->size_bytes()); !copied) {
    unlink(path.c_str());
    return copied;
  }
  return {};
}

Status DurableChange::SyncLatecomers() {
  STAGEFS_ASSIGN_OR_RETURN(auto waiting, transaction_->ListUnsynced(kLatecomersMax));
  const auto doubtful = *repository_.doubtful_.Lock();
  std::erase_if(waiting, [&](const VersionInfo& version) { return doubtful.contains(version.content.sha256); });
  if (waiting.empty()) return {};
  STAGEFS_RETURN_IF_ERROR(repository_.SyncBytes(waiting));
  for (const VersionInfo& version : waiting) STAGEFS_RETURN_IF_ERROR(transaction_->SetSynced(version.id));
  return {};
}

Status DurableChange::Commit() {
  if (earlier_ == Earlier::kSynced) STAGEFS_RETURN_IF_ERROR(SyncLatecomers());
  if (durability_ == Durability::kPowerLoss && !taken_.empty() && !repository_.versions_->TakesDurably()) {
    std::vector<Sha256> hashes;
    for (const Taken& file : taken_) hashes.push_back(file.hash);
    STAGEFS_RETURN_IF_ERROR(repository_.versions_->Sync(hashes));
  }
  STAGEFS_RETURN_IF_ERROR(transaction_->Commit());
  transaction_.reset();
  if (durability_ == Durability::kProcessDeath) repository_.NoteUnsynced();
  return {};
}

}  // namespace stagefs
