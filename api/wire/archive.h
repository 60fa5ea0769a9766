// Archives of versions, for downloads of several files at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "stagefs/byte_source.h"

namespace stagefs {

class VersionReader;

enum class ArchiveFormat { kTarGz, kZip };

struct ArchiveEntry {
  std::string path;
  int64_t mtime_ns = 0;
  bool executable = false;
  std::unique_ptr<VersionReader> bytes;
};

// The next entry; std::nullopt after the last.
using NextArchiveEntry = std::function<Result<std::optional<ArchiveEntry>>()>;

// An archive, made while it is read: `next` is asked for an entry once those before it were read. Of these only a zip's
// list stays in memory, about 80 bytes and the path for each. Its paths are ZipPath()s.
// Errors of Read(): those of `next` and of the versions; kIo. The archive is not whole then.
Result<std::unique_ptr<ByteSource>> NewArchiveSource(ArchiveFormat format, NextArchiveEntry next);

}  // namespace stagefs
