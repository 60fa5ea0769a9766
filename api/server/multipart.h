// multipart/form-data bodies (RFC 7578), as Oxen's clients send them: parts may be compressed with gzip.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "stagefs/manifest.h"

namespace stagefs {

class ByteSource;

constexpr size_t kPartsMax = 100'000;

struct Part {
  std::string name;
  std::string filename;  // As sent, unescaped; "" where there is none.
};

// Calls `visit` for every part in order, with its bytes (uncompressed where the part's type is
// application/gzip). What `visit` does not read is
// passed over; what it reads to the end was checked against gzip's checksum. All parts together may unpack to
// `unpacked_bytes_max` bytes.
//
// Errors: kInvalidArgument for what is not multipart or ends too early, and for broken gzip; kTooLarge;
// kIo; and what `visit` returns, which ends the reading.
Status ReadMultipart(RewindableSource& body, const std::string& content_type, uint64_t unpacked_bytes_max,
                     const std::function<Status(const Part&, ByteSource&)>& visit);

// The whole of `source`, which must not be longer than `bytes_max` (else kTooLarge).
Result<std::string> ReadText(ByteSource& source, size_t bytes_max);

// Bytes that may be gzip, as their first two say.
Result<std::string> ReadMaybeGzip(ByteSource& source, size_t bytes_max);

}  // namespace stagefs
