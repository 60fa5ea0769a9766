#include "incoming_body.h"

#include <vector>

namespace stagefs {
namespace {

constexpr size_t kUnpackBytes = 256 << 10;
// What RFC 9659 allows: 8 MiB, which zstd -19 needs.
constexpr int kZstdWindowLogMax = 23;

}  // namespace

void IncomingBody::Add(const char* data, size_t size, const std::string& folder, uint64_t bytes_max) {
  received_ += size;
  if (received_ > bytes_max) {
    too_large_ = true;
    memory_.clear();
    spool_.Reset();
  }
  if (too_large_ || !trouble_) return;
  memory_.append(data, size);
  if (memory_.size() >= kInMemoryMax) trouble_ = Spill(folder);
}

Status IncomingBody::AddUnpacked(ByteSource& packed, Compression compression, const std::string& folder,
                                 uint64_t bytes_max) {
  UnpackLimits limits;
  limits.bytes_max = bytes_max;
  limits.zstd_window_log_max = kZstdWindowLogMax;
  const auto unpacked = NewUnpackedSource(packed, compression, limits, "the body");
  std::vector<char> buffer(kUnpackBytes);
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, unpacked->Read(buffer.data(), buffer.size()));
    if (got == 0) return {};
    Add(buffer.data(), got, folder, bytes_max);
    STAGEFS_RETURN_IF_ERROR(trouble_);
  }
}

Status IncomingBody::Spill(const std::string& folder) {
  if (!spool_.valid()) {
    STAGEFS_ASSIGN_OR_RETURN(spool_, OpenUnnamed(folder));
  }
  STAGEFS_RETURN_IF_ERROR(WriteAll(spool_.get(), memory_.data(), memory_.size()));
  memory_.clear();
  return {};
}

Result<std::unique_ptr<RewindableSource>> IncomingBody::Finish() {
  STAGEFS_RETURN_IF_ERROR(trouble_);
  if (!spool_.valid()) return NewStringSource(memory_);
  STAGEFS_RETURN_IF_ERROR(WriteAll(spool_.get(), memory_.data(), memory_.size()));
  memory_.clear();
  return NewFileSource(spool_.get());
}

}  // namespace stagefs
