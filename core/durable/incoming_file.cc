#include "stagefs/incoming_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <utility>

#include "stagefs/byte_source.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr size_t kCopyBytes = 256 << 10;

}  // namespace

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

Status IncomingFile::WriteHole(uint64_t size_bytes) {
  const auto end = static_cast<off_t>(size_bytes_ + size_bytes);
  if (ftruncate(fd_, end) != 0 || lseek(fd_, end, SEEK_SET) < 0) return ErrnoError("write " + path_);
  hasher_.UpdateZeros(size_bytes);
  size_bytes_ += size_bytes;
  return {};
}

Status IncomingFile::CopyFrom(int fd) {
  if (!TryReflink(fd, fd_)) return WriteFrom(*NewFileSource(fd));
  // A clone is hashed as it is here: whoever changes the original meanwhile does not change it.
  ContentHasher hasher;
  STAGEFS_ASSIGN_OR_RETURN(size_bytes_, HashInto(fd_, &hasher));
  hasher_ = std::move(hasher);
  return {};
}

Status IncomingFile::WriteFrom(ByteSource& source) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kCopyBytes);
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t hole, source.SkipHole());
    if (hole > 0) STAGEFS_RETURN_IF_ERROR(WriteHole(hole));
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(buffer.get(), kCopyBytes));
    if (got == 0) return {};
    STAGEFS_RETURN_IF_ERROR(Write(buffer.get(), got));
  }
}

}  // namespace stagefs
