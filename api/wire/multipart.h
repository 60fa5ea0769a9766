// multipart/form-data bodies (RFC 7578), as Oxen's clients send them: parts may be compressed with gzip.
//
// A body is what RFC 2046, 5.1.1, says, with lines that end in CRLF or LF:
//
//   what comes before is passed over
//   --BOUNDARY
//   Content-Disposition: form-data; name="file[]"; filename="d/a \"b\".txt"
//   Content-Type: application/gzip
//
//   BYTES
//   --BOUNDARY--
//   what comes after is passed over
//
// The end of the line before a boundary belongs to the boundary; a line that only begins like one is bytes.
// Header lines may be folded; those without a colon, and names other than the two, are passed over. A text
// may be quoted, then \ keeps the character after it; names are bytes, neither %XX nor filename* (which RFC
// 7578 forbids) is read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "stagefs/byte_source.h"

namespace stagefs {

constexpr size_t kPartsMax = 100'000;
constexpr size_t kBoundaryBytesMax = 1024;        // The RFC says 70.
constexpr size_t kPartHeaderBytesMax = 16 << 10;  // All header lines of a part.

struct Part {
  std::string name;
  std::string filename;  // As sent, unescaped; "" where there is none.
};

// Calls `visit` for every part in order, with its bytes (uncompressed where the part's type is
// application/gzip). What `visit` does not read is passed over; what it reads to the end was checked against
// gzip's checksum. All parts together may unpack to `unpacked_bytes_max` bytes.
//
// Errors: kInvalidArgument for what is not multipart or ends too early, and for broken gzip; kTooLarge;
// kIo; and what `visit` returns, which ends the reading.
Status ReadMultipart(ByteSource& body, const std::string& content_type, uint64_t unpacked_bytes_max,
                     const std::function<Status(const Part&, ByteSource&)>& visit);

}  // namespace stagefs
