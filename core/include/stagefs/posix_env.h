// The operating system, as stagefs uses it: owned descriptors, whole reads and writes, durable renames.
// errno becomes an Error here and nowhere else.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stagefs/content_hash.h"
#include "stagefs/result.h"

namespace stagefs {

// Owns one file descriptor; a move releases what was held.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~UniqueFd() { Reset(); }

  bool valid() const { return fd_ >= 0; }
  int get() const { return fd_; }
  // The descriptor, which is the caller's from now on.
  int Release() { return std::exchange(fd_, -1); }
  void Reset();

 private:
  int fd_ = -1;
};

// The current errno as an Error: "WHAT: strerror".
Error ErrnoError(const std::string& what);

Result<UniqueFd> OpenFd(const std::string& path, int flags, mode_t mode = 0600);
// A new, empty, unnamed file in `folder`, for data too large for memory.
Result<UniqueFd> OpenUnnamed(const std::string& folder);
Status WriteAll(int fd, const void* data, size_t size_bytes);
Status WriteAllAt(int fd, const void* data, size_t size_bytes, uint64_t offset);
// Reads until `size_bytes` or the end of the file; returns how much.
Result<size_t> ReadUpTo(int fd, void* data, size_t size_bytes, uint64_t offset);
Result<uint64_t> FileSize(int fd);
Result<std::string> ReadWholeFile(const std::string& path);

// Makes `to` share the bytes of `from`, where the disk can.
bool TryReflink(int from, int to);
// A piece of a file: bytes, or a hole, which takes no room and reads as zeros.
struct Extent {
  uint64_t begin = 0, end = 0;
  bool is_hole = false;
};
// What is at `offset`; empty at the file's end and behind it. Where the file system tells of no holes all is bytes.
Result<Extent> ExtentAt(int fd, uint64_t offset);
// How many blocks of 512 bytes a file with holes takes; std::nullopt for one without. The end is no hole.
std::optional<int64_t> SparseBlocks(int fd);
// Copies `size_bytes` from the start of `from` to `to`, which is empty: a reflink where the disk can, else
// copy_file_range, else read and write. Holes stay holes. kInterrupted, with a part of them copied (interruption.h).
Status CopyBytes(int from, int to, uint64_t size_bytes);

// Hashes `fd` from its start to its end, or its first `most` bytes; also tells how many bytes that was. Holes are not
// read. kInterrupted.
struct HashedFile {
  ContentId id;
  uint64_t size_bytes = 0;
};
Result<HashedFile> HashFile(int fd, uint64_t most = UINT64_MAX);
// The same for a hasher that goes on; returns how many bytes.
Result<uint64_t> HashInto(int fd, ContentHasher* hasher, uint64_t most = UINT64_MAX);

Status MakeFolders(const std::string& path);
// The names in a folder, in byte order.
Result<std::vector<std::string>> ListNames(const std::string& folder);
Status SyncFd(int fd, const std::string& what);
// The same for a file of somebody's bytes. Once a sync failed the kernel takes the pages for written, so that the next
// one would succeed without them: the file is marked (kSyncFailedMark, which every process sees) and refused with kIo
// from then on. Its bytes must be written to another file.
constexpr mode_t kSyncFailedMark = S_ISGID;
Status SyncFile(int fd, const std::string& what);
// The mark alone, where a sync may have failed that nobody told of.
Status MarkSyncFailed(int fd, const std::string& what);
// Writes what memory has of a file over it once more and syncs that. Of all of it, the mark is taken off; of the first
// `most` bytes, the rest is still its writer's to write again.
// REQUIRES: nobody else writes to these bytes meanwhile.
Status RewriteFile(int fd, const std::string& what, uint64_t most = UINT64_MAX);
// Makes a file read-only or writable, and keeps that mark.
Status SetMode(const std::string& path, mode_t mode);
Status SyncFolder(const std::string& path);
// Up to so many new files are synced each by itself, more of them with the whole file system that `folder` is on.
constexpr size_t kSyncEachMax = 32;
// The file system that a folder is on, for files that are written while this lives: the kernel tells it of what failed
// since it was made, once. So after a failure Sync() fails with kIo, and each file is to be asked by itself. Safe for
// concurrent use.
class FileSystemSync {
 public:
  explicit FileSystemSync(const std::string& folder);
  Status Sync();

 private:
  const std::string folder_;
  std::mutex mutex_;
  UniqueFd fd_;  // None once one failed.
};
Status RenameFile(const std::string& from, const std::string& to);
Status RemoveFile(const std::string& path);
// Total and free bytes and files, as statfs tells them.
struct DiskSpace {
  uint64_t block_bytes = 4096, blocks = 0, blocks_free = 0, blocks_available = 0, files = 0, files_free = 0;
};
// Of the file system that holds `folder`.
Result<DiskSpace> SpaceOf(const std::string& folder);

int64_t NowNs();
int64_t ToNs(const timespec& time);
// Nanoseconds since this boot, whatever the clock is set to.
int64_t SinceBootNs();

// 32 random lower-case hex digits.
std::string RandomHex();
// What the environment says, from `least` on, in whole seconds of at most an hour.
std::chrono::seconds SecondsFromEnvironment(const char* variable, int otherwise, int least);
// The kernel's id of this boot: bytes that were not synced in another boot may be gone.
std::string BootId();
// This machine for as long as it is installed, else its host name.
std::string MachineId();

}  // namespace stagefs
