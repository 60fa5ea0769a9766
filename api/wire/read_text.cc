#include "read_text.h"

#include <memory>

#include "stagefs/compression.h"

namespace stagefs {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

}  // namespace

Result<std::string> ReadText(ByteSource& source, size_t bytes_max) {
  std::string text;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(buffer.get(), kBufferBytes));
    if (got == 0) return text;
    text.append(buffer.get(), got);
    if (text.size() > bytes_max) {
      return Error(ErrorCode::kTooLarge, "more than " + std::to_string(bytes_max) + " bytes");
    }
  }
}

Result<std::string> ReadMaybeGzip(ByteSource& source, size_t bytes_max) {
  auto text = ReadText(source, bytes_max);
  if (!text || CompressionOf(*text) != Compression::kGzip) return text;
  const auto packed = NewStringSource(*text);
  return ReadText(*NewUnpackedSource(*packed, Compression::kGzip, {}, "Failed to read request payload"), bytes_max);
}

}  // namespace stagefs
