// Bytes that are read as a stream.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "stagefs/result.h"

namespace stagefs {

// Bytes read from front to back.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills up to `size_bytes`; returns how many, 0 at the end.
  virtual Result<size_t> Read(void* data, size_t size_bytes) = 0;
  // Passes over zeros that come next and take no room where they are; returns how many.
  virtual Result<uint64_t> SkipHole() { return uint64_t{0}; }
};

// Bytes that can be read again from the start.
class RewindableSource : public ByteSource {
 public:
  virtual Status Rewind() = 0;
};

// A descriptor from its start; `fd` is not owned.
std::unique_ptr<RewindableSource> NewFileSource(int fd);
// `bytes` must outlive it.
std::unique_ptr<RewindableSource> NewStringSource(std::string_view bytes);

}  // namespace stagefs
