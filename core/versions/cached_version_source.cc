#include "cached_version_source.h"

#include <fcntl.h>
#include <unistd.h>

#include "stagefs/interruption.h"
#include "version_file.h"

namespace stagefs {
namespace {

// Bytes that are not the version's are fetched again before they are taken for damaged.
constexpr int kFetchTries = 3;

}  // namespace

Result<std::unique_ptr<VersionReader>> CachedVersionSource::Open(const Sha256& hash) const {
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, cache_->Find(hash));
  while (!fd.valid()) {
    STAGEFS_ASSIGN_OR_RETURN(fd, FetchTogether(hash));
    if (fd.valid()) break;
    STAGEFS_ASSIGN_OR_RETURN(fd, cache_->Find(hash));  // Another one's, which may be dropped again already.
  }
  return NewFileReader(std::move(fd));
}

Result<Presence> CachedVersionSource::Locate(const Sha256& hash) const {
  return Keeps(hash) ? Presence::kHere : below_->Locate(hash);
}

Result<UniqueFd> CachedVersionSource::FetchTogether(const Sha256& hash) const {
  constexpr auto kNever = std::chrono::steady_clock::time_point::max();
  STAGEFS_RETURN_IF_ERROR(CheckInterruptedNow());
  std::shared_ptr<Outcome> outcome;
  {
    std::unique_lock lock(fetching_mutex_);
    const auto [at, ours] = fetching_.try_emplace(hash);
    if (!ours) {
      outcome = at->second;
      if (!WaitUntil(fetched_, lock, kNever, [&] { return outcome->has_value(); })) return InterruptedError();
      const Status& fetched = **outcome;
      // Whose caller gave up leaves it to the next one.
      if (!fetched && fetched.error().code() != ErrorCode::kInterrupted) return fetched.error();
      return UniqueFd();
    }
    at->second = outcome = std::make_shared<Outcome>();
  }
  auto fetched = Fetch(hash);
  {
    const std::lock_guard lock(fetching_mutex_);
    *outcome = fetched.WithoutValue();
    fetching_.erase(hash);
  }
  fetched_.notify_all();
  return fetched;
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
