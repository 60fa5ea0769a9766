// SQLite behind owner types. The only other file that names sqlite3 is sqlite.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "stagefs/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace stagefs {

// A prepared statement in use. It is reset when it goes out of scope. Parameters count from 1, columns from
// 0.
//
// REQUIRES: the connection it came from is used by this thread alone meanwhile.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* db, sqlite3_stmt* statement, bool owned)
      : db_(db), statement_(statement), owned_(owned) {}
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&&) = delete;
  ~SqliteStatement();

  SqliteStatement& BindInt(int index, int64_t value);
  // The bytes must live until the statement is stepped.
  SqliteStatement& BindBlob(int index, std::string_view bytes);
  SqliteStatement& BindText(int index, std::string_view text);
  SqliteStatement& BindNull(int index);

  // True: a row is there. False: done.
  Result<bool> Step();
  // Runs to the end and resets, for statements without rows.
  Status Run();
  void Reset();

  int64_t Int(int column) const;
  bool IsNull(int column) const;
  // A view valid until the next Step().
  std::string_view Blob(int column) const;
  std::string_view Text(int column) const { return Blob(column); }

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_;
  bool owned_;
};

// One connection with its prepared statements. For one thread at a time.
class SqliteConnection {
 public:
  using Statement = SqliteStatement;

  // What the file lies on. kReadOnly: others may write to it. kUnchanging: nobody does while the connection lives, and
  // it has no log.
  enum class Disk { kWritable, kReadOnly, kUnchanging };
  struct Options {
    bool read_only = false;
    int cache_kib = 8192;
    Disk disk = Disk::kWritable;
    bool alone = false;  // No other process has it open; kBusy at once if one has.
    // False: somebody else copies the log into the database, as log_pages() says when.
    bool checkpoints = true;
    bool leaves_log = false;  // See LeaveLog().
  };
  static Result<std::unique_ptr<SqliteConnection>> Open(const std::string& path, const Options& options);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  // `sql` must be a literal: it is kept by address. A statement that is in use already is prepared afresh.
  Result<SqliteStatement> Prepare(const char* sql);
  // One statement without parameters; a literal, as for Prepare().
  Status Run(const char* sql);
  // Several statements, no parameters.
  Status Execute(const std::string& sql);
  // The first column of the first row; a literal, as for Prepare().
  Result<int64_t> Number(const char* sql);
  int64_t changes() const;
  // Brings all that is in the log into the database file, unless somebody is in the way.
  void TryToEmptyLog();
  // Whether its end leaves the log as it is. Else the last one that SQLite's locks know of copies it into the database
  // and removes it, also under a process that has lost its locks.
  void LeaveLog(bool leave);
  // After rows that were copied: new ones get larger numbers.
  Status ContinueNumbers();
  // Refuses every change from now on, saying `why`.
  Status Freeze(const std::string& why);
  // How long a statement waits for the locks of other processes; less if Interrupted() (interruption.h).
  void WaitForOthers(std::chrono::milliseconds time);
  // So long was the log after the newest commit of this connection.
  int log_pages() const { return log_pages_; }
  // The machine's clock: nobody else uses the file.
  static int64_t ClockNs();

 private:
  explicit SqliteConnection(sqlite3* db) : db_(db) {}
  // Whether what was refused `times` times because others hold a lock is tried once more; waits before that.
  bool TryAgain(int times);

  sqlite3* db_;
  std::chrono::milliseconds wait_max_{0};
  std::chrono::steady_clock::time_point wait_until_;
  int log_pages_ = 0;
  std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace stagefs
