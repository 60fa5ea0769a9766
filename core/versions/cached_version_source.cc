#include "cached_version_source.h"

#include <fcntl.h>
#include <unistd.h>

#include "version_file.h"

namespace stagefs {
namespace {

// Bytes that are not the version's are fetched again before they are taken for damaged.
constexpr int kFetchTries = 3;

}  // namespace

Result<std::unique_ptr<VersionReader>> CachedVersionSource::Open(const Sha256& hash) const {
  UniqueFd fd = cache_->Find(hash);
  while (!fd.valid()) {
    if (BeginFetch(hash) == FetchTurn::kMine) {
      auto fetched = Fetch(hash);
      EndFetch(hash);
      if (!fetched) return fetched.error();
      fd = std::move(*fetched);
    } else {
      fd = cache_->Find(hash);  // May be dropped again already.
    }
  }
  return NewFileReader(std::move(fd));
}

Result<Presence> CachedVersionSource::Locate(const Sha256& hash) const {
  return Keeps(hash) ? Presence::kHere : below_->Locate(hash);
}

CachedVersionSource::FetchTurn CachedVersionSource::BeginFetch(const Sha256& hash) const {
  std::unique_lock lock(fetching_mutex_);
  if (fetching_.insert(hash).second) return FetchTurn::kMine;
  fetched_.wait(lock, [&] { return !fetching_.contains(hash); });
  return FetchTurn::kAnothers;
}

void CachedVersionSource::EndFetch(const Sha256& hash) const {
  {
    const std::lock_guard lock(fetching_mutex_);
    fetching_.erase(hash);
  }
  fetched_.notify_all();
}

Result<UniqueFd> CachedVersionSource::Fetch(const Sha256& hash) const {
  STAGEFS_ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::Create(cache_->incoming()));
  STAGEFS_RETURN_IF_ERROR(FetchInto(hash, file.fd()));
  file.Close();
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenFd(file.path(), O_RDONLY));
  STAGEFS_RETURN_IF_ERROR(cache_->Keep(hash, file.path()));
  return fd;
}

Status CachedVersionSource::FetchInto(const Sha256& hash, int fd) const {
  const std::string name = "version " + ToHex(hash);
  for (int i = 0; i < kFetchTries; ++i) {
    if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0) return ErrnoError("empty " + name);
    STAGEFS_RETURN_IF_ERROR(below_->CopyTo(hash, fd));
    STAGEFS_ASSIGN_OR_RETURN(const HashedFile hashed, HashFile(fd));
    if (hashed.id.sha256 == hash) return {};
  }
  return Error(ErrorCode::kCorrupt, name + ": " + name_ + " answers other bytes");
}

}  // namespace stagefs
