#include "stagefs/version_source.h"

#include <vector>

#include "stagefs/byte_source.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

class ReaderSource : public RewindableSource {
 public:
  explicit ReaderSource(const VersionReader& reader) : reader_(reader) {}
  Result<size_t> Read(void* data, size_t size_bytes) override {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, reader_.ReadAt(data, size_bytes, offset_));
    offset_ += got;
    return got;
  }
  Status Rewind() override {
    offset_ = 0;
    return {};
  }

 private:
  const VersionReader& reader_;
  uint64_t offset_ = 0;
};

}  // namespace

Status VersionSource::CopyTo(const Sha256& hash, int fd) const {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, Open(hash));
  if (reader->fd() >= 0) return CopyBytes(reader->fd(), fd, reader->size_bytes());
  std::vector<char> buffer(256 << 10);
  for (uint64_t offset = 0; offset < reader->size_bytes();) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, reader->ReadAt(buffer.data(), buffer.size(), offset));
    STAGEFS_RETURN_IF_ERROR(WriteAllAt(fd, buffer.data(), got, offset));
    offset += got;
  }
  return {};
}

Result<ContentId> HashVersion(const VersionReader& reader) {
  ContentHasher hasher;
  std::vector<char> buffer(256 << 10);
  for (uint64_t offset = 0;;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, reader.ReadAt(buffer.data(), buffer.size(), offset));
    hasher.Update(buffer.data(), got);
    offset += got;
    if (got < buffer.size()) return hasher.Finish();
  }
}

std::unique_ptr<RewindableSource> NewReaderSource(const VersionReader& reader) {
  return std::make_unique<ReaderSource>(reader);
}

Error DamagedVersion(const Sha256& hash) {
  return Error(ErrorCode::kCorrupt, "version " + ToHex(hash) + " is damaged: store its content again");
}

Result<std::unique_ptr<VersionReader>> VersionStore::OpenWhole(const Sha256& hash, uint64_t size_bytes,
                                                               int64_t /*stored_ns*/) const {
  STAGEFS_ASSIGN_OR_RETURN(auto reader, Open(hash));
  if (reader->size_bytes() != size_bytes) return DamagedVersion(hash);
  return reader;
}

}  // namespace stagefs
