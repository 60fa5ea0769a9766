#include "s3_version_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "s3_client.h"
#include "stagefs/version_cache.h"

namespace stagefs {
namespace {

// Bytes that are not the version's are fetched again before they are taken for damaged.
constexpr int kFetchTries = 3;

// Removes a file on its way in, unless it was taken.
class Temporary {
 public:
  explicit Temporary(std::string path) : path_(std::move(path)) {}
  ~Temporary() { unlink(path_.c_str()); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

class S3VersionStore : public VersionStore {
 public:
  S3VersionStore(S3Place place, std::unique_ptr<VersionCache> cache)
      : s3_(std::make_unique<S3Client>(std::move(place))), cache_(std::move(cache)) {}

  Status Put(const Sha256& hash, ByteSource& source, uint64_t size_bytes) override {
    const Temporary file(cache_->NewName());
    {
      STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(file.path(), O_RDWR | O_CREAT | O_EXCL));
      STAGEFS_RETURN_IF_ERROR(WriteVersion(source, hash, size_bytes, fd.get()));
    }
    STAGEFS_RETURN_IF_ERROR(Send(hash, file.path()));
    return cache_->Take(hash, file.path());
  }

  Status Send(const Sha256& hash, const std::string& path) override {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd.get()));
    STAGEFS_ASSIGN_OR_RETURN(const auto there, s3_->Head(KeyOf(hash)));
    if (there == size_bytes) return {};
    if (there) STAGEFS_RETURN_IF_ERROR(s3_->Delete(KeyOf(hash)));  // Not its bytes.
    return s3_->Put(KeyOf(hash), fd.get(), size_bytes, hash);
  }

  // Sent before; asked for again inside the caller's transaction, in which gc removes nothing.
  Status Take(const Sha256& hash, const std::string& path) override {
    STAGEFS_RETURN_IF_ERROR(Send(hash, path));
    return cache_->Take(hash, path);
  }

  bool TakesDurably() const override { return true; }

  Status GiveBack(const Sha256& hash, const std::string& path) override {
    cache_->Drop(hash);
    STAGEFS_RETURN_IF_ERROR(FetchInto(hash, path, Bytes::kAny));
    return s3_->Delete(KeyOf(hash));
  }

  Status Sync(const std::vector<Sha256>& hashes) override {
    for (const Sha256& hash : hashes) {
      STAGEFS_ASSIGN_OR_RETURN(const auto there, s3_->Head(KeyOf(hash)));
      if (!there) return Missing(hash);
    }
    return {};
  }

  Result<std::unique_ptr<VersionReader>> OpenToCheck(const Sha256& hash) const override {
    const Temporary file(cache_->NewName());
    STAGEFS_RETURN_IF_ERROR(FetchInto(hash, file.path(), Bytes::kAny));
    STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenFd(file.path(), O_RDONLY));
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd.get()));
    return NewFileReader(std::move(fd), size_bytes);
  }

  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override {
    UniqueFd fd = cache_->Find(hash);
    while (!fd.valid()) {
      // A version that another thread fetched may be dropped again already.
      STAGEFS_ASSIGN_OR_RETURN(fd, FetchOnce(hash));
      if (!fd.valid()) fd = cache_->Find(hash);
    }
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd.get()));
    return NewFileReader(std::move(fd), size_bytes);
  }

  bool Has(const Sha256& hash) const override {
    const auto there = s3_->Head(KeyOf(hash));
    return there && *there;
  }

  Status Remove(const Sha256& hash) override {
    STAGEFS_ASSIGN_OR_RETURN(const auto there, s3_->Head(KeyOf(hash)));
    cache_->Drop(hash);
    if (!there) return Missing(hash);
    return s3_->Delete(KeyOf(hash));
  }

  Status List(const std::function<bool(const Sha256&)>& visit) const override {
    return s3_->List([&](const std::string& key) {
      const auto ref = HashRef::Parse("sha256:" + key.substr(key.find('/') + 1));
      return !ref || KeyOf(*ref->sha256()) != key || visit(*ref->sha256());
    });
  }

  Result<int64_t> RemoveUnfinished(int64_t before_ns) override {
    return s3_->RemoveUnfinished(before_ns / 1'000'000'000);
  }

  // S3 has no end; tools that look for room shall not stop at this machine's.
  Result<Space> GetSpace() const override {
    Space space;
    space.blocks = space.blocks_free = space.blocks_available = 1ULL << 38;  // 1 PiB.
    space.files = space.files_free = 1ULL << 32;
    return space;
  }

 private:
  static Error Missing(const Sha256& hash) {
    return Error(ErrorCode::kNotFound, "version " + ToHex(hash) + ": no such version");
  }
  static std::string KeyOf(const Sha256& hash) {
    const std::string hex = ToHex(hash);
    return hex.substr(0, 2) + '/' + hex;
  }

  // The version, open; invalid if another thread fetched it meanwhile.
  Result<UniqueFd> FetchOnce(const Sha256& hash) const {
    {
      std::unique_lock lock(fetching_mutex_);
      if (!fetching_.insert(hash).second) {
        fetched_.wait(lock, [&] { return !fetching_.contains(hash); });
        return UniqueFd();
      }
    }
    auto fetched = Fetch(hash);
    {
      const std::lock_guard lock(fetching_mutex_);
      fetching_.erase(hash);
    }
    fetched_.notify_all();
    return fetched;
  }

  Result<UniqueFd> Fetch(const Sha256& hash) const {
    const Temporary file(cache_->NewName());
    STAGEFS_RETURN_IF_ERROR(FetchInto(hash, file.path(), Bytes::kOfVersion));
    STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenFd(file.path(), O_RDONLY));
    STAGEFS_RETURN_IF_ERROR(cache_->Take(hash, file.path()));
    return fd;
  }

  enum class Bytes { kOfVersion, kAny };
  Status FetchInto(const Sha256& hash, const std::string& path, Bytes wanted) const {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDWR | O_CREAT | O_EXCL));
    for (int i = 0; i < kFetchTries; ++i) {
      if (ftruncate(fd.get(), 0) != 0) return ErrnoError("empty " + path);
      const auto size_bytes = s3_->Get(KeyOf(hash), fd.get());
      if (!size_bytes && size_bytes.error().code() == ErrorCode::kNotFound) return Missing(hash);
      if (!size_bytes) return size_bytes.error();
      if (wanted == Bytes::kAny) return {};
      STAGEFS_ASSIGN_OR_RETURN(const HashedFile hashed, HashFile(fd.get()));
      if (hashed.id.sha256 == hash) return {};
    }
    return Error(ErrorCode::kCorrupt, "version " + ToHex(hash) + ": S3 answers other bytes");
  }

  const std::unique_ptr<S3Client> s3_;
  const std::unique_ptr<VersionCache> cache_;
  mutable std::mutex fetching_mutex_;
  mutable std::condition_variable fetched_;
  mutable std::set<Sha256> fetching_;
};

}  // namespace

Result<std::unique_ptr<VersionStore>> OpenS3VersionStore(const VersionPlace& place) {
  STAGEFS_ASSIGN_OR_RETURN(S3Place s3, S3Place::Parse(place.url));
  s3.prefix += place.repository + '/';
  STAGEFS_ASSIGN_OR_RETURN(auto cache, VersionCache::Open(place.cache_folder, place.cache_bytes_max));
  return std::unique_ptr<VersionStore>(new S3VersionStore(std::move(s3), std::move(cache)));
}

}  // namespace stagefs
