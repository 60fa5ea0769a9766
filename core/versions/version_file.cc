#include "version_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <vector>

#include "stagefs/byte_source.h"

namespace stagefs {
namespace {

class FileReader : public VersionReader {
 public:
  FileReader(UniqueFd fd, uint64_t size_bytes) : fd_(std::move(fd)), size_bytes_(size_bytes) {}

  uint64_t size_bytes() const override { return size_bytes_; }
  int fd() const override { return fd_.get(); }
  Result<size_t> ReadAt(void* data, size_t size_bytes, uint64_t offset) const override {
    return ReadUpTo(fd_.get(), data, size_bytes, offset);
  }

 private:
  const UniqueFd fd_;
  const uint64_t size_bytes_;
};

}  // namespace

std::string VersionFilePath(const std::string& folder, const Sha256& hash) {
  const std::string hex = ToHex(hash);
  return folder + '/' + hex.substr(0, 2) + '/' + hex.substr(2);
}

Result<std::unique_ptr<VersionReader>> NewFileReader(UniqueFd fd) {
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd.get()));
  return std::unique_ptr<VersionReader>(new FileReader(std::move(fd), size_bytes));
}

Status WriteVersion(ByteSource& source, const Sha256& hash, uint64_t size_bytes, int fd) {
  std::vector<char> buffer(256 << 10);
  ContentHasher hasher;
  uint64_t total = 0;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t hole, source.SkipHole());
    hasher.UpdateZeros(hole);
    total += hole;
    if (hole > 0 && ftruncate(fd, static_cast<off_t>(total)) != 0) return ErrnoError("write version " + ToHex(hash));
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(buffer.data(), buffer.size()));
    if (got == 0) break;
    hasher.Update(buffer.data(), got);
    STAGEFS_RETURN_IF_ERROR(WriteAllAt(fd, buffer.data(), got, total));
    total += got;
  }
  if (total != size_bytes || hasher.Finish().sha256 != hash) {
    return Error(ErrorCode::kInvalidArgument, "the bytes sent are not those of version " + ToHex(hash));
  }
  return {};
}

Result<TemporaryFile> TemporaryFile::Create(const std::string& folder) {
  std::string path = folder + '/' + RandomHex();
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenFd(path, O_RDWR | O_CREAT | O_EXCL));
  return TemporaryFile(std::move(fd), std::move(path));
}

TemporaryFile::~TemporaryFile() {
  if (!path_.empty()) unlink(path_.c_str());
}

Result<std::unique_ptr<VersionReader>> OpenCopy(const VersionSource& source, const Sha256& hash,
                                                const std::string& folder) {
  STAGEFS_ASSIGN_OR_RETURN(const TemporaryFile copy, TemporaryFile::Create(folder));
  STAGEFS_RETURN_IF_ERROR(source.CopyTo(hash, copy.fd()));
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenFd(copy.path(), O_RDONLY));  // A version never has a writer.
  return NewFileReader(std::move(fd));
}

}  // namespace stagefs
