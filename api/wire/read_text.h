// Bodies, and parts of them, that are short enough for memory.
#pragma once

#include <string>

#include "stagefs/byte_source.h"

namespace stagefs {

// JSON bodies other than manifests.
constexpr size_t kJsonBytesMax = 20 << 20;

// The whole of `source`, which must not be longer than `bytes_max` (else kTooLarge).
Result<std::string> ReadText(ByteSource& source, size_t bytes_max);

// Bytes that may be gzip, as their first two say; neither they nor what they unpack to is longer than
// `bytes_max`.
Result<std::string> ReadMaybeGzip(ByteSource& source, size_t bytes_max);

}  // namespace stagefs
