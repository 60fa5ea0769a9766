#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <set>

#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

class FileReader : public VersionReader {
 public:
  FileReader(UniqueFd fd, uint64_t size_bytes) : fd_(std::move(fd)), size_bytes_(size_bytes) {}

  uint64_t size_bytes() const override { return size_bytes_; }
  int fd() const override { return fd_.get(); }
  Result<size_t> ReadAt(void* data, size_t size_bytes, uint64_t offset) const override {
    return ReadUpTo(fd_.get(), data, size_bytes, offset);
  }

 private:
  const UniqueFd fd_;
  const uint64_t size_bytes_;
};

class LocalVersionStore : public VersionStore {
 public:
  LocalVersionStore(std::string folder, std::string incoming)
      : folder_(std::move(folder)), incoming_(std::move(incoming)) {}

  Status Put(const Sha256& hash, ByteSource& source, uint64_t size_bytes) override {
    const std::string temporary = incoming_ + "/put-" + RandomHex();
    auto status = PutThrough(temporary, hash, source, size_bytes);
    if (!status) unlink(temporary.c_str());
    return status;
  }

  Status Take(const Sha256& hash, const std::string& path) override {
    if (chmod(path.c_str(), 0400) != 0) return ErrnoError("make read-only " + path);
    return MoveIn(hash, path);
  }

  Status GiveBack(const Sha256& hash, const std::string& path) override {
    STAGEFS_RETURN_IF_ERROR(RenameFile(PathOf(hash), path));
    if (chmod(path.c_str(), 0600) != 0) return ErrnoError("make writable " + path);
    return {};
  }

  Status Sync(const std::vector<Sha256>& hashes) override {
    if (hashes.size() > kSyncEachMax) return SyncFileSystemOf(folder_);
    std::set<std::string> folders;
    for (const Sha256& hash : hashes) {
      const std::string path = PathOf(hash);
      STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
      STAGEFS_RETURN_IF_ERROR(SyncFd(fd.get(), path));
      folders.insert(FolderOf(hash));
    }
    for (const std::string& folder : folders) STAGEFS_RETURN_IF_ERROR(SyncFolder(folder));
    return {};
  }

  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override {
    auto fd = OpenFd(PathOf(hash), O_RDONLY);
    if (!fd) return fd.error().In("version " + ToHex(hash));
    STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(fd->get()));
    return NewFileReader(std::move(*fd), size_bytes);
  }

  bool Has(const Sha256& hash) const override { return access(PathOf(hash).c_str(), F_OK) == 0; }

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

  Result<Space> GetSpace() const override { return SpaceOf(folder_); }

 private:
  std::string FolderOf(const Sha256& hash) const { return folder_ + '/' + ToHex(hash).substr(0, 2); }
  std::string PathOf(const Sha256& hash) const {
    const std::string hex = ToHex(hash);
    return folder_ + '/' + hex.substr(0, 2) + '/' + hex.substr(2);
  }

  Status PutThrough(const std::string& temporary, const Sha256& hash, ByteSource& source,
                    uint64_t size_bytes) {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(temporary, O_WRONLY | O_CREAT | O_EXCL));
    STAGEFS_RETURN_IF_ERROR(WriteVersion(source, hash, size_bytes, fd.get()));
    if (fchmod(fd.get(), 0400) != 0) return ErrnoError("make read-only " + temporary);
    STAGEFS_RETURN_IF_ERROR(SyncFd(fd.get(), temporary));
    STAGEFS_RETURN_IF_ERROR(MoveIn(hash, temporary));
    return SyncFolder(FolderOf(hash));
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
};

}  // namespace

std::unique_ptr<VersionReader> NewFileReader(UniqueFd fd, uint64_t size_bytes) {
  return std::make_unique<FileReader>(std::move(fd), size_bytes);
}

Status WriteVersion(ByteSource& source, const Sha256& hash, uint64_t size_bytes, int fd) {
  std::vector<char> buffer(256 << 10);
  ContentHasher hasher;
  uint64_t total = 0;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(buffer.data(), buffer.size()));
    if (got == 0) break;
    hasher.Update(buffer.data(), got);
    total += got;
    STAGEFS_RETURN_IF_ERROR(WriteAll(fd, buffer.data(), got));
  }
  if (total != size_bytes || hasher.Finish().sha256 != hash) {
    return Error(ErrorCode::kInvalidArgument, "the bytes sent are not those of version " + ToHex(hash));
  }
  return {};
}

namespace {

class VersionSource : public RewindableSource {
 public:
  explicit VersionSource(const VersionReader& reader) : reader_(reader) {}
  Result<size_t> Read(void* data, size_t size_bytes) override {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, reader_.ReadAt(data, size_bytes, offset_));
    offset_ += got;
    return got;
  }
  Status Rewind() override {
    offset_ = 0;
    return {};
  }

 private:
  const VersionReader& reader_;
  uint64_t offset_ = 0;
};

}  // namespace

std::unique_ptr<RewindableSource> NewVersionSource(const VersionReader& reader) {
  return std::make_unique<VersionSource>(reader);
}

Result<VersionStore::Space> SpaceOf(const std::string& folder) {
  struct statvfs info {};
  if (statvfs(folder.c_str(), &info) != 0) return ErrnoError("statfs " + folder);
  return VersionStore::Space{info.f_frsize, info.f_blocks, info.f_bfree,
                             info.f_bavail, info.f_files,  info.f_ffree};
}

Result<std::unique_ptr<VersionStore>> OpenLocalVersionStore(const std::string& folder,
                                                            const std::string& incoming) {
  STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
  STAGEFS_RETURN_IF_ERROR(MakeFolders(incoming));
  return std::unique_ptr<VersionStore>(new LocalVersionStore(folder, incoming));
}

}  // namespace stagefs
