// gzip data (RFC 1952), unpacked while it is read.
#pragma once

#include <memory>

#include "stagefs/byte_source.h"

namespace stagefs {

// The content of `packed`, one member or several. What was read to the end was checked against its checksums.
// Errors: kInvalidArgument for what is not gzip or ends before its checksum; what `packed` returns.
std::unique_ptr<ByteSource> NewGunzipSource(ByteSource& packed);

}  // namespace stagefs
