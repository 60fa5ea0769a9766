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

}  // namespace

Result<std::unique_ptr<VersionCache>> VersionCache::Open(const std::string& folder, uint64_t bytes_max) {
  auto cache = std::unique_ptr<VersionCache>(new VersionCache(folder, bytes_max));
  STAGEFS_RETURN_IF_ERROR(MakeFolders(cache->incoming()));
  // When the first process of this boot came: whatever is newer was written by one that hashed it.
  const std::string boot = folder + "/boot-" + BootId();
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(boot, O_WRONLY | O_CREAT));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return ErrnoError("stat " + boot);
  cache->trusted_since_ns_ = ToNs(info.st_mtim);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("boot-") && entry.path() != boot) unlink(entry.path().c_str());
  }
  STAGEFS_RETURN_IF_ERROR(cache->Trim());
  return cache;
}

UniqueFd VersionCache::Find(const Sha256& hash) {
  auto fd = OpenFd(VersionFilePath(folder_, hash), O_RDONLY);
  struct stat info {};
  if (!fd || fstat(fd->get(), &info) != 0) {
    Counters().cache_misses.fetch_add(1);
    return {};
  }
  const bool trusted = ToNs(info.st_mtim) >= trusted_since_ns_;
  if (!trusted) {
    const auto hashed = HashFile(fd->get());
    if (!hashed || hashed->id.sha256 != hash) {
      Drop(hash);
      Counters().cache_misses.fetch_add(1);
      return {};
    }
  }
  // Access time: when it was used. Modification time: when its bytes were known to be right.
  const timespec times[2] = {{0, UTIME_NOW}, {0, trusted ? UTIME_OMIT : UTIME_NOW}};
  (void)futimens(fd->get(), times);
  Counters().cache_hits.fetch_add(1);
  return std::move(*fd);
}

bool VersionCache::Has(const Sha256& hash) const { return access(VersionFilePath(folder_, hash).c_str(), F_OK) == 0; }

Status VersionCache::Keep(const Sha256& hash, const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoError("stat " + path);
  if (chmod(path.c_str(), 0400) != 0) return ErrnoError("make read-only " + path);
  const timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (utimensat(AT_FDCWD, path.c_str(), now, 0) != 0) return ErrnoError("set the times of " + path);
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
  if (total > bytes_max_ || added > bytes_max_ / kCountAgainPart) return Trim();
  return {};
}

void VersionCache::Drop(const Sha256& hash) { unlink(VersionFilePath(folder_, hash).c_str()); }

namespace {

struct Copy {
  int64_t used_ns;
  uint64_t bytes;
  std::string path;
};

// Files on their way in are still writable: they are not counted, and not dropped.
std::vector<Copy> CopiesIn(const std::string& folder) {
  std::vector<Copy> copies;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
    struct stat info {};
    const std::string path = entry.path();
    if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || (info.st_mode & 0777) != 0400) continue;
    copies.push_back({ToNs(info.st_atim), static_cast<uint64_t>(info.st_size), path});
  }
  return copies;
}

}  // namespace

Status VersionCache::Trim() {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd lock, OpenFd(folder_ + "/lock", O_RDWR | O_CREAT));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return {};  // Somebody is at it.
  std::vector<Copy> copies = CopiesIn(folder_);
  uint64_t total = 0;
  for (const Copy& copy : copies) total += copy.bytes;
  added_bytes_ = 0;
  if (total > bytes_max_) {
    std::sort(copies.begin(), copies.end(), [](const Copy& a, const Copy& b) { return a.used_ns < b.used_ns; });
    const auto enough = static_cast<uint64_t>(static_cast<double>(bytes_max_) * kTrimTo);
    for (const Copy& copy : copies) {
      if (total <= enough) break;
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
