// PostgreSQL behind owner types, with the shape of sqlite.h. The only other file that names libpq is postgres.cc.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stagefs/result.h"

struct pg_conn;
struct pg_result;

namespace stagefs {

class PostgresConnection;

// What a connection calls itself: "stagefs" and the newest layout that this process knows, which a newer one goes by
// before it upgrades an index. Up to layout 4 it was "stagefs" alone.
std::string PostgresApplicationName();

// Rows in COPY's binary form. https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4
class CopyRows {
 public:
  CopyRows();
  void BeginRow(int fields);
  void AddInt(int64_t value);
  void AddBlob(std::string_view bytes);
  void AddText(std::string_view text) { AddBlob(text); }
  void AddNull();
  void Clear();
  size_t rows() const { return rows_; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  size_t rows_ = 0;
};

// A prepared statement in use. Parameters count from 1, columns from 0. All rows are fetched by the first Step():
// questions that may have many answers bring a LIMIT.
//
// REQUIRES: the connection it came from is used by this thread alone meanwhile.
class PostgresStatement {
 public:
  static constexpr int kParametersMax = 14;

  PostgresStatement(PostgresConnection& connection, const char* sql, int parameters)
      : connection_(connection), sql_(sql), parameters_(parameters) {}

  PostgresStatement& BindInt(int index, int64_t value);
  // The bytes must live until the statement is stepped.
  PostgresStatement& BindBlob(int index, std::string_view bytes);
  PostgresStatement& BindText(int index, std::string_view text) { return BindBlob(index, text); }

  // True: a row is there. False: done.
  Result<bool> Step();
  // For statements without rows: sent, and waited for together with the next question, or by Settle(), which then fails
  // as this one did.
  Status Run();

  int64_t Int(int column) const;
  bool IsNull(int column) const;
  // A view valid until the statement goes.
  std::string_view Blob(int column) const;
  std::string_view Text(int column) const { return Blob(column); }

 private:
  enum class Answer { kNow, kLater };
  Status Send(Answer answer);
  struct Value {
    int64_t integer = 0;  // In network order.
    std::string_view bytes;
    bool is_integer = false, is_set = false;
  };

  PostgresConnection& connection_;
  const char* sql_;
  const int parameters_;
  std::array<Value, kParametersMax> values_;
  std::shared_ptr<pg_result> result_;
  int row_ = -1;
};

// One connection with its prepared statements. For one thread at a time.
class PostgresConnection {
 public:
  using Statement = PostgresStatement;
  using Results = std::shared_ptr<pg_result>;

  // `url` is what libpq takes: a URL or "key=value" pairs, with its environment and files for the rest. `settings` are
  // statements to begin with. Every answer must come within `patience`, or the connection is broken.
  static Result<std::unique_ptr<PostgresConnection>> Open(const std::string& url, const std::string& settings,
                                                          std::chrono::milliseconds patience);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  // `sql` must be a literal with parameters ?1, ?2…: it is kept by address, and prepared on the server once.
  Result<PostgresStatement> Prepare(const char* sql);
  // A BYTEA[] or BIGINT[] as parameters and COPY take it.
  static std::string ArrayOf(const std::vector<std::string_view>& values);
  static std::string ArrayOf(const std::vector<int64_t>& values);
  // Runs a COPY … FROM STDIN (FORMAT binary) with `rows`.
  Status Copy(const char* sql, const CopyRows& rows);
  // Statements without parameters; the rows of the last.
  Result<Results> Query(const std::string& sql);
  Status Execute(const std::string& sql) { return Query(sql).WithoutValue(); }
  // Sent together with the next statement: one round trip for both. If the connection turns out to be gone by then,
  // nothing was done through it, and both go through a new one.
  void ExecuteLater(std::string sql) { later_ = std::move(sql); }
  // Statements without parameters, each of its own, in one round trip with what Run() sent.
  Status ExecuteTogether(const std::vector<std::string>& statements);
  // Waits for what Run() sent. The first error of it.
  Status Settle();
  // Not waited for: the answer is taken when the connection is used next.
  void ExecuteUnanswered(const std::string& sql);

  // The rows that the last statement inserted, changed or deleted.
  int64_t changes() const { return changes_; }
  // After rows that were copied: new ones get larger numbers.
  Status ContinueNumbers();
  // Refuses every change from now on, saying `why`.
  Status Freeze(const std::string& why);
  // The server's clock.
  Result<int64_t> ClockNs();
  // False once the server or the network is known to be gone: the connection is of no use any more.
  bool IsAlive() const;
  // The same after a look at what came in: a server that went away said so.
  bool IsThere();
  void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }

  // Waits until something came from the server, `wake_fd` is readable or the time is over. What notifications said.
  Result<std::vector<std::string>> AwaitNotifications(int wake_fd, std::chrono::milliseconds timeout);

  // What `rows` has in its first column of its first row, as text; empty if there is none.
  static std::string FirstText(const Results& rows);

 private:
  friend class PostgresStatement;
  PostgresConnection(std::string url, std::string settings, std::chrono::milliseconds patience)
      : url_(std::move(url)), settings_(std::move(settings)), patience_(patience) {}

  using Deadline = std::chrono::steady_clock::time_point;
  Status AwaitReadable(Deadline deadline);
  Result<Results> NextResult(Deadline deadline);
  Result<Results> ReadResults(Deadline deadline);
  // Takes what ExecuteUnanswered() left to be taken.
  Status Drain(Deadline deadline);
  Status CheckResult(const Results& result);
  Result<Results> RunPrepared(const char* sql, int parameters, const char* const* values, const int* lengths);
  Result<Results> RunOnce(const char* sql, int parameters, const char* const* values, const int* lengths);
  Status RunLater(const char* sql, int parameters, const char* const* values, const int* lengths);
  Status SendPrepared(const char* sql, int parameters, const char* const* values, const int* lengths);
  // Into the pipeline.
  Status SendLater(const std::string& sql);
  Status EnterPipeline();
  // The rows of the last statement in the pipeline, which ends.
  Result<Results> EndPipeline();
  Status PrepareOnServer(const char* sql);
  Status Connect();
  Error Broken(const std::string& why);

  struct Prepared {
    std::string name;  // Empty: not on this server connection.
    int parameters = 0;
  };

  const std::string url_, settings_;
  pg_conn* connection_ = nullptr;
  std::chrono::milliseconds patience_;
  std::unordered_map<const char*, Prepared> statements_;
  int prepared_ = 0;
  std::string later_;
  size_t waiting_ = 0;  // Statements in the pipeline; the connection is in pipeline mode where there are any.
  bool unanswered_ = false;
  bool broken_ = false;
  int64_t changes_ = 0;
};

}  // namespace stagefs
