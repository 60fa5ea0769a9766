#include "sqlite_alone.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "stagefs/posix_env.h"
#include "stagefs/process.h"
#include "stagefs/text.h"

namespace stagefs {
namespace {

using std::chrono::steady_clock;

// A command ends soon, a mount does not.
constexpr auto kPatience = std::chrono::seconds(3);
constexpr auto kTryEvery = std::chrono::milliseconds(50);
// https://www.sqlite.org/walformat.html#wal_index_file_format: who has it open holds this byte of the shared memory.
constexpr off_t kShmLockByte = 128;

// Who has a lock from byte `first` of the file on; 0: nobody, -1: nobody who has a pid here.
Result<int64_t> HolderOf(const std::string& path, off_t first, off_t bytes) {
  const auto fd = OpenFd(path, O_RDONLY);
  if (!fd && fd.error().code() == ErrorCode::kNotFound) return 0;
  if (!fd) return fd.error();
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = first;
  lock.l_len = bytes;
  if (fcntl(fd->get(), F_GETLK, &lock) != 0) return ErrnoError("ask for locks of " + path);
  if (lock.l_type == F_UNLCK) return 0;
  return lock.l_pid > 0 ? lock.l_pid : -1;
}

// Not by the database itself: this process may have it open. Its shared memory is nobody's who is alone.
Result<int64_t> OtherHolder(const std::string& path) { return HolderOf(path + "-shm", kShmLockByte, 1); }

// "process 77 (stagefs), mounted at /mnt".
std::string NameOf(const std::string& path, int64_t pid) {
  if (pid <= 0) return "a process that cannot be seen from here, as one of another container";
  std::string name = "process " + std::to_string(pid);
  const auto command = ReadWholeFile("/proc/" + std::to_string(pid) + "/comm");
  if (command) name += " (" + ToDisplayUtf8(command->substr(0, command->find('\n'))) + ')';
  const auto connection = SqliteConnection::Open(path, {.read_only = true, .leaves_log = true});
  auto query = connection ? (*connection)->Prepare("SELECT mountpoint FROM mount WHERE pid = ?1") : connection.error();
  if (!query) return name;
  query->BindInt(1, pid);
  const auto row = query->Step();
  if (row && *row) name += ", mounted at " + ToDisplayUtf8(query->Blob(0));
  return name;
}

Result<std::unique_ptr<SqliteConnection>> TryAlone(const std::string& path, int64_t* holder) {
  // An older stagefs that made the index has lost its locks on it. What SQLite does beside such a process, harms it.
  *holder = OtherProcessWith({path, path + "-wal", path + "-shm"});
  if (*holder != 0) return Error(ErrorCode::kBusy, path);
  auto connection = SqliteConnection::Open(path, {.alone = true, .leaves_log = true});
  if (connection) {
    STAGEFS_ASSIGN_OR_RETURN(*holder, OtherHolder(path));
    if (*holder != 0) return Error(ErrorCode::kBusy, path);
    (*connection)->LeaveLog(false);
    return connection;
  }
  if (connection.error().code() != ErrorCode::kBusy) return connection;
  STAGEFS_ASSIGN_OR_RETURN(*holder, HolderOf(path, 0, 0));
  return connection;
}

}  // namespace

Result<std::unique_ptr<SqliteConnection>> OpenSqliteAlone(const std::string& path) {
  for (const auto deadline = steady_clock::now() + kPatience;;) {
    int64_t holder = 0;
    auto connection = TryAlone(path, &holder);
    if (connection || connection.error().code() != ErrorCode::kBusy) return connection;
    if (steady_clock::now() >= deadline) {
      return Error(ErrorCode::kBusy, path + " is in use by " + NameOf(path, holder) +
                                         ": unmount it, or end that process, then try again");
    }
    std::this_thread::sleep_for(kTryEvery);
  }
}

Status RenameSqliteIndex(const std::string& from, const std::string& to) {
  STAGEFS_ASSIGN_OR_RETURN(const auto connection, OpenSqliteAlone(from));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t busy, connection->Number("PRAGMA wal_checkpoint(TRUNCATE)"));
  if (busy != 0) return Error(ErrorCode::kBusy, from + " is in use");
  for (const std::string& index : {from, to}) {
    for (const char* suffix : kSqliteBeside) {
      const std::string path = index + suffix;
      if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoError("remove " + path);
    }
  }
  const std::string folder = to.substr(0, to.rfind('/'));
  STAGEFS_RETURN_IF_ERROR(SyncFolder(folder));  // Else the log might come back with the power, beside another index.
  STAGEFS_RETURN_IF_ERROR(RenameFile(from, to));
  return SyncFolder(folder);
}

Status MoveSqliteLog(const std::string& from, const std::string& to) {
  for (const char* suffix : kSqliteBeside) {
    const std::string log = from + suffix;
    if (access(log.c_str(), F_OK) == 0) STAGEFS_RETURN_IF_ERROR(RenameFile(log, to + suffix));
  }
  return SyncFolder(to.substr(0, to.rfind('/')));
}

}  // namespace stagefs
