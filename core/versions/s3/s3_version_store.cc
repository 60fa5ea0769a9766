#include "s3_version_store.h"

#include <fcntl.h>

#include <set>

#include "s3_version_source.h"
#include "stagefs/guarded.h"
#include "versions/cached_version_source.h"
#include "versions/version_file.h"

namespace stagefs {
namespace {

class S3VersionStore : public VersionStore {
 public:
  S3VersionStore(std::unique_ptr<S3Client> s3, std::unique_ptr<VersionSource> source,
                 std::unique_ptr<VersionCache> cache)
      : s3_(std::move(s3)), source_(std::move(source), "S3", std::move(cache)) {}

  Status Put(const Sha256& hash, ByteSource& source, uint64_t size_bytes) override {
    STAGEFS_ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::Create(source_.incoming()));
    STAGEFS_RETURN_IF_ERROR(WriteVersion(source, hash, size_bytes, file.fd()));
    file.Close();
    return Take(hash, file.path());
  }

  Status Send(const Sha256& hash, const std::string& path) override {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd.get()));
    STAGEFS_ASSIGN_OR_RETURN(const auto there, s3_->Head(KeyOf(hash)));
    if (there == size_bytes && !wrong_.Lock()->contains(hash)) return {};
    if (there) STAGEFS_RETURN_IF_ERROR(s3_->Delete(KeyOf(hash)));  // Not its bytes.
    STAGEFS_RETURN_IF_ERROR(s3_->Put(KeyOf(hash), fd.get(), size_bytes, hash));
    wrong_.Lock()->erase(hash);
    return {};
  }

  // Sent before; asked for again inside the caller's transaction, in which gc removes nothing.
  Status Take(const Sha256& hash, const std::string& path) override {
    STAGEFS_RETURN_IF_ERROR(Send(hash, path));
    return source_.Keep(hash, path);
  }

  bool TakesDurably() const override { return true; }

  Status GiveBack(const Sha256& hash, const std::string& path) override {
    source_.Drop(hash);
    {
      STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDWR | O_CREAT | O_EXCL));
      STAGEFS_RETURN_IF_ERROR(source_.below().CopyTo(hash, fd.get()));
    }
    return s3_->Delete(KeyOf(hash));
  }

  Status Sync(const std::vector<Sha256>& hashes) override {
    for (const Sha256& hash : hashes) {
      STAGEFS_ASSIGN_OR_RETURN(const Presence presence, source_.below().Locate(hash));
      if (presence == Presence::kNowhere) return S3VersionSource::Missing(hash);
    }
    return {};
  }

  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override {
    auto opened = source_.Open(hash);
    if (!opened && opened.error().code() == ErrorCode::kCorrupt) wrong_.Lock()->insert(hash);
    return opened;
  }

  Result<std::unique_ptr<VersionReader>> OpenWhole(const Sha256& hash, uint64_t size_bytes,
                                                   int64_t /*stored_ns*/) const override {
    STAGEFS_ASSIGN_OR_RETURN(auto reader, Open(hash));
    if (reader->size_bytes() == size_bytes) return reader;
    source_.Drop(hash);  // A copy that became wrong on this machine's disk.
    STAGEFS_ASSIGN_OR_RETURN(reader, Open(hash));
    if (reader->size_bytes() != size_bytes) return DamagedVersion(hash);
    return reader;
  }

  // What is fetched is hashed each time, so nobody else needs to be told; Send() replaces it.
  Status NoteHealth(const Sha256& hash, const VersionReader&, bool good) override {
    if (good) wrong_.Lock()->erase(hash);
    else wrong_.Lock()->insert(hash);
    return {};
  }

  Result<int64_t> ArrivedNs(const Sha256& hash) const override { return s3_->StoredNs(KeyOf(hash)); }

  Result<std::unique_ptr<VersionReader>> OpenToCheck(const Sha256& hash) const override {
    return source_.below().Open(hash);
  }
  Status CopyTo(const Sha256& hash, int fd) const override { return source_.CopyTo(hash, fd); }
  Status Prefetch(const Sha256& hash) const override { return source_.Prefetch(hash); }
  bool IsElsewhere() const override { return source_.IsElsewhere(); }

  Result<Presence> Locate(const Sha256& hash) const override {
    if (wrong_.Lock()->contains(hash)) return Presence::kNowhere;
    STAGEFS_ASSIGN_OR_RETURN(const Presence presence, source_.below().Locate(hash));
    return presence == Presence::kElsewhere && source_.Keeps(hash) ? Presence::kHere : presence;
  }

  Status Remove(const Sha256& hash) override {
    STAGEFS_ASSIGN_OR_RETURN(const Presence presence, source_.below().Locate(hash));
    source_.Drop(hash);
    if (presence == Presence::kNowhere) return S3VersionSource::Missing(hash);
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
  Result<DiskSpace> GetSpace() const override {
    DiskSpace space;
    space.blocks = space.blocks_free = space.blocks_available = 1ULL << 38;  // 1 PiB.
    space.files = space.files_free = 1ULL << 32;
    return space;
  }

 private:
  static std::string KeyOf(const Sha256& hash) { return S3VersionSource::KeyOf(hash); }

  const std::unique_ptr<S3Client> s3_;
  mutable CachedVersionSource source_;  // A read may drop a copy.
  mutable Guarded<std::set<Sha256>> wrong_;  // Objects that have other bytes than they should, until Send().
};

}  // namespace

Result<std::unique_ptr<VersionStore>> OpenS3VersionStore(const VersionPlace& place) {
  STAGEFS_ASSIGN_OR_RETURN(S3Place s3, S3Place::Parse(place.url));
  s3.prefix += place.repository + '/';
  STAGEFS_ASSIGN_OR_RETURN(auto cache, VersionCache::Open(place.cache_folder, place.cache_bytes_max));
  auto client = std::make_unique<S3Client>(std::move(s3));
  auto source = std::make_unique<S3VersionSource>(*client, cache->incoming());
  return std::unique_ptr<VersionStore>(new S3VersionStore(std::move(client), std::move(source), std::move(cache)));
}

}  // namespace stagefs
