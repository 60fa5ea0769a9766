// Versions as files of this machine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "stagefs/posix_env.h"
#include "stagefs/version_source.h"

namespace stagefs {

class ByteSource;

// FOLDER/ab/cdef…
std::string VersionFilePath(const std::string& folder, const Sha256& hash);

// The whole file `fd`, whatever its name is meanwhile.
Result<std::unique_ptr<VersionReader>> NewFileReader(UniqueFd fd);

// Writes `source` to its end to `fd`. kInvalidArgument if that is not `size_bytes` that hash to `hash`.
Status WriteVersion(ByteSource& source, const Sha256& hash, uint64_t size_bytes, int fd);

// A new file on its way to its name, removed with its owner unless it was moved there.
class TemporaryFile {
 public:
  static Result<TemporaryFile> Create(const std::string& folder);
  TemporaryFile(TemporaryFile&& other) noexcept : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {})) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile();

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  // Nothing more is written.
  void Close() { fd_.Reset(); }

 private:
  TemporaryFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;
};

// What CopyTo() brings, in a file of `folder` that has no name any more: Open() of a source that cannot read a part.
Result<std::unique_ptr<VersionReader>> OpenCopy(const VersionSource& source, const Sha256& hash,
                                                const std::string& folder);

}  // namespace stagefs
