#include "sqlite_upgrade.h"

#include <fcntl.h>

#include <chrono>
#include <thread>

#include "index/index_tables.h"
#include "sqlite.h"
#include "sqlite_dialect.h"
#include "stagefs/posix_env.h"
#include "stagefs/text.h"

namespace stagefs {
namespace {

using std::chrono::steady_clock;

// A command of an older stagefs ends soon, a mount does not.
constexpr auto kPatience = std::chrono::seconds(3);
constexpr auto kTryEvery = std::chrono::milliseconds(50);

Status Step(SqliteConnection& connection, int step) {
  // The fourth changed the key of mounts.
  if (step == 4) return connection.Execute(RebuildSql(kSqliteDialect, kMountTable, step));
  STAGEFS_RETURN_IF_ERROR(connection.Execute(StepSql(kSqliteDialect, step)));
  if (step != 5) return {};
  // Numbers of versions never come again. That is a word of the table's text: its rows, and what damage left of them,
  // are not read. https://www.sqlite.org/lang_altertable.html#otheralter
  STAGEFS_ASSIGN_OR_RETURN(const int64_t schema, connection.Number("PRAGMA schema_version"));
  return connection.Execute(
      "PRAGMA writable_schema = ON;"
      "UPDATE sqlite_master SET sql = replace(sql, 'INTEGER PRIMARY KEY', 'INTEGER PRIMARY KEY AUTOINCREMENT')"
      " WHERE type = 'table' AND name = 'version' AND sql NOT LIKE '%AUTOINCREMENT%';"
      "PRAGMA schema_version = " + std::to_string(schema + 1) + ";PRAGMA writable_schema = OFF");
}

Status Upgrade(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const auto connection, SqliteConnection::Open(path, {.alone = true}));
  STAGEFS_RETURN_IF_ERROR(connection->Execute("BEGIN IMMEDIATE"));
  STAGEFS_ASSIGN_OR_RETURN(const int64_t version, connection->Number("PRAGMA user_version"));
  for (int64_t step = version + 1; step <= kSchemaVersion; ++step) {
    STAGEFS_RETURN_IF_ERROR(Step(*connection, static_cast<int>(step)));
  }
  if (version < kSchemaVersion) {
    STAGEFS_RETURN_IF_ERROR(connection->Execute("PRAGMA user_version = " + std::to_string(kSchemaVersion)));
  }
  return connection->Execute("COMMIT");
}

Result<int64_t> VersionOf(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const auto connection, SqliteConnection::Open(path, {.read_only = true}));
  return connection->Number("PRAGMA user_version");
}

// "process 77 (stagefs), mounted at /mnt".
std::string NameOf(const std::string& path, int64_t pid) {
  if (pid <= 0) return "a process that cannot be seen from here, as of another container";
  std::string name = "process " + std::to_string(pid);
  const auto command = ReadWholeFile("/proc/" + std::to_string(pid) + "/comm");
  if (command) name += " (" + ToDisplayUtf8(command->substr(0, command->find('\n'))) + ')';
  const auto connection = SqliteConnection::Open(path, {.read_only = true});
  auto query = connection ? (*connection)->Prepare("SELECT mountpoint FROM mount WHERE pid = ?1") : connection.error();
  if (!query) return name;
  query->BindInt(1, pid);
  const auto row = query->Step();
  if (row && *row) name += ", mounted at " + ToDisplayUtf8(query->Blob(0));
  return name;
}

// Who has a lock on the file; 0: nobody, or nobody who has a pid here.
Result<int64_t> HolderOf(const std::string& path) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_RDONLY));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd.get(), F_GETLK, &lock) != 0) return ErrnoError("ask for locks of " + path);
  return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

}  // namespace

Status UpgradeSqliteIndex(const std::string& path) {
  int64_t holder = 0;
  for (const auto deadline = steady_clock::now() + kPatience; steady_clock::now() < deadline;) {
    const Status upgraded = Upgrade(path);
    if (upgraded || upgraded.error().code() != ErrorCode::kBusy) return upgraded;
    STAGEFS_ASSIGN_OR_RETURN(holder, HolderOf(path));
    STAGEFS_ASSIGN_OR_RETURN(const int64_t version, VersionOf(path));
    if (version >= kSchemaVersion) return {};  // Whoever has it open did it.
    std::this_thread::sleep_for(kTryEvery);
  }
  return Error(ErrorCode::kBusy, path + " is of an older stagefs, which still uses it: " + NameOf(path, holder) +
                                     ". Unmount it, or end that process, then try again");
}

}  // namespace stagefs
