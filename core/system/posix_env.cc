#include "stagefs/posix_env.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <memory>
#include <vector>

#include "stagefs/interruption.h"

namespace stagefs {
namespace {

constexpr size_t kCopyChunkBytes = 1 << 20;
// The kernel copies so much before anybody can be asked whether that is still wanted.
constexpr uint64_t kCopyRangeBytes = 16 << 20;

ErrorCode CodeOf(int error) {
  switch (error) {
    case ENOENT: return ErrorCode::kNotFound;
    case EEXIST: return ErrorCode::kExists;
    case ENOTDIR: return ErrorCode::kNotDirectory;
    case EISDIR: return ErrorCode::kIsDirectory;
    case ENOTEMPTY: return ErrorCode::kNotEmpty;
    case ENAMETOOLONG: return ErrorCode::kNameTooLong;
    case EFBIG: return ErrorCode::kTooLarge;
    case EACCES:
    case EPERM: return ErrorCode::kPermission;
    case EROFS: return ErrorCode::kReadOnly;
    case ENOSPC:
    case EDQUOT: return ErrorCode::kNoSpace;
    case EBUSY:
    case EAGAIN: return ErrorCode::kBusy;
    case ESTALE: return ErrorCode::kStale;
    case EINVAL: return ErrorCode::kInvalidArgument;
    default: return ErrorCode::kIo;
  }
}

template <class Call>
auto RetryInterrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

Status CopyThroughMemory(int from, int to, uint64_t offset, uint64_t size_bytes) {
  std::vector<char> buffer(std::min<uint64_t>(kCopyChunkBytes, std::max<uint64_t>(size_bytes, 1)));
  while (size_bytes > 0) {
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    const size_t want = std::min<uint64_t>(buffer.size(), size_bytes);
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, ReadUpTo(from, buffer.data(), want, offset));
    if (got == 0) return Error(ErrorCode::kIo, "copy: the source ended early");
    STAGEFS_RETURN_IF_ERROR(WriteAllAt(to, buffer.data(), got, offset));
    offset += got;
    size_bytes -= got;
  }
  return {};
}

}  // namespace

void UniqueFd::Reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Error ErrnoError(const std::string& what) {
  const int error = errno;
  return Error::OfSystem(CodeOf(error), what + ": " + std::strerror(error));
}

Result<UniqueFd> OpenFd(const std::string& path, int flags, mode_t mode) {
  const int fd = RetryInterrupted([&] { return open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return ErrnoError("open " + path);
  return UniqueFd(fd);
}

Result<UniqueFd> OpenUnnamed(const std::string& folder) { return OpenFd(folder, O_TMPFILE | O_RDWR); }

Status WriteAll(int fd, const void* data, size_t size_bytes) {
  const char* cursor = static_cast<const char*>(data);
  while (size_bytes > 0) {
    const ssize_t written = RetryInterrupted([&] { return write(fd, cursor, size_bytes); });
    if (written < 0) return ErrnoError("write");
    cursor += written;
    size_bytes -= written;
  }
  return {};
}

Status WriteAllAt(int fd, const void* data, size_t size_bytes, uint64_t offset) {
  const char* cursor = static_cast<const char*>(data);
  while (size_bytes > 0) {
    const ssize_t written = RetryInterrupted([&] { return pwrite(fd, cursor, size_bytes, offset); });
    if (written < 0) return ErrnoError("write");
    cursor += written;
    offset += written;
    size_bytes -= written;
  }
  return {};
}

Result<size_t> ReadUpTo(int fd, void* data, size_t size_bytes, uint64_t offset) {
  char* cursor = static_cast<char*>(data);
  size_t total = 0;
  while (total < size_bytes) {
    const ssize_t got =
        RetryInterrupted([&] { return pread(fd, cursor + total, size_bytes - total, offset + total); });
    if (got < 0) return ErrnoError("read");
    if (got == 0) break;
    total += got;
  }
  return total;
}

Result<uint64_t> FileSize(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return ErrnoError("fstat");
  return static_cast<uint64_t>(info.st_size);
}

Result<std::string> ReadWholeFile(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
  std::string content;
  std::array<char, 4096> buffer;
  for (;;) {
    // Files in /proc have no size, so this reads until the end instead of asking.
    STAGEFS_ASSIGN_OR_RETURN(const size_t got,
                             ReadUpTo(fd.get(), buffer.data(), buffer.size(), content.size()));
    content.append(buffer.data(), got);
    if (got < buffer.size()) return content;
  }
}

bool TryReflink(int from, int to) { return ioctl(to, FICLONE, from) == 0; }

Result<Extent> ExtentAt(int fd, uint64_t offset) {
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd));
  Extent extent{offset, offset, false};
  if (offset >= size_bytes) return extent;
  const off_t data = lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
  const bool none_follows = data < 0 && errno == ENXIO;
  extent.is_hole = none_follows || data > static_cast<off_t>(offset);
  const off_t end = extent.is_hole ? data : data < 0 ? data : lseek(fd, data, SEEK_HOLE);
  extent.end = end < 0 ? size_bytes : std::min(static_cast<uint64_t>(end), size_bytes);
  return extent;
}

std::optional<int64_t> SparseBlocks(int fd) {
  struct stat info {};
  const off_t hole = lseek(fd, 0, SEEK_HOLE);
  if (hole < 0 || fstat(fd, &info) != 0 || hole >= info.st_size) return std::nullopt;
  return info.st_blocks;
}

namespace {

Status CopyExtent(int from, int to, const Extent& extent) {
  auto in = static_cast<loff_t>(extent.begin), out = in;
  while (static_cast<uint64_t>(in) < extent.end) {
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    const uint64_t piece = std::min<uint64_t>(extent.end - in, kCopyRangeBytes);
    const ssize_t copied = copy_file_range(from, &in, to, &out, piece, 0);
    if (copied <= 0) return CopyThroughMemory(from, to, in, extent.end - in);
  }
  return {};
}

}  // namespace

Status CopyBytes(int from, int to, uint64_t size_bytes) {
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t source_bytes, FileSize(from));
  if (size_bytes > 0 && source_bytes == size_bytes && TryReflink(from, to)) return {};
  if (source_bytes < size_bytes) return Error(ErrorCode::kIo, "copy: the file is shorter than it was");
  bool ends_in_hole = false;
  for (uint64_t offset = 0; offset < size_bytes;) {
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());  // Of holes there may be many.
    STAGEFS_ASSIGN_OR_RETURN(Extent extent, ExtentAt(from, offset));
    if (extent.end == offset) return Error(ErrorCode::kIo, "copy: the file is shorter than it was");
    extent.end = std::min(extent.end, size_bytes);
    if (!extent.is_hole) STAGEFS_RETURN_IF_ERROR(CopyExtent(from, to, extent));
    ends_in_hole = extent.is_hole;
    offset = extent.end;
  }
  if (ends_in_hole && ftruncate(to, static_cast<off_t>(size_bytes)) != 0) return ErrnoError("copy");
  return {};
}

Result<uint64_t> HashInto(int fd, ContentHasher* hasher, uint64_t most) {
  std::vector<char> buffer(256 << 10);
  uint64_t offset = 0;
  for (;;) {
    // A short file is read at once.
    Extent extent{0, buffer.size(), false};
    if (offset > 0) {
      STAGEFS_ASSIGN_OR_RETURN(extent, ExtentAt(fd, offset));
      if (extent.end == offset) return offset;
    }
    extent.end = std::min(extent.end, most);
    while (extent.is_hole && offset < extent.end) {
      STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
      const uint64_t piece = std::min<uint64_t>(extent.end - offset, kCopyRangeBytes);
      hasher->UpdateZeros(piece);
      offset += piece;
    }
    while (offset < extent.end) {
      STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
      const size_t wanted = std::min<uint64_t>(buffer.size(), extent.end - offset);
      STAGEFS_ASSIGN_OR_RETURN(const size_t got, ReadUpTo(fd, buffer.data(), wanted, offset));
      hasher->Update(buffer.data(), got);
      offset += got;
      if (got < wanted) return offset;
    }
    if (offset == most) return offset;
  }
}

Result<HashedFile> HashFile(int fd, uint64_t most) {
  ContentHasher hasher;
  HashedFile hashed;
  STAGEFS_ASSIGN_OR_RETURN(hashed.size_bytes, HashInto(fd, &hasher, most));
  hashed.id = hasher.Finish();
  return hashed;
}

Status MakeFolders(const std::string& path) {
  std::string partial;
  for (const auto& component : std::filesystem::path(path)) {
    partial = partial.empty() ? component.string() : (std::filesystem::path(partial) / component).string();
    if (mkdir(partial.c_str(), 0700) != 0 && errno != EEXIST && errno != EISDIR) {
      return ErrnoError("make folder " + partial);
    }
  }
  return {};
}

Status SyncFd(int fd, const std::string& what) {
  if (fsync(fd) != 0) return ErrnoError("fsync " + what);
  return {};
}

Status SyncFile(int fd, const std::string& what) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return ErrnoError("fstat " + what);
  if ((info.st_mode & kSyncFailedMark) != 0) {
    return Error(ErrorCode::kIo, "fsync " + what + ": one failed before: it must be written again");
  }
  const Status synced = SyncFd(fd, what);
  if (!synced) (void)MarkSyncFailed(fd, what);
  return synced;
}

Status MarkSyncFailed(int fd, const std::string& what) {
  struct stat info {};
  if (fstat(fd, &info) != 0 || fchmod(fd, (info.st_mode & 07777) | kSyncFailedMark) != 0) {
    return ErrnoError("change the mode of " + what);
  }
  return {};
}

Status RewriteFile(int fd, const std::string& what, uint64_t most) {
  std::vector<char> buffer(kCopyChunkBytes);
  for (uint64_t offset = 0; offset < most;) {
    const size_t wanted = std::min<uint64_t>(buffer.size(), most - offset);
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, ReadUpTo(fd, buffer.data(), wanted, offset));
    STAGEFS_RETURN_IF_ERROR(WriteAllAt(fd, buffer.data(), got, offset));
    offset += got;
    if (got < wanted) break;
  }
  STAGEFS_RETURN_IF_ERROR(SyncFd(fd, what));
  if (most != UINT64_MAX) return {};
  struct stat info {};
  if (fstat(fd, &info) != 0) return ErrnoError("fstat " + what);
  if ((info.st_mode & kSyncFailedMark) != 0 && fchmod(fd, info.st_mode & 07777 & ~kSyncFailedMark) != 0) {
    return ErrnoError("change the mode of " + what);
  }
  return {};
}

Status SetMode(const std::string& path, mode_t mode) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || chmod(path.c_str(), mode | (info.st_mode & kSyncFailedMark)) != 0) {
    return ErrnoError("change the mode of " + path);
  }
  return {};
}

Result<std::vector<std::string>> ListNames(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()), closedir);
  if (!dir) return ErrnoError("list " + folder);
  std::vector<std::string> names;
  for (errno = 0; const dirent* entry = readdir(dir.get()); errno = 0) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) return ErrnoError("list " + folder);
  std::sort(names.begin(), names.end());
  return names;
}

Status SyncFolder(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY | O_DIRECTORY));
  return SyncFd(fd.get(), path);
}

FileSystemSync::FileSystemSync(const std::string& folder) : folder_(folder) {
  if (auto fd = OpenFd(folder, O_RDONLY | O_DIRECTORY)) fd_ = std::move(*fd);
}

Status FileSystemSync::Sync() {
  const std::lock_guard lock(mutex_);  // The kernel tells one of several.
  if (!fd_.valid()) return Error(ErrorCode::kIo, "sync the file system of " + folder_ + ": one failed before");
  if (syncfs(fd_.get()) == 0) return {};
  const Error error = ErrnoError("sync the file system of " + folder_);
  fd_.Reset();
  return error;
}

Status RenameFile(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) return ErrnoError("rename " + from + " to " + to);
  return {};
}

Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) != 0) return ErrnoError("remove " + path);
  return {};
}

Result<DiskSpace> SpaceOf(const std::string& folder) {
  struct statvfs info {};
  if (statvfs(folder.c_str(), &info) != 0) return ErrnoError("statfs " + folder);
  return DiskSpace{info.f_frsize, info.f_blocks, info.f_bfree, info.f_bavail, info.f_files, info.f_ffree};
}

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return ToNs(now);
}

int64_t SinceBootNs() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return ToNs(time);
}

int64_t ToNs(const timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

std::string RandomHex() {
  Xxh3 bytes;
  // Reads of up to 256 bytes are never cut short (getrandom(2)).
  while (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
  }
  return HexOf({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::chrono::seconds SecondsFromEnvironment(const char* variable, int otherwise, int least) {
  const char* text = std::getenv(variable);
  return std::chrono::seconds(text == nullptr ? otherwise : std::clamp(std::atoi(text), least, 3'600));
}

std::string MachineId() {
  const auto id = ReadWholeFile("/etc/machine-id");
  if (id && id->size() > 1) return id->substr(0, id->find('\n'));
  char host[256] = "unknown";
  gethostname(host, sizeof host - 1);
  return host;
}

std::string BootId() {
  const auto id = ReadWholeFile("/proc/sys/kernel/random/boot_id");
  return id ? id->substr(0, id->find('\n')) : "unknown";
}

}  // namespace stagefs
