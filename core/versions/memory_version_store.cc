#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "stagefs/byte_source.h"
#include "stagefs/guarded.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

using Bytes = std::shared_ptr<const std::string>;

class MemoryVersionReader : public VersionReader {
 public:
  explicit MemoryVersionReader(Bytes bytes) : bytes_(std::move(bytes)) {}

  uint64_t size_bytes() const override { return bytes_->size(); }
  Result<size_t> ReadAt(void* data, size_t size_bytes, uint64_t offset) const override {
    if (offset >= bytes_->size()) return size_t{0};
    const size_t got = std::min<uint64_t>(size_bytes, bytes_->size() - offset);
    std::memcpy(data, bytes_->data() + offset, got);
    return got;
  }

 private:
  const Bytes bytes_;
};

class MemoryVersionStore : public VersionStore {
 public:
  Status Put(const Sha256& hash, ByteSource& source, uint64_t size_bytes) override {
    std::string bytes;
    char buffer[4096];
    for (;;) {
      STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(buffer, sizeof buffer));
      if (got == 0) break;
      bytes.append(buffer, got);
    }
    ContentHasher hasher;
    hasher.Update(bytes.data(), bytes.size());
    if (bytes.size() != size_bytes || hasher.Finish().sha256 != hash) {
      return Error(ErrorCode::kInvalidArgument, "the bytes sent are not those of version " + ToHex(hash));
    }
    versions_.Lock()->emplace(hash, std::make_shared<const std::string>(std::move(bytes)));
    return {};
  }

  Status Take(const Sha256& hash, const std::string& path) override {
    STAGEFS_ASSIGN_OR_RETURN(std::string bytes, ReadWholeFile(path));
    (*versions_.Lock())[hash] = std::make_shared<const std::string>(std::move(bytes));
    return RemoveFile(path);
  }

  Status GiveBack(const Sha256& hash, const std::string& path) override {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, Open(hash));
    std::string bytes(reader->size_bytes(), '\0');
    STAGEFS_RETURN_IF_ERROR(reader->ReadAt(bytes.data(), bytes.size(), 0).WithoutValue());
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_WRONLY | O_CREAT | O_TRUNC));
    STAGEFS_RETURN_IF_ERROR(WriteAll(fd.get(), bytes.data(), bytes.size()));
    return Remove(hash);
  }

  Status Sync(const std::vector<Sha256>& hashes) override {
    for (const Sha256& hash : hashes) {
      if (!versions_.Lock()->contains(hash)) return Missing(hash);
    }
    return {};
  }

  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override {
    auto versions = versions_.Lock();
    const auto found = versions->find(hash);
    if (found == versions->end()) return Missing(hash);
    return std::unique_ptr<VersionReader>(new MemoryVersionReader(found->second));
  }

  Result<Presence> Locate(const Sha256& hash) const override {
    return versions_.Lock()->contains(hash) ? Presence::kHere : Presence::kNowhere;
  }

  Result<int64_t> ArrivedNs(const Sha256& hash) const override {
    if (!versions_.Lock()->contains(hash)) return Missing(hash);
    return 0;  // Nobody's clock is asked: gc takes what has no row.
  }

  Status Remove(const Sha256& hash) override {
    if (versions_.Lock()->erase(hash) == 0) return Missing(hash);
    return {};
  }

  Status List(const std::function<bool(const Sha256&)>& visit) const override {
    std::vector<Sha256> hashes;
    for (const auto& [hash, bytes] : *versions_.Lock()) hashes.push_back(hash);
    for (const Sha256& hash : hashes) {
      if (!visit(hash)) break;
    }
    return {};
  }

  Result<DiskSpace> GetSpace() const override { return DiskSpace{}; }

 private:
  static Error Missing(const Sha256& hash) {
    return Error(ErrorCode::kNotFound, "version " + ToHex(hash) + ": no such version");
  }

  mutable Guarded<std::map<Sha256, Bytes>> versions_;
};

}  // namespace

std::unique_ptr<VersionStore> NewMemoryVersionStore() { return std::make_unique<MemoryVersionStore>(); }

}  // namespace stagefs
