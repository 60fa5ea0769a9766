#include "gzip.h"

#include <zlib.h>

#include <utility>

namespace stagefs {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

class GunzipSource : public ByteSource {
 public:
  explicit GunzipSource(ByteSource& packed) : packed_(packed) {
    constexpr int kGzipOnly = 15 + 16;
    ready_ = inflateInit2(&zlib_, kGzipOnly) == Z_OK;
  }
  ~GunzipSource() override { inflateEnd(&zlib_); }
  GunzipSource(const GunzipSource&) = delete;
  GunzipSource& operator=(const GunzipSource&) = delete;

  Result<size_t> Read(void* data, size_t size_bytes) override {
    if (!ready_) return Error(ErrorCode::kIo, "zlib does not start");
    zlib_.next_out = static_cast<Bytef*>(data);
    zlib_.avail_out = static_cast<uInt>(size_bytes);
    while (zlib_.avail_out > 0) {
      if (zlib_.avail_in == 0) {
        STAGEFS_ASSIGN_OR_RETURN(const size_t got, packed_.Read(buffer_.get(), kBufferBytes));
        if (got == 0 && !between_members_) return Broken("ends too early");
        if (got == 0) break;
        zlib_.next_in = reinterpret_cast<Bytef*>(buffer_.get());
        zlib_.avail_in = static_cast<uInt>(got);
      }
      if (std::exchange(between_members_, false)) inflateReset(&zlib_);
      const int result = inflate(&zlib_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return Broken("is broken");
      between_members_ = result == Z_STREAM_END;
    }
    return size_bytes - zlib_.avail_out;
  }

 private:
  static Error Broken(const std::string& how) {
    return Error(ErrorCode::kInvalidArgument, "Failed to read request payload: gzip data " + how);
  }

  ByteSource& packed_;
  // Not filled with zeros first: a form may have many parts, each with a few bytes.
  const std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  z_stream zlib_{};
  bool ready_ = false;
  bool between_members_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> NewGunzipSource(ByteSource& packed) {
  return std::make_unique<GunzipSource>(packed);
}

}  // namespace stagefs
