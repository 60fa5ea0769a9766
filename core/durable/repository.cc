#include "stagefs/repository.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <shared_mutex>
#include <thread>

#include "stagefs/posix_env.h"
#include "upkeep/recovery.h"
#include "repository_places.h"
#include "stagefs/guarded.h"
#include "stagefs/parallel.h"
#include "stagefs/repo_path.h"
#include "stagefs/working_copy.h"

namespace stagefs {
namespace {

constexpr size_t kNamePartBytesMax = 100;
constexpr size_t kSyncGroupMax = 4096;
constexpr size_t kCopyBytes = 256 << 10;
constexpr size_t kHashesTogether = 256;
constexpr size_t kHashesKnownMax = 262'144;  // 20 MB.
// The flusher waits this long for more before it syncs; the promise is one second.
constexpr auto kFlushDelay = std::chrono::milliseconds(200);

bool IsNamePart(std::string_view part) {
  if (part.empty() || part.size() > kNamePartBytesMax || !isalnum(static_cast<unsigned char>(part[0]))) {
    return false;
  }
  return std::all_of(part.begin(), part.end(), [](unsigned char c) {
    return c < 0x80 && (isalnum(c) || c == '_' || c == '.' || c == '-');
  });
}

std::string FolderOf(const std::string& root, const RepositoryName& name) {
  return root + '/' + name.space + '/' + name.name;
}

bool IsRepository(const std::string& folder) {
  return access((folder + "/stagefs.db").c_str(), F_OK) == 0 || access((folder + "/places.json").c_str(), F_OK) == 0;
}

// They may have moved since places.json was written, also by another machine: then the index says where to.
Status FollowVersions(StagingIndex& index, const std::string& folder, RepositoryPlaces* places) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index.Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto known, reader->GetMeta(kVersionsKey));
  if (!known || *known == VersionsMark(folder, *places)) return {};
  const bool here = *known == VersionsMark(folder, {places->index, ""});
  if (!here && known->starts_with(kFolderOfMachine)) {
    return Error(ErrorCode::kConflict, "the repository has its versions in the " + *known +
                                           ", which no other machine sees: move them there with stagefs migrate");
  }
  places->versions = here ? "" : *known;
  return places->Write(folder);
}

Status AgreeOnVersions(StagingIndex& index, const RepositoryName& name, const std::string& folder,
                       RepositoryPlaces* places) {
  if (!index.IsShared()) return {};
  const std::string ours = VersionsMark(folder, *places);
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index.Begin(Durability::kPowerLoss));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<std::string> known, transaction->GetMeta(kVersionsKey));
  if (!known) {
    STAGEFS_RETURN_IF_ERROR(transaction->PutMeta(kVersionsKey, ours));
    return transaction->Commit();
  }
  if (known == ours) return {};
  if (places->versions.empty() && !known->starts_with(kFolderOfMachine)) {
    places->versions = *known;
    return {};
  }
  const std::string theirs = known->starts_with(kFolderOfMachine) ? "the " + *known : *known;
  return Error(ErrorCode::kConflict, "repository " + name.ToString() + " has its versions in " + theirs + ", not in " +
                                         (places->versions.empty() ? folder : places->versions));
}

Status SendAll(VersionStore& versions, const std::vector<IncomingFile>& files) {
  return InParallel(files.size(), kRequestsAtOnce,
                    [&](uint64_t i) { return versions.Send(files[i].Finish().sha256, files[i].path()); });
}

Status EraseVersions(VersionStore& versions) {
  std::vector<Sha256> all;
  STAGEFS_RETURN_IF_ERROR(versions.List([&](const Sha256& hash) {
    all.push_back(hash);
    return true;
  }));
  return InParallel(all.size(), kRequestsAtOnce, [&](uint64_t i) -> Status {
    const Status removed = versions.Remove(all[i]);
    if (!removed && removed.error().code() != ErrorCode::kNotFound) return removed;
    return {};
  });
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

Result<IncomingFile> IncomingFile::Create(const std::string& folder) {
  IncomingFile file;
  static std::atomic<uint64_t> count{0};  // The folder is this process's own.
  file.path_ = folder + "/put-" + std::to_string(count.fetch_add(1));
  file.fd_ = open(file.path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file.fd_ < 0) {
    const Error error = ErrnoError("create " + file.path_);
    file.path_.clear();
    return error;
  }
  return file;
}

IncomingFile::IncomingFile(IncomingFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::exchange(other.path_, {})),
      hasher_(std::move(other.hasher_)),
      size_bytes_(other.size_bytes_) {}

IncomingFile& IncomingFile::operator=(IncomingFile&& other) noexcept {
  if (this != &other) {
    Drop();
    fd_ = std::exchange(other.fd_, -1);
    path_ = std::exchange(other.path_, {});
    hasher_ = std::move(other.hasher_);
    size_bytes_ = other.size_bytes_;
  }
  return *this;
}

IncomingFile::~IncomingFile() { Drop(); }

void IncomingFile::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

void IncomingFile::Drop() {
  Close();
  if (!path_.empty()) unlink(path_.c_str());
}

Status IncomingFile::Write(const void* data, size_t size_bytes) {
  STAGEFS_RETURN_IF_ERROR(WriteAll(fd_, data, size_bytes));
  hasher_.Update(data, size_bytes);
  size_bytes_ += size_bytes;
  return {};
}

Status IncomingFile::CopyFrom(int fd) {
  // A clone is hashed as it is here: whoever changes the original meanwhile does not change it.
  const bool cloned = TryReflink(fd, fd_);
  const auto buffer = std::make_unique_for_overwrite<char[]>(kCopyBytes);
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got,
                             ReadUpTo(cloned ? fd_ : fd, buffer.get(), kCopyBytes, size_bytes_));
    if (cloned) {
      hasher_.Update(buffer.get(), got);
      size_bytes_ += got;
    } else {
      STAGEFS_RETURN_IF_ERROR(Write(buffer.get(), got));
    }
    if (got < kCopyBytes) return {};
  }
}

Status IncomingFile::WriteFrom(ByteSource& source) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kCopyBytes);
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(buffer.get(), kCopyBytes));
    if (got == 0) return {};
    STAGEFS_RETURN_IF_ERROR(Write(buffer.get(), got));
  }
}

// One thread that makes acknowledged work survive power loss within a second.
struct Repository::Flusher {
  explicit Flusher(Repository& repository) : repository(repository), thread([this] { Run(); }) {}

  // Syncs what waits, then ends the thread.
  void Stop() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    wake.notify_all();
    thread.join();
  }

  void Wake() {
    {
      std::lock_guard lock(mutex);
      if (work) return;
      work = true;
    }
    wake.notify_all();
  }

  void Run() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return work || stop; });
      if (!work) return;
      wake.wait_for(lock, kFlushDelay, [this] { return stop; });
      work = false;
      lock.unlock();
      const Status status = repository.SyncAll();
      lock.lock();
      if (!status && !stop) {
        // A disk that cannot sync is tried again; the entries stay marked as not synced.
        work = true;
        wake.wait_for(lock, std::chrono::seconds(1), [this] { return stop; });
      }
      if (!status && stop) return;
    }
  }

  Repository& repository;
  std::mutex mutex;
  std::condition_variable wake;
  bool work = false;
  bool stop = false;
  std::thread thread;
};

struct Repository::Listeners {
  std::shared_mutex mutex;
  int next = 1;
  std::map<int, Listener> all;
};

Repository::Repository(std::string folder, RepositoryName name)
    : folder_(std::move(folder)), name_(std::move(name)), listeners_(std::make_unique<Listeners>()) {}

Repository::~Repository() {
  if (flusher_) flusher_->Stop();
  if (!incoming_.empty()) {
    // Only empty if nothing of ours is left; what is left is recovered by the next start.
    const std::string places = incoming_ + "/places";
    if (const auto live = ListWorkingCopyPlaces(*this);
        live && std::none_of(live->begin(), live->end(),
                             [&](const auto& p) { return p.file.starts_with(incoming_ + '/'); })) {
      unlink(places.c_str());
    }
    if (rmdir(incoming_.c_str()) == 0) unlink((incoming_ + ".lock").c_str());
  }
  if (lock_fd_ >= 0) close(lock_fd_);
}

Status Repository::Create(const std::string& root, const RepositoryName& name, const RepositoryPlaces& places) {
  const std::string folder = FolderOf(root, name);
  if (IsRepository(folder)) return Error(ErrorCode::kExists, "repository " + name.ToString() + " exists");
  return Join(root, name, places, WhereMissing::kMake);
}

// Makes the folder of a repository that is made, or was made elsewhere, in `places`.
Status Repository::Join(const std::string& root, const RepositoryName& name, RepositoryPlaces places,
                        WhereMissing missing) {
  const std::string folder = FolderOf(root, name);
  STAGEFS_ASSIGN_OR_RETURN(auto index, places.index.empty()
                                           ? Result<std::unique_ptr<StagingIndex>>(nullptr)
                                           : OpenPostgresStagingIndex(places.index, name.ToString(), missing));
  STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
  if (!index) {
    STAGEFS_ASSIGN_OR_RETURN(index, OpenSqliteStagingIndex(folder + "/stagefs.db"));
  }
  STAGEFS_RETURN_IF_ERROR(AgreeOnVersions(*index, name, folder, &places));
  STAGEFS_ASSIGN_OR_RETURN(auto versions, OpenVersions(folder, name, places));
  STAGEFS_RETURN_IF_ERROR(
      Assemble(folder, name, std::move(index), std::move(versions), VersionsMark(folder, places)).WithoutValue());
  if (!places.index.empty() || !places.versions.empty()) STAGEFS_RETURN_IF_ERROR(places.Write(folder));
  // The folders above are new too.
  for (const std::string& above : {folder, root + '/' + name.space, root}) {
    STAGEFS_RETURN_IF_ERROR(SyncFolder(above));
  }
  return {};
}

Result<std::vector<RepositoryName>> Repository::List(const std::string& root) {
  std::vector<RepositoryName> names;
  std::error_code error;
  for (const auto& space : std::filesystem::directory_iterator(root, error)) {
    for (const auto& entry : std::filesystem::directory_iterator(space.path(), error)) {
      const auto name =
          RepositoryName::Parse(space.path().filename().string() + '/' + entry.path().filename().string());
      if (name && IsRepository(entry.path())) names.push_back(*name);
    }
  }
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return a.ToString() < b.ToString(); });
  return names;
}

Status Repository::Delete(const std::string& root, const RepositoryName& name) {
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto repository, Open(root, name));
    STAGEFS_ASSIGN_OR_RETURN(const auto mounts, repository->LiveMounts());
    if (!mounts.empty()) {
      return Error(ErrorCode::kBusy, "repository " + name.ToString() + " is mounted at " +
                                         mounts.front().mountpoint + ": unmount it first");
    }
    // What other machines see goes first: a repository that is still listed can be deleted again.
    STAGEFS_ASSIGN_OR_RETURN(const RepositoryPlaces places, RepositoryPlaces::Read(repository->folder()));
    if (!places.versions.empty()) STAGEFS_RETURN_IF_ERROR(EraseVersions(repository->versions()));
    STAGEFS_RETURN_IF_ERROR(repository->index().Erase());
  }
  // Out of the way in one step, so that nobody opens a half-removed one.
  const std::string doomed = root + '/' + name.space + "/.deleted-" + RandomHex();
  STAGEFS_RETURN_IF_ERROR(RenameFile(FolderOf(root, name), doomed));
  std::error_code error;
  std::filesystem::remove_all(doomed, error);
  if (error) return Error(ErrorCode::kIo, "remove " + doomed + ": " + error.message());
  return SyncFolder(root + '/' + name.space);
}

Result<std::unique_ptr<Repository>> Repository::Open(const std::string& root, const RepositoryName& name,
                                                     const RepositoryPlaces& places) {
  const std::string folder = FolderOf(root, name);
  if (!IsRepository(folder)) {
    if (places.index.empty()) return Error(ErrorCode::kNotFound, "Repository '" + name.ToString() + "' not found");
    STAGEFS_RETURN_IF_ERROR(Join(root, name, places, WhereMissing::kRefuse));
  }
  if (access(folder.c_str(), W_OK) != 0) return ErrnoError("write to " + folder);
  STAGEFS_ASSIGN_OR_RETURN(RepositoryPlaces known, RepositoryPlaces::Read(folder));
  STAGEFS_ASSIGN_OR_RETURN(auto index,
                           known.index.empty()
                               ? OpenSqliteStagingIndex(folder + "/stagefs.db")
                               : OpenPostgresStagingIndex(known.index, name.ToString(), WhereMissing::kRefuse));
  STAGEFS_RETURN_IF_ERROR(FollowVersions(*index, folder, &known));
  STAGEFS_ASSIGN_OR_RETURN(auto versions, OpenVersions(folder, name, known));
  return Assemble(folder, name, std::move(index), std::move(versions), VersionsMark(folder, known));
}

Result<std::unique_ptr<Repository>> Repository::Assemble(const std::string& folder, RepositoryName name,
                                                         std::unique_ptr<StagingIndex> index,
                                                         std::unique_ptr<VersionStore> versions,
                                                         std::string versions_mark) {
  auto repository = std::unique_ptr<Repository>(new Repository(folder, std::move(name)));
  repository->versions_mark_ = std::move(versions_mark);
  STAGEFS_RETURN_IF_ERROR(repository->Start(std::move(index), std::move(versions)));
  return repository;
}

Status Repository::Start(std::unique_ptr<StagingIndex> index, std::unique_ptr<VersionStore> versions) {
  index_ = std::move(index);
  versions_ = std::move(versions);
  STAGEFS_RETURN_IF_ERROR(MakeFolders(folder_ + "/incoming"));
  // The lock exists before the folder does: whoever sees the folder can tell whether we live.
  const std::string instance = folder_ + "/incoming/" + RandomHex();
  lock_fd_ = open((instance + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return ErrnoError("create " + instance + ".lock");
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) return ErrnoError("lock " + instance + ".lock");
  if (mkdir(instance.c_str(), 0700) != 0) return ErrnoError("make folder " + instance);
  incoming_ = instance;

  STAGEFS_ASSIGN_OR_RETURN(auto reader, index_->Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto main, reader->ListBranches());
  reader.reset();
  if (main.empty()) STAGEFS_RETURN_IF_ERROR(LayOutRepository(*this));
  STAGEFS_RETURN_IF_ERROR(RecoverUnsyncedVersions(*this, &recovery_));
  STAGEFS_RETURN_IF_ERROR(RecoverWorkingCopies(*this, &recovery_));
  flusher_ = std::make_unique<Flusher>(*this);
  flusher_->Wake();
  return {};
}

Result<VersionInfo> Repository::TakeInto(IndexTransaction& transaction, const std::string& path,
                                         const ContentId& content, uint64_t size_bytes, bool synced) {
  STAGEFS_RETURN_IF_ERROR(CheckVersionsAreHere(transaction));
  STAGEFS_ASSIGN_OR_RETURN(std::optional<VersionInfo> known,
                           transaction.FindVersion(HashRef(content.sha256)));
  if (known && versions_->Has(content.sha256)) {
    STAGEFS_RETURN_IF_ERROR(transaction.RenewVersion(known->id, NowNs()));
    STAGEFS_RETURN_IF_ERROR(RemoveFile(path));
    return *known;
  }
  VersionInfo version;
  if (known) {
    version = *known;  // The bytes were lost: these heal it.
  } else {
    version.content = content;
    version.size_bytes = size_bytes;
    version.stored_ns = version.renewed_ns = NowNs();
    version.synced = synced || versions_->TakesDurably();
    STAGEFS_ASSIGN_OR_RETURN(version.id, transaction.AddVersion(version));
  }
  STAGEFS_RETURN_IF_ERROR(versions_->Take(content.sha256, path));
  NoteHashes({version});
  return version;
}

Status Repository::TakeBack(const std::string& path, const Sha256& hash) {
  if (access(path.c_str(), F_OK) == 0) return {};
  STAGEFS_ASSIGN_OR_RETURN(const auto turn, index_->Begin(Durability::kProcessDeath));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> named, turn->FindVersion(HashRef(hash)));
  if (!named && !versions_->TakesDurably()) return versions_->GiveBack(hash, path);
  // From far away a copy: this machine's own, where it still is one, whether the store answers or not.
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, versions_->Open(hash));
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd copy, OpenFd(path, O_RDWR | O_CREAT | O_EXCL));
  if (const Status copied = CopyBytes(reader->fd(), copy.get(), reader->size_bytes()); !copied) {
    unlink(path.c_str());
    return copied;
  }
  if (!named) (void)versions_->Remove(hash);  // Else gc does.
  return {};
}

Result<std::vector<VersionInfo>> Repository::Adopt(std::vector<IncomingFile> files) {
  // The bulk of the bytes goes to the store before anybody has to wait for our transaction.
  if (versions_->TakesDurably()) {
    STAGEFS_RETURN_IF_ERROR(SendAll(*versions_, files));
  } else if (files.size() <= kSyncEachMax) {
    for (const IncomingFile& file : files) {
      STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(file.path(), O_RDONLY));
      STAGEFS_RETURN_IF_ERROR(SyncFd(fd.get(), file.path()));
    }
  } else {
    STAGEFS_RETURN_IF_ERROR(SyncFileSystemOf(folder_));
  }
  STAGEFS_ASSIGN_OR_RETURN(auto transaction, index_->Begin(Durability::kPowerLoss, Turn::NothingElse()));
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
  std::vector<Sha256> taken;
  for (const size_t i : order) {
    IncomingFile& file = files[i];
    STAGEFS_ASSIGN_OR_RETURN(versions[i],
                             TakeInto(*transaction, file.path(), contents[i], file.size_bytes(), true));
    file.Release();
    taken.push_back(contents[i].sha256);
  }
  if (!versions_->TakesDurably()) STAGEFS_RETURN_IF_ERROR(versions_->Sync(taken));
  STAGEFS_RETURN_IF_ERROR(transaction->Commit());
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
  auto bytes = versions_->Open(version.content.sha256);
  if (bytes || bytes.error().code() != ErrorCode::kNotFound) return bytes;
  return WhyMissing(bytes.error());
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
  for (const VersionInfo& version : versions) (*known)[version.id] = version.content.sha256;
}

Result<Sha256> Repository::HashOf(VersionId id) {
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
  return found->content.sha256;
}

Result<std::unique_ptr<VersionReader>> Repository::OpenVersion(VersionId id) {
  STAGEFS_ASSIGN_OR_RETURN(const Sha256 hash, HashOf(id));
  auto bytes = versions_->Open(hash);
  if (bytes || bytes.error().code() != ErrorCode::kNotFound) return bytes;
  hashes_.Lock()->erase(id);
  STAGEFS_RETURN_IF_ERROR(HashOf(id).WithoutValue());  // Is there, and so should its bytes be.
  return WhyMissing(bytes.error());
}

Result<VersionInfo> Repository::FindVersion(std::string_view hash) {
  STAGEFS_ASSIGN_OR_RETURN(const HashRef ref, HashRef::Parse(hash));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index_->Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, reader->FindVersion(ref));
  if (!version) return Error(ErrorCode::kNotFound, "version " + ref.ToString() + ": no such version");
  return *version;
}

Status Repository::SyncAll() {
  STAGEFS_RETURN_IF_ERROR(SyncVersions());
  return index_->Sync();
}

// Bytes before the mark that says they are there.
Status Repository::SyncVersions() {
  const std::lock_guard turn(syncing_);
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(auto reader, index_->Read());
    STAGEFS_ASSIGN_OR_RETURN(const auto waiting, reader->ListUnsynced(kSyncGroupMax));
    reader.reset();
    if (waiting.empty()) return {};
    std::vector<Sha256> hashes;
    for (const VersionInfo& version : waiting) hashes.push_back(version.content.sha256);
    STAGEFS_RETURN_IF_ERROR(versions_->Sync(hashes));
    STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index_->Begin(Durability::kProcessDeath));
    STAGEFS_RETURN_IF_ERROR(CheckVersionsAreHere(*transaction));
    for (const VersionInfo& version : waiting) {
      STAGEFS_RETURN_IF_ERROR(transaction->SetSynced(version.id));
    }
    STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  }
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
