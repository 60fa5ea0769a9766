#include "stagefs/repository.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <shared_mutex>

#include "durable_change.h"
#include "flusher.h"
#include "repository_places.h"
#include "reserve.h"
#include "stagefs/interruption.h"
#include "stagefs/parallel.h"
#include "stagefs/posix_env.h"
#include "stagefs/text.h"
#include "stagefs/version_store.h"
#include "version_bytes.h"

namespace stagefs {
namespace {

constexpr size_t kNamePartBytesMax = 100;
constexpr size_t kSyncGroupMax = 4096;
constexpr auto kMarkWait = std::chrono::milliseconds(100);
constexpr size_t kReadsAtOnce = 4;  // Of this machine's disk.
constexpr size_t kHashesTogether = 256;
constexpr size_t kHashesKnownMax = 262'144;  // 20 MB.

bool IsNamePart(std::string_view part) {
  if (part.empty() || part.size() > kNamePartBytesMax || !isalnum(static_cast<unsigned char>(part[0]))) {
    return false;
  }
  return std::all_of(part.begin(), part.end(), [](unsigned char c) {
    return c < 0x80 && (isalnum(c) || c == '_' || c == '.' || c == '-');
  });
}

Status SendAll(VersionStore& versions, const std::vector<IncomingFile>& files) {
  return InParallel(files.size(), versions.TakesDurably() ? kRequestsAtOnce : kReadsAtOnce,
                    [&](uint64_t i) { return versions.Send(files[i].Finish().sha256, files[i].path()); });
}

}  // namespace

Result<RepositoryName> RepositoryName::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos && IsNamePart(text.substr(0, slash)) &&
      IsNamePart(text.substr(slash + 1))) {
    return RepositoryName{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  }
  return Error(ErrorCode::kInvalidArgument,
               "'" + ToDisplayUtf8(text.substr(0, 200)) +
                   "' is not a repository name: write NAMESPACE/NAME, each of letters, digits, '_', '.' and "
                   "'-', starting with a letter or digit");
}

struct Repository::Listeners {
  std::shared_mutex mutex;
  int next = 1;
  std::map<int, Listener> all;
};

Repository::Repository(std::string folder, RepositoryName name)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      file_system_(folder_),
      listeners_(std::make_unique<Listeners>()) {}

Repository::~Repository() {
  const bool was_in_use = flusher_ != nullptr;
  flusher_.reset();
  // What is left in it is recovered by the next start.
  if (!incoming_.empty() && rmdir(incoming_.c_str()) == 0) unlink((incoming_ + ".lock").c_str());
  if (lock_fd_ >= 0) close(lock_fd_);
  if (was_in_use) MakeReserve(folder_);
}

Result<std::unique_ptr<Repository>> Repository::Assemble(const std::string& folder, RepositoryName name,
                                                         std::unique_ptr<StagingIndex> index,
                                                         std::unique_ptr<VersionStore> versions,
                                                         std::string versions_mark) {
  auto repository = std::unique_ptr<Repository>(new Repository(folder, std::move(name)));
  repository->index_ = std::move(index);
  repository->versions_ = std::move(versions);
  repository->versions_mark_ = std::move(versions_mark);
  STAGEFS_RETURN_IF_ERROR(repository->ClaimIncoming());
  if (repository->index_->IsShared()) {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository->index_->Read());
    STAGEFS_ASSIGN_OR_RETURN(const int64_t clock_ns, reader->ClockNs());
    repository->clock_ahead_ns_ = clock_ns - SinceBootNs();
  }
  return repository;
}

std::unique_ptr<Repository> Repository::AssembleToRead(const std::string& folder, RepositoryName name,
                                                       std::unique_ptr<StagingIndex> index,
                                                       std::unique_ptr<VersionStore> versions,
                                                       std::string versions_mark, const Error& why) {
  auto repository = std::unique_ptr<Repository>(new Repository(folder, std::move(name)));
  repository->index_ = std::move(index);
  repository->versions_ = std::move(versions);
  repository->versions_mark_ = std::move(versions_mark);
  repository->why_only_read_ = why;
  return repository;
}

Result<IncomingFile> Repository::NewIncoming() const {
  STAGEFS_RETURN_IF_ERROR(CheckWritable());
  return IncomingFile::Create(incoming_);
}

Status Repository::ClaimIncoming() {
  STAGEFS_RETURN_IF_ERROR(MakeFolders(folder_ + "/incoming"));
  // The lock exists before the folder does: whoever sees the folder can tell whether we live.
  const std::string instance = folder_ + "/incoming/" + RandomHex();
  lock_fd_ = open((instance + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return ErrnoError("create " + instance + ".lock");
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) return ErrnoError("lock " + instance + ".lock");
  if (mkdir(instance.c_str(), 0700) != 0) {
    const Error error = ErrnoError("make folder " + instance);
    unlink((instance + ".lock").c_str());
    return error;
  }
  incoming_ = instance;
  return {};
}

void Repository::Start(const RecoveryReport& recovery, std::function<void()> recover_dead,
                       std::function<Status()> sync_closed) {
  recovery_ = recovery;
  recover_dead_ = std::move(recover_dead);
  sync_closed_ = std::move(sync_closed);
  if (why_only_read_) return;
  flusher_ = std::make_unique<Flusher>(*this);
}

Result<std::vector<VersionInfo>> Repository::Adopt(std::vector<IncomingFile> files) {
  // The bulk of the bytes goes to the store before anybody has to wait for our transaction.
  STAGEFS_RETURN_IF_ERROR(SendAll(*versions_, files));
  const bool durable = versions_->TakesDurably() || (files.size() > kSyncEachMax && file_system_.Sync().has_value());
  for (size_t i = 0; !durable && i < files.size(); ++i) {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(files[i].path(), O_RDONLY));
    STAGEFS_RETURN_IF_ERROR(SyncFile(fd.get(), files[i].path()));
  }
  std::vector<VersionInfo> versions(files.size());
  std::vector<ContentId> contents;
  std::vector<size_t> order;
  for (const IncomingFile& file : files) {
    contents.push_back(file.Finish());
    order.push_back(order.size());
  }
  // In one order for all, so that no two that store the same wait for each other.
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return contents[a].sha256 < contents[b].sha256; });
  STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(*this, Durability::kPowerLoss, Turn::NothingElse()));
  for (const size_t i : order) {
    STAGEFS_ASSIGN_OR_RETURN(versions[i],
                             change->Take(files[i].path(), contents[i], files[i].size_bytes(), /*synced=*/true));
  }
  STAGEFS_RETURN_IF_ERROR(change->Commit());
  for (IncomingFile& file : files) file.Release();
  return versions;
}

Result<VersionInfo> Repository::Adopt(IncomingFile file) {
  std::vector<IncomingFile> files;
  files.push_back(std::move(file));
  STAGEFS_ASSIGN_OR_RETURN(const auto versions, Adopt(std::move(files)));
  return versions.front();
}

Result<VersionInfo> Repository::PutBytes(std::string_view bytes) {
  STAGEFS_ASSIGN_OR_RETURN(IncomingFile file, NewIncoming());
  STAGEFS_RETURN_IF_ERROR(file.Write(bytes));
  return Adopt(std::move(file));
}

Result<std::unique_ptr<VersionReader>> Repository::OpenVersion(const VersionInfo& version) const {
  auto bytes = versions_->OpenWhole(version.content.sha256, version.size_bytes, version.stored_ns);
  if (bytes || bytes.error().code() != ErrorCode::kNotFound) return bytes;
  return WhyMissing(bytes.error());
}

Status Repository::PrefetchVersion(const VersionInfo& version) const {
  auto brought = versions_->Prefetch(version.content.sha256);
  if (brought || brought.error().code() != ErrorCode::kNotFound) return brought;
  return WhyMissing(brought.error());
}

Error Repository::WhyMissing(const Error& not_found) const {
  const auto reader = index_->Read();
  if (!reader) return reader.error();
  const Status here = CheckVersionsAreHere(**reader);
  return here ? Error(ErrorCode::kCorrupt, not_found.message()) : here.error();
}

Status Repository::CheckVersionsAreHere(IndexReader& index) const {
  STAGEFS_ASSIGN_OR_RETURN(const auto known, index.GetMeta(kVersionsKey));
  if (!known || *known == versions_mark_) return {};
  return Error(ErrorCode::kConflict, "the versions moved to " + *known + ": unmount, and mount it again");
}

void Repository::NoteHashes(const std::vector<VersionInfo>& versions) {
  if (!index_->IsShared()) return;
  auto known = hashes_.Lock();
  if (known->size() + versions.size() > kHashesKnownMax) known->clear();
  for (const VersionInfo& version : versions) (*known)[version.id] = Known::Of(version);
}

Result<Repository::Known> Repository::KnownOf(VersionId id) {
  const bool far_away = index_->IsShared();
  if (far_away) {
    auto known = hashes_.Lock();
    if (const auto at = known->find(id); at != known->end()) return at->second;
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_->Read());
  // Versions that were stored near each other are often read so, too, in either order.
  const size_t together = far_away ? kHashesTogether : 1;
  STAGEFS_ASSIGN_OR_RETURN(const auto versions,
                           reader->ListVersionsFrom(id - id % static_cast<VersionId>(together), together));
  const auto found = std::find_if(versions.begin(), versions.end(), [&](const auto& v) { return v.id == id; });
  if (found == versions.end()) return Error(ErrorCode::kStale, "the version is gone");
  NoteHashes(versions);
  return Known::Of(*found);
}

Result<std::unique_ptr<VersionReader>> Repository::OpenVersion(VersionId id) {
  STAGEFS_ASSIGN_OR_RETURN(const Known known, KnownOf(id));
  auto bytes = versions_->OpenWhole(known.hash, known.size_bytes, known.stored_ns);
  if (bytes || bytes.error().code() != ErrorCode::kNotFound) return bytes;
  hashes_.Lock()->erase(id);
  STAGEFS_RETURN_IF_ERROR(KnownOf(id).WithoutValue());  // Is there, and so should its bytes be.
  return WhyMissing(bytes.error());
}

Result<VersionInfo> Repository::FindVersion(std::string_view hash) {
  STAGEFS_ASSIGN_OR_RETURN(const HashRef ref, HashRef::Parse(hash));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_->Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, reader->FindVersion(ref));
  if (!version) return Error(ErrorCode::kNotFound, "version " + ref.ToString() + ": no such version");
  if (!version->IsWanted() && flusher_) {
    found_.Lock()->insert(version->id);
    flusher_->Wake();
  }
  return *version;
}

Status Repository::RenewFound() {
  const std::set<VersionId> found = std::exchange(*found_.Lock(), {});
  if (found.empty()) return {};
  const auto renew = [&]() -> Status {
    STAGEFS_ASSIGN_OR_RETURN(const auto turn, index_->Begin(Durability::kProcessDeath, Turn::NothingElse()));
    for (const VersionId version : found) STAGEFS_RETURN_IF_ERROR(turn->RenewVersion(version, ClockNs()));
    return turn->Commit();
  };
  const Status renewed = renew();
  if (!renewed) found_.Lock()->insert(found.begin(), found.end());
  return renewed;
}

Result<VersionInfo> Repository::FindStored(std::string_view hash) {
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, FindVersion(hash));
  STAGEFS_ASSIGN_OR_RETURN(const Presence there, versions_->Locate(version.content.sha256));
  if (there == Presence::kNowhere) {
    return Error(ErrorCode::kNotFound, "version " + std::string(hash) + ": no such version");
  }
  if (there == Presence::kElsewhere || versions_->IsElsewhere()) return version;
  const auto bytes = OpenVersion(version);
  if (!bytes && bytes.error().code() == ErrorCode::kCorrupt) {
    return Error(ErrorCode::kNotFound, bytes.error().message());
  }
  if (!bytes) return bytes.error();
  return version;
}

Result<VersionInfo> Repository::GetVersion(VersionId id) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_->Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, reader->GetVersion(id));
  if (!version) return Error(ErrorCode::kStale, "the version is gone");
  return *version;
}

Result<std::unique_ptr<IndexTransaction>> Repository::BeginRemoval() {
  STAGEFS_ASSIGN_OR_RETURN(auto turn, index_->Begin(Durability::kProcessDeath));
  STAGEFS_ASSIGN_OR_RETURN(const auto moved, turn->GetMeta(kMovedKey));
  if (moved) return Error(ErrorCode::kStale, "repository " + name_.ToString() + " moved meanwhile: start again");
  return turn;
}

void Repository::NoteDiskError() const { (void)OpenFd(folder_ + kDiskErrorFile, O_WRONLY | O_CREAT); }

int64_t Repository::ClockNs() const { return index_->IsShared() ? SinceBootNs() + clock_ahead_ns_ : NowNs(); }

Status Repository::DoubtSyncsOfDead() {
  if (why_only_read_) return {};
  STAGEFS_ASSIGN_OR_RETURN(const auto names, ListNames(folder_ + "/incoming"));
  std::set<std::string> dead;
  for (const std::string& name : names) {
    const std::string instance = folder_ + "/incoming/" + name;
    if (name.ends_with(".lock") || instance == incoming_ || dead_.Lock()->contains(instance)) continue;
    const auto lock = OpenFd(instance + ".lock", O_RDONLY);
    if (lock && flock(lock->get(), LOCK_SH | LOCK_NB) == 0) dead.insert(instance);
  }
  return dead.empty() ? Status() : DoubtSyncsOf(dead);
}

Status Repository::DoubtSyncsOf(const std::set<std::string>& dead) {
  STAGEFS_ASSIGN_OR_RETURN(auto reader, index_->Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto unsynced, reader->ListUnsynced(SIZE_MAX >> 1));
  reader.reset();
  for (const VersionInfo& version : unsynced) STAGEFS_RETURN_IF_ERROR(versions_->Doubt(version.content.sha256));
  STAGEFS_RETURN_IF_ERROR(index_->DoubtSyncs());
  dead_.Lock()->insert(dead.begin(), dead.end());
  return {};
}

Status Repository::SyncAll() {
  STAGEFS_RETURN_IF_ERROR(SyncVersions());
  return index_->Sync();
}

// Bytes before the mark that says they are there. What is closed meanwhile is left to whoever comes next: a page that
// is not full was all there was.
Status Repository::SyncVersions() {
  if (why_only_read_) return {};
  STAGEFS_RETURN_IF_ERROR(SyncClosed());  // First: what is staged meanwhile is a version then.
  STAGEFS_ASSIGN_OR_RETURN(const auto turn, LockInterruptibly(syncing_));
  STAGEFS_RETURN_IF_ERROR(DoubtSyncsOfDead());
  const std::set<Sha256> doubtful = LookAgain();
  for (size_t found = kSyncGroupMax; found >= kSyncGroupMax;) {
    STAGEFS_ASSIGN_OR_RETURN(auto reader, index_->Read());
    STAGEFS_ASSIGN_OR_RETURN(auto waiting, reader->ListUnsynced(kSyncGroupMax + doubtful.size()));
    reader.reset();
    found = waiting.size();
    std::erase_if(waiting, [&](const VersionInfo& version) { return doubtful.contains(version.content.sha256); });
    if (waiting.empty()) return {};
    // Once the bytes are synced the marks can wait until a long turn of somebody else is over, if there are no more.
    const bool last = found < kSyncGroupMax;
    const Status done = SyncThese(waiting, last ? kMarkWait : Turn::kWaitMax);
    if (last && !done && done.error().code() == ErrorCode::kBusy) {
      marks_wait_ = true;
      return {};
    }
    STAGEFS_RETURN_IF_ERROR(done);
  }
  return {};
}

Status Repository::SyncBytes(const std::vector<VersionInfo>& versions) {
  std::vector<Sha256> hashes;
  for (const VersionInfo& version : versions) hashes.push_back(version.content.sha256);
  const Status synced = versions_->Sync(hashes);
  if (!synced && synced.error().code() == ErrorCode::kIo) NoteDiskError();
  return synced;
}

Status Repository::SyncThese(const std::vector<VersionInfo>& versions, std::chrono::milliseconds wait_max) {
  Status outcome = SyncBytes(versions);
  std::vector<VersionId> synced;
  if (outcome) {
    for (const VersionInfo& version : versions) synced.push_back(version.id);
  } else if (versions.size() > 1) {
    // One that cannot be synced keeps no others from it.
    outcome = {};
    for (size_t i = 0, failed = 0; i < versions.size() && failed < kSyncEachMax; ++i) {
      const Status one = SyncBytes({versions[i]});
      if (one) synced.push_back(versions[i].id);
      else if (++failed == 1) outcome = one;
    }
  }
  if (synced.empty()) return outcome;
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction,
                           index_->Begin(Durability::kProcessDeath, Turn::Everything().Within(wait_max)));
  STAGEFS_RETURN_IF_ERROR(CheckVersionsAreHere(*transaction));
  for (const VersionId version : synced) STAGEFS_RETURN_IF_ERROR(transaction->SetSynced(version));
  STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  return outcome;
}

void Repository::NoteDoubtful(const VersionInfo& version) {
  doubtful_.Lock()->emplace(version.content.sha256, version);
}

std::set<Sha256> Repository::LookAgain() {
  const auto before = *doubtful_.Lock();
  for (const auto& [hash, version] : before) {
    const auto whole = AreWhole(*versions_, version);
    if (whole && *whole) doubtful_.Lock()->erase(hash);
  }
  std::set<Sha256> still;
  auto doubtful = doubtful_.Lock();
  for (const auto& [hash, version] : *doubtful) still.insert(hash);
  return still;
}

void Repository::NoteUnsynced() {
  if (flusher_) flusher_->Wake();
}

int Repository::AddListener(Listener listener) {
  std::lock_guard lock(listeners_->mutex);
  listeners_->all.emplace(listeners_->next, std::move(listener));
  return listeners_->next++;
}

void Repository::RemoveListener(int handle) {
  std::lock_guard lock(listeners_->mutex);
  listeners_->all.erase(handle);
}

// The lock is held meanwhile, so that a listener that was removed is not called any more.
void Repository::NotifyListeners(WorkspaceId workspace, WriterId writer) {
  std::shared_lock lock(listeners_->mutex);
  for (const auto& [handle, listener] : listeners_->all) listener(workspace, writer);
}

}  // namespace stagefs
