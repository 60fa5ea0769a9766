#include "version_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "stagefs/counters.h"
#include "version_file.h"

namespace stagefs {
namespace {

// Counting again after so much was added keeps a few processes together below the bound, nearly.
constexpr uint64_t kCountAgainPart = 16;
// Room is made for more than the newest file, so that not each one has to.
constexpr double kTrimTo = 0.9;

// A boot as a time of files, with which a cached file is marked once its bytes are known to be right: it says which
// boot that was whatever the clock says, and goes when something writes to the file. Whole even seconds before 2001,
// which every file system keeps, and which an older stagefs takes for long ago.
int64_t MarkOf(const std::string& boot) {
  constexpr uint64_t kSecondsEnd = 1'000'000'000;
  ContentHasher hasher;
  hasher.Update(boot.data(), boot.size());
  uint64_t number = 0;
  for (const auto byte : hasher.Finish().sha256) number = number * 251 + static_cast<uint8_t>(byte);
  return static_cast<int64_t>(number % (kSecondsEnd / 2) * 2) * 1'000'000'000;
}

timespec ToTime(int64_t ns) { return {ns / 1'000'000'000, ns % 1'000'000'000}; }

}  // namespace

Result<std::unique_ptr<VersionCache>> VersionCache::Open(const std::string& folder, uint64_t bytes_max) {
  auto cache = std::unique_ptr<VersionCache>(new VersionCache(folder, bytes_max));
  STAGEFS_RETURN_IF_ERROR(MakeFolders(cache->incoming()));
  cache->boot_mark_ = MarkOf(BootId());
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    if (name.starts_with("boot-")) unlink(at->path().c_str());  // An older stagefs went by times.
  }
  STAGEFS_RETURN_IF_ERROR(cache->Trim());
  return cache;
}

Result<UniqueFd> VersionCache::Find(const Sha256& hash) {
  auto fd = OpenFd(VersionFilePath(folder_, hash), O_RDONLY);
  struct stat info {};
  if (!fd || fstat(fd->get(), &info) != 0) {
    Counters().cache_misses.fetch_add(1);
    return UniqueFd();
  }
  const bool trusted = ToNs(info.st_mtim) == boot_mark_;
  if (!trusted) {
    const auto hashed = HashFile(fd->get());
    if (!hashed && hashed.error().code() == ErrorCode::kInterrupted) return hashed.error();
    if (!hashed || hashed->id.sha256 != hash) {
      Drop(hash);
      Counters().cache_misses.fetch_add(1);
      return UniqueFd();
    }
  }
  // Access time: when it was used. Modification time: the boot in which its bytes were last known to be right.
  const timespec times[2] = {{0, UTIME_NOW}, trusted ? timespec{0, UTIME_OMIT} : ToTime(boot_mark_)};
  (void)futimens(fd->get(), times);
  Counters().cache_hits.fetch_add(1);
  return std::move(*fd);
}

bool VersionCache::Has(const Sha256& hash) const { return access(VersionFilePath(folder_, hash).c_str(), F_OK) == 0; }

Status VersionCache::Keep(const Sha256& hash, const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoError("stat " + path);
  if (chmod(path.c_str(), 0400) != 0) return ErrnoError("make read-only " + path);
  const timespec times[2] = {{0, UTIME_NOW}, ToTime(boot_mark_)};
  if (utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) return ErrnoError("set the times of " + path);
  const std::string to = VersionFilePath(folder_, hash);
  auto moved = RenameFile(path, to);
  if (!moved && moved.error().code() == ErrorCode::kNotFound) {
    STAGEFS_RETURN_IF_ERROR(MakeFolders(to.substr(0, to.rfind('/'))));
    moved = RenameFile(path, to);
  }
  if (!moved) return moved;
  const auto bytes = static_cast<uint64_t>(info.st_size);
  const uint64_t total = size_bytes_.fetch_add(bytes) + bytes;
  Counters().cache_bytes = static_cast<int64_t>(total);
  const uint64_t added = added_bytes_.fetch_add(bytes) + bytes;
  if (total > bytes_max_ || added > bytes_max_ / kCountAgainPart) return Trim(to);
  return {};
}

void VersionCache::Drop(const Sha256& hash) { unlink(VersionFilePath(folder_, hash).c_str()); }

namespace {

struct Copy {
  int64_t used_ns;
  uint64_t bytes;
  std::string path;
};

// What is on its way in, in the folder `incoming`, is nobody's to remove.
std::vector<Copy> CopiesIn(const std::string& folder, const std::string& incoming) {
  std::vector<Copy> copies;
  std::error_code error;
  using Walk = std::filesystem::recursive_directory_iterator;
  for (Walk at(folder, error), end; !error && at != end; at.increment(error)) {
    struct stat info {};
    const std::string path = at->path();
    if (path == incoming) at.disable_recursion_pending();
    if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || (info.st_mode & 0777) != 0400) continue;
    copies.push_back({ToNs(info.st_atim), static_cast<uint64_t>(info.st_size), path});
  }
  return copies;
}

}  // namespace

Status VersionCache::Trim(const std::string& arrived) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd lock, OpenFd(folder_ + "/lock", O_RDWR | O_CREAT));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return {};  // Somebody is at it.
  std::vector<Copy> copies = CopiesIn(folder_, incoming_);
  uint64_t total = 0;
  for (const Copy& copy : copies) total += copy.bytes;
  added_bytes_ = 0;
  if (total > bytes_max_) {
    std::sort(copies.begin(), copies.end(), [](const Copy& a, const Copy& b) { return a.used_ns < b.used_ns; });
    const auto enough = static_cast<uint64_t>(static_cast<double>(bytes_max_) * kTrimTo);
    for (const Copy& copy : copies) {
      if (total <= enough) break;
      if (copy.path == arrived) continue;  // Also where it is larger than all that may be kept: it is about to be read.
      if (unlink(copy.path.c_str()) != 0) continue;
      total -= copy.bytes;
      Counters().cache_dropped.fetch_add(1);
    }
  }
  size_bytes_ = total;
  Counters().cache_bytes = static_cast<int64_t>(total);
  return {};
}

}  // namespace stagefs
