// Archives of versions, for downloads of several files at once.
#pragma once

#include <memory>
#include <string>

#include "stagefs/result.h"

namespace stagefs {

class VersionReader;

enum class ArchiveFormat { kTarGz, kZip };

// Writes an archive to a descriptor, which is not owned. For one thread.
class ArchiveWriter {
 public:
  static Result<std::unique_ptr<ArchiveWriter>> Open(int fd, ArchiveFormat format);
  ~ArchiveWriter();
  Status Add(const std::string& path, int64_t mtime_ns, const VersionReader& bytes);
  // The archive is whole once this returns OK.
  Status Finish();

 private:
  struct State;
  explicit ArchiveWriter(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace stagefs
