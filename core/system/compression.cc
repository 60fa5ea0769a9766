#include "stagefs/compression.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>

#include "stagefs/text.h"

namespace stagefs {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr std::string_view kGzipMagic = "\x1f\x8b", kZstdMagic = "\x28\xb5\x2f\xfd";
// zlib counts in 32 bits.
constexpr size_t kStepBytesMax = 1 << 30;

enum class StepOutcome { kFine, kBroken, kWindowTooLarge };

struct Space {
  char* data;
  size_t size;
};

// One of the libraries.
class Codec {
 public:
  virtual ~Codec() = default;
  virtual const char* name() const = 0;
  // Takes from `in` and puts into `out`, as far as it can, which may be nowhere.
  virtual StepOutcome Step(std::string_view* in, Space* out) = 0;
  // Whether the data may end here.
  bool whole() const { return whole_; }

 protected:
  bool whole_ = false;
};

class GzipCodec final : public Codec {
 public:
  GzipCodec() {
    constexpr int kGzipOnly = 15 + 16;
    ready_ = inflateInit2(&zlib_, kGzipOnly) == Z_OK;
  }
  ~GzipCodec() override { inflateEnd(&zlib_); }

  const char* name() const override { return "gzip"; }
  StepOutcome Step(std::string_view* in, Space* out) override {
    if (!ready_ || (whole_ && inflateReset(&zlib_) != Z_OK)) return StepOutcome::kBroken;
    const size_t in_max = std::min(in->size(), kStepBytesMax), out_max = std::min(out->size, kStepBytesMax);
    zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in->data()));
    zlib_.avail_in = static_cast<uInt>(in_max);
    zlib_.next_out = reinterpret_cast<Bytef*>(out->data);
    zlib_.avail_out = static_cast<uInt>(out_max);
    const int result = inflate(&zlib_, Z_NO_FLUSH);
    in->remove_prefix(in_max - zlib_.avail_in);
    *out = {out->data + (out_max - zlib_.avail_out), out->size - (out_max - zlib_.avail_out)};
    whole_ = result == Z_STREAM_END;
    return whole_ || result == Z_OK || result == Z_BUF_ERROR ? StepOutcome::kFine : StepOutcome::kBroken;
  }

 private:
  z_stream zlib_{};
  bool ready_ = false;
};

class ZstdCodec final : public Codec {
 public:
  explicit ZstdCodec(int window_log_max) : zstd_(ZSTD_createDCtx()) {
    ready_ = zstd_ != nullptr &&
             ZSTD_isError(ZSTD_DCtx_setParameter(zstd_, ZSTD_d_windowLogMax, window_log_max)) == 0;
  }
  ~ZstdCodec() override { ZSTD_freeDCtx(zstd_); }

  const char* name() const override { return "zstd"; }
  StepOutcome Step(std::string_view* in, Space* out) override {
    if (!ready_) return StepOutcome::kBroken;
    ZSTD_inBuffer from{in->data(), in->size(), 0};
    ZSTD_outBuffer to{out->data, out->size, 0};
    const size_t result = ZSTD_decompressStream(zstd_, &to, &from);
    if (ZSTD_isError(result) != 0) {
      return ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge ? StepOutcome::kWindowTooLarge
                                                                                   : StepOutcome::kBroken;
    }
    in->remove_prefix(from.pos);
    *out = {out->data + to.pos, out->size - to.pos};
    whole_ = result == 0;
    return StepOutcome::kFine;
  }

 private:
  ZSTD_DCtx* const zstd_;
  bool ready_ = false;
};

class UnpackedSource : public ByteSource {
 public:
  UnpackedSource(ByteSource& packed, Compression compression, const UnpackLimits& limits, std::string what)
      : packed_(packed), limits_(limits), what_(std::move(what)) {
    if (compression == Compression::kZstd) codec_ = std::make_unique<ZstdCodec>(limits.zstd_window_log_max);
    else codec_ = std::make_unique<GzipCodec>();
  }

  Result<size_t> Read(void* data, size_t size_bytes) override {
    Space out{static_cast<char*>(data), size_bytes};
    while (out.size > 0) {
      const size_t in_before = in_.size(), out_before = out.size;
      // At the end of a member there is nothing to come out, unless another one begins.
      if (!codec_->whole() || !in_.empty()) {
        STAGEFS_RETURN_IF_ERROR(Check(codec_->Step(&in_, &out)));
      }
      consumed_ += in_before - in_.size();
      produced_ += out_before - out.size;
      STAGEFS_RETURN_IF_ERROR(CheckLimits());
      if (in_.size() < in_before || out.size < out_before) continue;
      if (!in_.empty()) return Check(StepOutcome::kBroken).error();
      STAGEFS_ASSIGN_OR_RETURN(const size_t got, packed_.Read(buffer_.get(), kBufferBytes));
      in_ = {buffer_.get(), got};
      if (got > 0) continue;
      if (codec_->whole()) break;
      return Malformed("data ends too early: it looks cut short");
    }
    return size_bytes - out.size;
  }

 private:
  Error Malformed(const std::string& how) const {
    return Error(ErrorCode::kInvalidArgument, what_ + ": " + codec_->name() + ' ' + how);
  }

  Status Check(StepOutcome outcome) const {
    switch (outcome) {
      case StepOutcome::kFine: return {};
      case StepOutcome::kBroken: return Malformed("data is broken");
      case StepOutcome::kWindowTooLarge: break;
    }
    return Error(ErrorCode::kTooLarge, what_ + ": it takes a window of more than " +
                                           std::to_string((1 << limits_.zstd_window_log_max) >> 20) +
                                           " MiB to unpack: compress it with zstd -19 or less, without --long");
  }

  Status CheckLimits() const {
    if (produced_ > limits_.bytes_max) {
      return Error(ErrorCode::kTooLarge, what_ + ": it unpacks to more than " + std::to_string(limits_.bytes_max) +
                                             " bytes");
    }
    const bool is_free = produced_ <= limits_.free_bytes;
    if (is_free || (produced_ - limits_.free_bytes - 1) / limits_.ratio_max < consumed_) return {};
    return Error(ErrorCode::kTooLarge,
                 what_ + ": it unpacks to more than " + std::to_string(limits_.ratio_max) + " times its size");
  }

  ByteSource& packed_;
  const UnpackLimits limits_;
  const std::string what_;
  std::unique_ptr<Codec> codec_;
  // Not filled with zeros first: a form may have many parts, each with a few bytes.
  const std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  std::string_view in_;  // Of it, what is left.
  uint64_t consumed_ = 0, produced_ = 0;
};

class RewindableUnpackedSource : public RewindableSource {
 public:
  RewindableUnpackedSource(RewindableSource& packed, Compression compression, const UnpackLimits& limits,
                           std::string what)
      : packed_(packed), compression_(compression), limits_(limits), what_(std::move(what)) {}

  Result<size_t> Read(void* data, size_t size_bytes) override {
    if (!now_) STAGEFS_RETURN_IF_ERROR(Rewind());
    return now_->Read(data, size_bytes);
  }
  Status Rewind() override {
    now_ = std::make_unique<UnpackedSource>(packed_, compression_, limits_, what_);
    return packed_.Rewind();
  }

 private:
  RewindableSource& packed_;
  const Compression compression_;
  const UnpackLimits limits_;
  const std::string what_;
  std::unique_ptr<UnpackedSource> now_;
};

}  // namespace

Compression CompressionOf(std::string_view first_bytes) {
  if (first_bytes.starts_with(kGzipMagic)) return Compression::kGzip;
  if (first_bytes.starts_with(kZstdMagic)) return Compression::kZstd;
  return Compression::kNone;
}

std::string_view WithoutCompression(std::string_view name) {
  const std::string lower = ToLowerAscii(name);
  for (const std::string_view ending : {".gz", ".zst"}) {
    if (lower.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  }
  return name;
}

std::unique_ptr<ByteSource> NewUnpackedSource(ByteSource& packed, Compression compression, const UnpackLimits& limits,
                                              std::string what) {
  return std::make_unique<UnpackedSource>(packed, compression, limits, std::move(what));
}

std::unique_ptr<RewindableSource> NewUnpackedSource(RewindableSource& packed, Compression compression,
                                                    const UnpackLimits& limits, std::string what) {
  return std::make_unique<RewindableUnpackedSource>(packed, compression, limits, std::move(what));
}

}  // namespace stagefs
