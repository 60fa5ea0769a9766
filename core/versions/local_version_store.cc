#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"
#include "version_file.h"

namespace stagefs {
namespace {

class LocalVersionStore : public VersionStore {
 public:
  LocalVersionStore(std::string folder, std::string incoming)
      : folder_(std::move(folder)), incoming_(std::move(incoming)) {}

  Status Put(const Sha256& hash, ByteSource& source, uint64_t size_bytes) override {
    STAGEFS_ASSIGN_OR_RETURN(const TemporaryFile file, TemporaryFile::Create(incoming_));
    STAGEFS_RETURN_IF_ERROR(WriteVersion(source, hash, size_bytes, file.fd()));
    if (fchmod(file.fd(), 0400) != 0) return ErrnoError("make read-only " + file.path());
    STAGEFS_RETURN_IF_ERROR(SyncFd(file.fd(), file.path()));
    STAGEFS_RETURN_IF_ERROR(MoveIn(hash, file.path()));
    return SyncFolder(FolderOf(hash));
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
    return NewFileReader(std::move(*fd));
  }

  Result<Presence> Locate(const Sha256& hash) const override {
    return access(PathOf(hash).c_str(), F_OK) == 0 ? Presence::kHere : Presence::kNowhere;
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

Result<std::unique_ptr<VersionStore>> OpenLocalVersionStore(const std::string& folder,
                                                            const std::string& incoming) {
  STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
  STAGEFS_RETURN_IF_ERROR(MakeFolders(incoming));
  return std::unique_ptr<VersionStore>(new LocalVersionStore(folder, incoming));
}

}  // namespace stagefs
