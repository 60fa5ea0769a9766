// gzip (RFC 1952) and zstd (RFC 8878) data, unpacked while it is read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "stagefs/byte_source.h"

namespace stagefs {

enum class Compression { kNone, kGzip, kZstd };

// By the first bytes.
Compression CompressionOf(std::string_view first_bytes);
// `name` without .gz or .zst at its end, in any case.
std::string_view WithoutCompression(std::string_view name);

// What unpacking may cost. The defaults are no limits but zstd's own: a window of 128 MiB.
struct UnpackLimits {
  uint64_t bytes_max = UINT64_MAX;
  // Unpacked bytes for each packed one, beyond the first `free_bytes`.
  uint64_t ratio_max = UINT64_MAX;
  uint64_t free_bytes = 0;
  int zstd_window_log_max = 27;
};

// The content of `packed`, one member or frame or several. What was read to the end was checked against its checksums.
// Memory: 64 KiB of input, and zlib's or zstd's window. `packed` must outlive it.
//
// Errors of Read(), which begin with `what`: kInvalidArgument for what is no such data, or ends before its end;
// kTooLarge, naming the limit; what `packed` returns.
std::unique_ptr<ByteSource> NewUnpackedSource(ByteSource& packed, Compression compression, const UnpackLimits& limits,
                                              std::string what);
std::unique_ptr<RewindableSource> NewUnpackedSource(RewindableSource& packed, Compression compression,
                                                    const UnpackLimits& limits, std::string what);

}  // namespace stagefs
