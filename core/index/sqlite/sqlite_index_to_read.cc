// An index on a disk that nothing is written to, as a snapshot or what its file system turned read-only.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "index/index_tables.h"
#include "sqlite_readers.h"
#include "sqlite_staging_index.h"
#include "sqlite_upgrade.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

// What of a file tells that it changed; nothing where it is not there, or empty.
std::string StateOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || info.st_size == 0) return "";
  return std::to_string(info.st_ino) + ' ' + std::to_string(info.st_size) + ' ' +
         std::to_string(ToNs(info.st_mtim));
}

// A folder of this machine for a copy.
class ScratchFolder {
 public:
  static Result<std::unique_ptr<ScratchFolder>> Make() {
    const char* above = std::getenv("TMPDIR");
    std::string path = std::string(above != nullptr && *above != 0 ? above : "/tmp") + "/stagefs-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) {
      return ErrnoError("make a folder for a copy of the index ($TMPDIR says where): " + path);
    }
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(std::move(path)));
  }
  ~ScratchFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

Status CopyFile(const std::string& from, const std::string& to) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd in, OpenFd(from, O_RDONLY));
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd out, OpenFd(to, O_RDWR | O_CREAT | O_TRUNC));
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t size_bytes, FileSize(in.get()));
  return CopyBytes(in.get(), out.get(), size_bytes);
}

class SqliteIndexToRead : public StagingIndex {
 public:
  SqliteIndexToRead(std::string path, Error why) : path_(std::move(path)), why_(std::move(why)) {}

  Result<std::unique_ptr<IndexReader>> Read() override {
    STAGEFS_ASSIGN_OR_RETURN(const auto readers, Readers());
    return readers->Read();
  }
  Result<std::unique_ptr<IndexTransaction>> Begin(Durability, Turn) override { return why_; }
  Result<int64_t> ChangeMark() override {
    return static_cast<int64_t>(std::hash<std::string>()(StateOf(path_) + '/' + StateOf(path_ + "-wal")));
  }
  Status Sync() override { return {}; }
  bool IsShared() const override { return false; }
  Result<std::vector<std::string>> CheckIntegrity() override {
    STAGEFS_ASSIGN_OR_RETURN(const auto readers, Readers());
    STAGEFS_ASSIGN_OR_RETURN(const auto connection, readers->Open());
    return CheckSqliteIntegrity(*connection);
  }
  Status Erase() override { return why_; }

  // Others may write to it, where only this process sees it read-only: so it is looked at each time.
  Result<std::shared_ptr<SqliteReaders>> Readers() {
    const std::lock_guard lock(mutex_);
    const std::string log = StateOf(path_ + "-wal");
    // What has a log and its shared memory is read as others do, who change it at the same time.
    const bool is_live = !log.empty() && access((path_ + "-shm").c_str(), F_OK) == 0;
    const std::string seen = is_live ? "live" : StateOf(path_) + '/' + log;
    if (readers_ && seen == seen_) return readers_;
    STAGEFS_ASSIGN_OR_RETURN(readers_, Choose(is_live, !log.empty()));
    seen_ = seen;
    return readers_;
  }

 private:
  Result<std::shared_ptr<SqliteReaders>> Choose(bool is_live, bool has_log) {
    if (StateOf(path_).empty()) return EmptySqliteIndex(path_);
    using Disk = SqliteConnection::Disk;
    copy_.reset();
    if (is_live || !has_log) {
      auto readers = std::make_shared<SqliteReaders>(path_, is_live ? Disk::kReadOnly : Disk::kUnchanging);
      const auto connection = readers->Open();
      const auto layout = connection ? SqliteLayoutOf(**connection, path_) : connection.error();
      if (layout && *layout == kSchemaVersion) return readers;
      if (layout && *layout == 0) return EmptySqliteIndex(path_);
      if (!layout && layout.error().code() != ErrorCode::kReadOnly) return layout.error();
    }
    // A log without shared memory, which SQLite would have to make, or an older layout.
    STAGEFS_ASSIGN_OR_RETURN(copy_, ScratchFolder::Make());
    const std::string copy = copy_->path() + "/stagefs.db";
    STAGEFS_RETURN_IF_ERROR(CopyFile(path_, copy));
    if (has_log) STAGEFS_RETURN_IF_ERROR(CopyFile(path_ + "-wal", copy + "-wal"));
    auto readers = std::make_shared<SqliteReaders>(copy, Disk::kWritable);
    {
      STAGEFS_ASSIGN_OR_RETURN(const auto connection, readers->Open());
      STAGEFS_ASSIGN_OR_RETURN(const int64_t layout, SqliteLayoutOf(*connection, path_));
      if (layout == kSchemaVersion) return readers;
    }
    STAGEFS_RETURN_IF_ERROR(UpgradeSqliteIndex(copy));
    return readers;
  }

  const std::string path_;
  const Error why_;
  // Guarded by mutex_.
  std::mutex mutex_;
  std::string seen_;
  std::unique_ptr<ScratchFolder> copy_;  // Outlives what reads it.
  std::shared_ptr<SqliteReaders> readers_;
};

}  // namespace

Result<std::unique_ptr<StagingIndex>> OpenSqliteIndexToRead(const std::string& path, const Error& why) {
  if (access(path.c_str(), R_OK) != 0) return ErrnoError("open " + path);
  auto index = std::make_unique<SqliteIndexToRead>(path, why);
  STAGEFS_RETURN_IF_ERROR(index->Readers().WithoutValue());
  return index;
}

}  // namespace stagefs
