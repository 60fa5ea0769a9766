#include "stagefs/byte_source.h"

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

class FileSource : public RewindableSource {
 public:
  explicit FileSource(int fd) : fd_(fd) {}
  Result<size_t> Read(void* data, size_t size_bytes) override {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, ReadUpTo(fd_, data, size_bytes, offset_));
    offset_ += got;
    return got;
  }
  Result<uint64_t> SkipHole() override {
    STAGEFS_ASSIGN_OR_RETURN(const Extent extent, ExtentAt(fd_, offset_));
    if (!extent.is_hole) return uint64_t{0};
    offset_ = extent.end;
    return extent.end - extent.begin;
  }
  Status Rewind() override {
    offset_ = 0;
    return {};
  }

 private:
  const int fd_;
  uint64_t offset_ = 0;
};

class StringSource : public RewindableSource {
 public:
  explicit StringSource(std::string_view bytes) : bytes_(bytes) {}
  Result<size_t> Read(void* data, size_t size_bytes) override {
    const size_t got = bytes_.copy(static_cast<char*>(data), size_bytes, offset_);
    offset_ += got;
    return got;
  }
  Status Rewind() override {
    offset_ = 0;
    return {};
  }

 private:
  const std::string_view bytes_;
  size_t offset_ = 0;
};

}  // namespace

std::unique_ptr<RewindableSource> NewFileSource(int fd) { return std::make_unique<FileSource>(fd); }
std::unique_ptr<RewindableSource> NewStringSource(std::string_view bytes) {
  return std::make_unique<StringSource>(bytes);
}

}  // namespace stagefs
