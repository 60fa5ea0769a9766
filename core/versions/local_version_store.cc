#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

#include "stagefs/byte_source.h"
#include "stagefs/guarded.h"
#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"
#include "version_file.h"

namespace stagefs {
namespace {

// Whoever found that a file's bytes are wrong leaves this on it, for all processes and later starts. It goes with the
// file when the content is stored again, and with a copy that keeps modes.
constexpr mode_t kDamagedMark = S_ISVTX;

constexpr size_t kCompareBytes = 256 << 10;

Result<bool> HaveSameBytes(int a, int b) {
  struct stat of_a {}, of_b {};
  if (fstat(a, &of_a) != 0 || fstat(b, &of_b) != 0) return ErrnoError("stat");
  if (of_a.st_size != of_b.st_size) return false;
  if (of_a.st_ino == of_b.st_ino && of_a.st_dev == of_b.st_dev) return true;
  const auto buffer = std::make_unique_for_overwrite<char[]>(2 * kCompareBytes);
  for (uint64_t offset = 0;;) {
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    STAGEFS_ASSIGN_OR_RETURN(const Extent in_a, ExtentAt(a, offset));
    STAGEFS_ASSIGN_OR_RETURN(const Extent in_b, ExtentAt(b, offset));
    if (in_a.is_hole && in_b.is_hole) offset = std::min(in_a.end, in_b.end);
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, ReadUpTo(a, buffer.get(), kCompareBytes, offset));
    STAGEFS_ASSIGN_OR_RETURN(const size_t other, ReadUpTo(b, buffer.get() + kCompareBytes, kCompareBytes, offset));
    if (got != other || std::memcmp(buffer.get(), buffer.get() + kCompareBytes, got) != 0) return false;
    if (got < kCompareBytes) return true;
    offset += got;
  }
}

class LocalVersionStore : public VersionStore {
 public:
  LocalVersionStore(std::string folder, std::string incoming)
      : folder_(std::move(folder)), incoming_(std::move(incoming)), file_system_(folder_) {}

  Status Put(const Sha256& hash, ByteSource& source, uint64_t size_bytes) override {
    STAGEFS_ASSIGN_OR_RETURN(const TemporaryFile file, TemporaryFile::Create(incoming_));
    STAGEFS_RETURN_IF_ERROR(WriteVersion(source, hash, size_bytes, file.fd()));
    if (fchmod(file.fd(), 0400) != 0) return ErrnoError("make read-only " + file.path());
    // It was hashed as it came, and may be older than this file: see OpenWhole().
    const timespec long_ago[2] = {{0, UTIME_OMIT}, {0, 0}};
    if (futimens(file.fd(), long_ago) != 0) return ErrnoError("set the times of " + file.path());
    STAGEFS_RETURN_IF_ERROR(SyncFd(file.fd(), file.path()));
    STAGEFS_RETURN_IF_ERROR(MoveIn(hash, file.path()));
    wrong_.Lock()->erase(hash);
    return SyncFolder(FolderOf(hash));
  }

  Status Send(const Sha256& hash, const std::string& path) override {
    const auto there = OpenFd(PathOf(hash), O_RDONLY);
    if (!there && there.error().code() == ErrorCode::kNotFound) return {};
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
    const auto same = there ? HaveSameBytes(fd.get(), there->get()) : there.error();
    if (!same && same.error().code() == ErrorCode::kInterrupted) return same.error();
    if (!same || !*same) wrong_.Lock()->insert(hash);
    return {};
  }

  Status Take(const Sha256& hash, const std::string& path) override {
    STAGEFS_RETURN_IF_ERROR(SetMode(path, 0400));
    STAGEFS_RETURN_IF_ERROR(MoveIn(hash, path));
    wrong_.Lock()->erase(hash);
    return {};
  }

  Status GiveBack(const Sha256& hash, const std::string& path) override {
    STAGEFS_RETURN_IF_ERROR(RenameFile(PathOf(hash), path));
    return SetMode(path, 0600);
  }

  // What Put() was writing when its process was killed.
  Result<int64_t> RemoveUnfinished(int64_t before_ns) override {
    STAGEFS_ASSIGN_OR_RETURN(const auto names, ListNames(incoming_));
    int64_t removed = 0;
    for (const std::string& name : names) {
      const std::string path = incoming_ + '/' + name;
      struct stat info {};
      if (name.ends_with(".lock") || lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
      if (ToNs(info.st_ctim) < before_ns && unlink(path.c_str()) == 0) ++removed;
    }
    return removed;
  }

  Status Sync(const std::vector<Sha256>& hashes) override {
    // Where the sync of all fails, that of each tells whose bytes it was.
    const bool together = hashes.size() > kSyncEachMax && file_system_.Sync().has_value();
    std::set<std::string> folders;
    for (const Sha256& hash : hashes) {
      if (together && !HasSyncFailed(PathOf(hash))) continue;
      STAGEFS_RETURN_IF_ERROR(SyncOrRewrite(hash));
      folders.insert(FolderOf(hash));
    }
    for (const std::string& folder : folders) STAGEFS_RETURN_IF_ERROR(SyncFolder(folder));
    return {};
  }

  Status Doubt(const Sha256& hash) override {
    const auto fd = OpenFd(PathOf(hash), O_RDONLY);
    if (!fd && fd.error().code() == ErrorCode::kNotFound) return {};
    return fd ? MarkSyncFailed(fd->get(), PathOf(hash)) : Status(fd.error());
  }

  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override {
    auto fd = OpenFd(PathOf(hash), O_RDONLY);
    if (!fd) return fd.error().In("version " + ToHex(hash));
    return NewFileReader(std::move(*fd));
  }

  Result<std::unique_ptr<VersionReader>> OpenWhole(const Sha256& hash, uint64_t size_bytes,
                                                   int64_t stored_ns) const override {
    auto fd = OpenFd(PathOf(hash), O_RDONLY);
    if (!fd) return fd.error().In("version " + ToHex(hash));
    struct stat info {};
    if (fstat(fd->get(), &info) != 0) return ErrnoError("version " + ToHex(hash));
    if ((info.st_mode & kDamagedMark) != 0 || static_cast<uint64_t>(info.st_size) != size_bytes) {
      return DamagedVersion(hash);
    }
    // Written to after it came, or copied here without its times.
    if (ToNs(info.st_mtim) > stored_ns) STAGEFS_RETURN_IF_ERROR(HashOnce(hash, fd->get(), stored_ns));
    return NewFileReader(std::move(*fd));
  }

  Status NoteHealth(const Sha256& /*hash*/, const VersionReader& checked, bool good) override {
    return Mark(checked.fd(), good);
  }

  Result<Presence> Locate(const Sha256& hash) const override {
    struct stat info {};
    const bool there = stat(PathOf(hash).c_str(), &info) == 0 && (info.st_mode & kDamagedMark) == 0;
    return there && !wrong_.Lock()->contains(hash) ? Presence::kHere : Presence::kNowhere;
  }

  Result<int64_t> ArrivedNs(const Sha256& hash) const override {
    struct stat info {};
    if (stat(PathOf(hash).c_str(), &info) != 0) return ErrnoError("version " + ToHex(hash));
    return std::max(ToNs(info.st_mtim), ToNs(info.st_ctim));
  }

  Status Remove(const Sha256& hash) override { return RemoveFile(PathOf(hash)); }

  Status List(const std::function<bool(const Sha256&)>& visit) const override {
    for (int first = 0; first < 256; ++first) {
      char prefix[3];
      snprintf(prefix, sizeof prefix, "%02x", first);
      DIR* dir = opendir((folder_ + '/' + prefix).c_str());
      if (dir == nullptr) continue;
      bool go_on = true;
      while (const dirent* entry = go_on ? readdir(dir) : nullptr) {
        const auto ref = HashRef::Parse("sha256:" + std::string(prefix) + entry->d_name);
        if (ref) go_on = visit(*ref->sha256());
      }
      closedir(dir);
      if (!go_on) break;
    }
    return {};
  }

  Result<DiskSpace> GetSpace() const override { return SpaceOf(folder_); }

 private:
  std::string FolderOf(const Sha256& hash) const { return folder_ + '/' + ToHex(hash).substr(0, 2); }
  std::string PathOf(const Sha256& hash) const { return VersionFilePath(folder_, hash); }

  // The mark is the file's, not the name's: one that was replaced meanwhile stays as it is. Other marks do, too.
  static Status Mark(int fd, bool good) {
    struct stat info {};
    if (fstat(fd, &info) != 0) return ErrnoError("stat");
    if (((info.st_mode & kDamagedMark) == 0) == good) return {};
    if (fchmod(fd, (info.st_mode & 07777) ^ kDamagedMark) != 0) return ErrnoError("mark a version");
    return SyncFd(fd, "the mark of a version");
  }

  static Status HashOnce(const Sha256& hash, int fd, int64_t stored_ns) {
    STAGEFS_ASSIGN_OR_RETURN(const HashedFile hashed, HashFile(fd));
    if (hashed.id.sha256 != hash) {
      (void)Mark(fd, /*good=*/false);
      return DamagedVersion(hash);
    }
    const timespec times[2] = {{0, UTIME_OMIT}, {stored_ns / 1'000'000'000, stored_ns % 1'000'000'000}};
    (void)futimens(fd, times);
    return {};
  }

  static bool HasSyncFailed(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && (info.st_mode & kSyncFailedMark) != 0;
  }

  // What memory still holds of a file whose sync failed is written to another one, if it is what it should be.
  Status SyncOrRewrite(const Sha256& hash) {
    const std::string path = PathOf(hash);
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
    const Status synced = SyncFile(fd.get(), path);
    if (synced) return synced;
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd.get()));
    const Status written = Put(hash, *NewFileSource(fd.get()), size_bytes);
    if (written || written.error().code() != ErrorCode::kInvalidArgument) return written;
    return Error(ErrorCode::kCorrupt, synced.error().message() + ", and its bytes are lost: store them again");
  }

  // Replaces a file that is there: with the same bytes if it is whole, with better ones if it is not.
  Status MoveIn(const Sha256& hash, const std::string& from) {
    const std::string to = PathOf(hash);
    auto status = RenameFile(from, to);
    if (status || status.error().code() != ErrorCode::kNotFound) return status;
    STAGEFS_RETURN_IF_ERROR(MakeFolders(FolderOf(hash)));
    STAGEFS_RETURN_IF_ERROR(SyncFolder(folder_));
    return RenameFile(from, to);
  }

  const std::string folder_;
  const std::string incoming_;
  FileSystemSync file_system_;
  mutable Guarded<std::set<Sha256>> wrong_;  // Seen by Send(), until Take().
};

}  // namespace

Result<std::unique_ptr<VersionStore>> OpenLocalVersionStore(const std::string& folder,
                                                            const std::string& incoming) {
  STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
  STAGEFS_RETURN_IF_ERROR(MakeFolders(incoming));
  return std::unique_ptr<VersionStore>(new LocalVersionStore(folder, incoming));
}

}  // namespace stagefs
