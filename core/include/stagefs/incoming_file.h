// A file on its way into the version store.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stagefs/content_hash.h"
#include "stagefs/result.h"

namespace stagefs {

class ByteSource;

// A file on its way into the version store: written once, hashed while it is written. It disappears with
// its owner unless the repository adopts it. For one thread at a time.
class IncomingFile {
 public:
  static Result<IncomingFile> Create(const std::string& folder);
  IncomingFile(IncomingFile&&) noexcept;
  IncomingFile& operator=(IncomingFile&&) noexcept;
  ~IncomingFile();

  Status Write(const void* data, size_t size_bytes);
  Status Write(std::string_view bytes) { return Write(bytes.data(), bytes.size()); }
  // So many zeros, which take no room.
  Status WriteHole(uint64_t size_bytes);
  // The whole of an open file, by reflink where the disk can; holes stay holes. Nothing was written before.
  Status CopyFrom(int fd);
  // Everything that `source` still has.
  Status WriteFrom(ByteSource& source);
  // Gives the descriptor back where many files wait to be adopted together. Nothing more is written.
  void Close();
  ContentId Finish() const { return hasher_.Finish(); }
  uint64_t size_bytes() const { return size_bytes_; }
  int fd() const { return fd_; }
  const std::string& path() const { return path_; }
  // Forgets the file without removing it: somebody else has it now.
  void Release() { path_.clear(); }

 private:
  IncomingFile() = default;
  void Drop();

  int fd_ = -1;
  std::string path_;
  ContentHasher hasher_;
  uint64_t size_bytes_ = 0;
};

}  // namespace stagefs
