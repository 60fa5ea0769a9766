#include "postgres.h"

#include <endian.h>
#include <poll.h>
#include <libpq-fe.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <vector>

#include "index/index_tables.h"
#include "stagefs/counters.h"
#include "stagefs/interruption.h"

namespace stagefs {
namespace {

using std::chrono::milliseconds;

// Where the URL says nothing else: a peer whose machine is gone is noticed within half a minute.
constexpr const char* kDefaults[][2] = {{"connect_timeout", "10"},
                                        {"keepalives_idle", "10"},
                                        {"keepalives_interval", "5"},
                                        {"keepalives_count", "3"},
                                        {"tcp_user_timeout", "25000"}};

// The lines of a message, of which the later ones begin with a tab, as one.
std::string Trimmed(const char* text) {
  std::string line;
  for (; *text != '\0'; ++text) {
    if (*text != '\n' && *text != '\t') line += *text;
    else if (!line.ends_with(' ')) line += ' ';
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
ErrorCode CodeOf(std::string_view state) {
  if (state == "53100") return ErrorCode::kNoSpace;
  if (state == "25006") return ErrorCode::kReadOnly;
  if (state == "42501" || state.starts_with("28")) return ErrorCode::kPermission;
  // Waited too long for a lock, deadlock, serialization failure, too many connections.
  if (state == "55P03" || state == "53300" || state.starts_with("40")) return ErrorCode::kBusy;
  if (state.starts_with("22")) return ErrorCode::kInvalidArgument;
  if (state.starts_with("23")) return ErrorCode::kConflict;
  return ErrorCode::kIo;
}

PostgresConnection::Results Owned(PGresult* result) { return {result, PQclear}; }

// In network order.
template <class T>
void AppendInt(std::string* bytes, T value) {
  for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8) {
    *bytes += static_cast<char>(static_cast<uint64_t>(value) >> shift);
  }
}

// So few that neither side's buffers are full of what the other has not read.
constexpr size_t kWaitingMax = 128;

// The server knows each parameter's type from the column that it is compared with or put into.
constexpr int kBinary[PostgresStatement::kParametersMax] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

constexpr int32_t kInt8Oid = 20, kByteaOid = 17;

std::string ArrayHeader(int32_t element, size_t count) {
  std::string bytes;
  for (const int32_t part : {count == 0 ? 0 : 1, 0, element}) AppendInt(&bytes, part);
  if (count > 0) {
    AppendInt(&bytes, static_cast<int32_t>(count));
    AppendInt(&bytes, int32_t{1});  // The lower bound.
  }
  return bytes;
}

}  // namespace

std::string PostgresApplicationName() { return "stagefs " + std::to_string(kSchemaVersion); }

PostgresStatement& PostgresStatement::BindInt(int index, int64_t value) {
  assert(index <= kParametersMax);
  Value& bound = values_[static_cast<size_t>(index - 1)];
  bound.integer = static_cast<int64_t>(htobe64(static_cast<uint64_t>(value)));
  bound.is_integer = bound.is_set = true;
  return *this;
}

PostgresStatement& PostgresStatement::BindBlob(int index, std::string_view bytes) {
  assert(index <= kParametersMax);
  Value& bound = values_[static_cast<size_t>(index - 1)];
  bound.bytes = bytes;
  bound.is_set = true;
  return *this;
}

Status PostgresStatement::Send(Answer answer) {
  std::array<const char*, kParametersMax> values{};
  std::array<int, kParametersMax> lengths{};
  for (size_t i = 0; i < static_cast<size_t>(parameters_); ++i) {
    const Value& bound = values_[i];
    if (!bound.is_set) continue;
    // A null pointer would bind NULL; an empty string is meant.
    values[i] = bound.is_integer             ? reinterpret_cast<const char*>(&bound.integer)
                : bound.bytes.data() == nullptr ? ""
                                                : bound.bytes.data();
    lengths[i] = bound.is_integer ? static_cast<int>(sizeof bound.integer) : static_cast<int>(bound.bytes.size());
  }
  if (answer == Answer::kLater) return connection_.RunLater(sql_, parameters_, values.data(), lengths.data());
  STAGEFS_ASSIGN_OR_RETURN(result_, connection_.RunPrepared(sql_, parameters_, values.data(), lengths.data()));
  return {};
}

Result<bool> PostgresStatement::Step() {
  if (!result_) STAGEFS_RETURN_IF_ERROR(Send(Answer::kNow));
  return ++row_ < PQntuples(result_.get());
}

Status PostgresStatement::Run() { return Send(Answer::kLater); }

int64_t PostgresStatement::Int(int column) const {
  const std::string_view bytes = Blob(column);
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return static_cast<int64_t>(value);
}

bool PostgresStatement::IsNull(int column) const { return PQgetisnull(result_.get(), row_, column) != 0; }

std::string_view PostgresStatement::Blob(int column) const {
  return {PQgetvalue(result_.get(), row_, column), static_cast<size_t>(PQgetlength(result_.get(), row_, column))};
}

CopyRows::CopyRows() { Clear(); }

void CopyRows::Clear() {
  bytes_.assign("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
  rows_ = 0;
}

void CopyRows::BeginRow(int fields) {
  AppendInt(&bytes_, static_cast<int16_t>(fields));
  ++rows_;
}

void CopyRows::AddInt(int64_t value) {
  AppendInt(&bytes_, static_cast<int32_t>(sizeof value));
  AppendInt(&bytes_, value);
}

void CopyRows::AddBlob(std::string_view bytes) {
  AppendInt(&bytes_, static_cast<int32_t>(bytes.size()));
  bytes_ += bytes;
}

void CopyRows::AddNull() { AppendInt(&bytes_, int32_t{-1}); }

std::string PostgresConnection::ArrayOf(const std::vector<std::string_view>& values) {
  std::string bytes = ArrayHeader(kByteaOid, values.size());
  for (const std::string_view value : values) {
    AppendInt(&bytes, static_cast<int32_t>(value.size()));
    bytes += value;
  }
  return bytes;
}

std::string PostgresConnection::ArrayOf(const std::vector<int64_t>& values) {
  std::string bytes = ArrayHeader(kInt8Oid, values.size());
  for (const int64_t value : values) {
    AppendInt(&bytes, static_cast<int32_t>(sizeof value));
    AppendInt(&bytes, value);
  }
  return bytes;
}

Status PostgresConnection::Copy(const char* sql, const CopyRows& rows) {
  STAGEFS_RETURN_IF_ERROR(Execute(sql));
  // The end of the data is a row of -1 fields.
  const bool sent = PQputCopyData(connection_, rows.bytes().data(), static_cast<int>(rows.bytes().size())) == 1 &&
                    PQputCopyData(connection_, "\377\377", 2) == 1 && PQputCopyEnd(connection_, nullptr) == 1;
  if (!sent) return Broken(Trimmed(PQerrorMessage(connection_)));
  return ReadResults(std::chrono::steady_clock::now() + patience_).WithoutValue();
}

Result<std::unique_ptr<PostgresConnection>> PostgresConnection::Open(const std::string& url,
                                                                     const std::string& settings,
                                                                     milliseconds patience) {
  auto connection = std::unique_ptr<PostgresConnection>(new PostgresConnection(url, settings, patience));
  STAGEFS_RETURN_IF_ERROR(connection->Connect());
  return connection;
}

Status PostgresConnection::Connect() {
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : kDefaults) {
    keys.push_back(key);
    values.push_back(value);
  }
  const std::string application = PostgresApplicationName();
  for (const auto& [key, value] : {std::pair{"dbname", url_.c_str()}, std::pair{"client_encoding", "UTF8"},
                                   std::pair{"application_name", application.c_str()}}) {
    keys.push_back(key);
    values.push_back(value);
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  if (connection_ != nullptr) Counters().index_reconnects.fetch_add(1);
  PQfinish(connection_);
  connection_ = PQconnectdbParams(keys.data(), values.data(), /*expand_dbname=*/1);
  if (connection_ == nullptr) return Error(ErrorCode::kIo, "no memory for a connection");
  if (PQstatus(connection_) != CONNECTION_OK) {
    return Error(ErrorCode::kIo, "connect to the index: " + Trimmed(PQerrorMessage(connection_)));
  }
  PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
  broken_ = unanswered_ = false;
  waiting_ = 0;
  later_.clear();
  for (auto& [sql, prepared] : statements_) prepared.name.clear();
  return settings_.empty() ? Status() : Execute(settings_);
}

PostgresConnection::~PostgresConnection() { PQfinish(connection_); }

bool PostgresConnection::IsAlive() const { return !broken_ && PQstatus(connection_) == CONNECTION_OK; }

bool PostgresConnection::IsThere() {
  if (!Drain(std::chrono::steady_clock::now() + patience_)) return false;
  // Nobody asked anything: what comes is the server's farewell.
  pollfd socket{PQsocket(connection_), POLLIN, 0};
  if (poll(&socket, 1, 0) > 0) broken_ = true;
  return IsAlive();
}

Status PostgresConnection::ContinueNumbers() {
  std::string sql;
  for (const IndexTable* table : kIndexTables) {
    if (table->numbering == Numbering::kNone || table == &kFolderTable || table == &kVersionTable) continue;
    const std::string name = table->name, column = table->columns[0].name;
    sql += "SELECT setval(pg_get_serial_sequence('" + name + "', '" + column + "'), max(" + column + ")) FROM " + name +
           " HAVING max(" + column + ") IS NOT NULL;";
  }
  // A version that is lost may be named still: it must not show another file.
  return Execute(sql + "SELECT setval(pg_get_serial_sequence('version', 'id'), max(version)) FROM (SELECT id AS version"
                       " FROM version UNION ALL " + SelectNamedVersions() +
                       ") AS used HAVING max(version) IS NOT NULL;"
                 "SELECT setval(pg_get_serial_sequence('folder', 'id'), max(child)) FROM (SELECT child FROM tree_entry"
                 " UNION ALL SELECT child FROM staged_entry UNION ALL SELECT 1) AS folders");
}

Status PostgresConnection::Freeze(const std::string& why) {
  std::string sql = "CREATE FUNCTION frozen() RETURNS trigger LANGUAGE plpgsql AS $frozen$ BEGIN RAISE EXCEPTION"
                    " USING ERRCODE = '23000', MESSAGE = " + SqlText(why) + "; END $frozen$;";
  for (size_t i = 0; i < kMovedTables; ++i) {
    sql += std::string("CREATE TRIGGER frozen BEFORE INSERT OR UPDATE OR DELETE ON ") + MovingTable::At(i).table->name +
           " FOR EACH STATEMENT EXECUTE FUNCTION frozen();";
  }
  return Execute(sql);
}

Result<int64_t> PostgresConnection::ClockNs() {
  STAGEFS_ASSIGN_OR_RETURN(auto query,
                           Prepare("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000000 AS BIGINT)"));
  STAGEFS_RETURN_IF_ERROR(query.Step().WithoutValue());
  return query.Int(0);
}

Error PostgresConnection::Broken(const std::string& why) {
  broken_ = true;
  Counters().index_errors.fetch_add(1);
  return Error(ErrorCode::kIo, "index: " + why);
}

Status PostgresConnection::AwaitReadable(Deadline deadline) {
  for (auto pause = kFirstLookAfter;; pause = kLookAfterCallerEvery) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Broken("the database did not answer in time");
    const auto wait = WorkingFor::Current() == nullptr ? left : std::min(left, pause);
    pollfd socket{PQsocket(connection_), POLLIN, 0};
    const int ready = poll(&socket, 1, static_cast<int>(wait.count()));
    if (ready > 0) return {};
    if (!CheckInterruptedNow()) {
      broken_ = true;  // The answer that comes is nobody's. The server ends what was not committed.
      return InterruptedError();
    }
    if (ready < 0 && errno != EINTR) return Broken(std::strerror(errno));
  }
}

Result<PostgresConnection::Results> PostgresConnection::NextResult(Deadline deadline) {
  while (PQisBusy(connection_) != 0) {
    STAGEFS_RETURN_IF_ERROR(AwaitReadable(deadline));
    if (PQconsumeInput(connection_) == 0) return Broken(Trimmed(PQerrorMessage(connection_)));
  }
  return Owned(PQgetResult(connection_));
}

// The last of what was asked, or rather the first error; COPY's data is to be sent then.
Result<PostgresConnection::Results> PostgresConnection::ReadResults(Deadline deadline) {
  Results last;
  Status status;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const Results result, NextResult(deadline));
    if (!result) break;
    if (status) status = CheckResult(result);
    last = result;
    if (PQresultStatus(result.get()) == PGRES_COPY_IN) break;
  }
  if (!status) return status.error();
  return last;
}

Status PostgresConnection::Drain(Deadline deadline) {
  STAGEFS_RETURN_IF_ERROR(Settle());
  if (!unanswered_) return {};
  unanswered_ = false;
  return ReadResults(deadline).WithoutValue();
}

Status PostgresConnection::CheckResult(const Results& result) {
  switch (PQresultStatus(result.get())) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
      changes_ = std::strtoll(PQcmdTuples(result.get()), nullptr, 10);
      return {};
    case PGRES_PIPELINE_SYNC:
    case PGRES_COPY_IN: return {};
    default: break;
  }
  if (PQstatus(connection_) != CONNECTION_OK) broken_ = true;
  Counters().index_errors.fetch_add(1);
  const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  const char* primary = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY);
  return Error(CodeOf(state == nullptr ? "" : state),
               "index: " + Trimmed(primary != nullptr ? primary : PQerrorMessage(connection_)));
}

Result<PostgresStatement> PostgresConnection::Prepare(const char* sql) {
  Prepared& prepared = statements_[sql];
  for (const char* at = sql; prepared.name.empty() && *at != '\0'; ++at) {
    if (*at == '?') prepared.parameters = std::max(prepared.parameters, std::atoi(at + 1));
  }
  return PostgresStatement(*this, sql, prepared.parameters);
}

Status PostgresConnection::PrepareOnServer(const char* sql) {
  Prepared& prepared = statements_[sql];
  if (!prepared.name.empty()) return {};
  std::string text = sql;
  std::replace(text.begin(), text.end(), '?', '$');
  const Deadline deadline = std::chrono::steady_clock::now() + patience_;
  STAGEFS_RETURN_IF_ERROR(Drain(deadline));
  const std::string name = 's' + std::to_string(++prepared_);
  if (PQsendPrepare(connection_, name.c_str(), text.c_str(), 0, nullptr) == 0) {
    return Broken(Trimmed(PQerrorMessage(connection_)));
  }
  STAGEFS_RETURN_IF_ERROR(ReadResults(deadline).WithoutValue());
  prepared.name = name;
  return {};
}

Result<PostgresConnection::Results> PostgresConnection::Query(const std::string& sql) {
  const Deadline deadline = std::chrono::steady_clock::now() + patience_;
  STAGEFS_RETURN_IF_ERROR(Drain(deadline));
  const std::string before = std::exchange(later_, {});
  const std::string all = before.empty() ? sql : before + ';' + sql;
  if (PQsendQuery(connection_, all.c_str()) == 0) return Broken(Trimmed(PQerrorMessage(connection_)));
  return ReadResults(deadline);
}

void PostgresConnection::ExecuteUnanswered(const std::string& sql) {
  later_.clear();
  (void)Settle();  // What ends a transaction that failed, too.
  if (!IsAlive() || !Drain(std::chrono::steady_clock::now() + patience_)) return;
  if (PQsendQuery(connection_, sql.c_str()) == 0) {
    broken_ = true;
  } else {
    unanswered_ = true;
  }
}

Result<PostgresConnection::Results> PostgresConnection::RunPrepared(const char* sql, int parameters,
                                                                    const char* const* values, const int* lengths) {
  const std::string before = later_;
  auto rows = RunOnce(sql, parameters, values, lengths);
  if (rows || before.empty() || IsAlive() || rows.error().code() == ErrorCode::kInterrupted) return rows;
  if (!Connect()) return rows;
  later_ = before;
  return RunOnce(sql, parameters, values, lengths);
}

Result<PostgresConnection::Results> PostgresConnection::RunOnce(const char* sql, int parameters,
                                                                const char* const* values, const int* lengths) {
  STAGEFS_RETURN_IF_ERROR(PrepareOnServer(sql));
  const Deadline deadline = std::chrono::steady_clock::now() + patience_;
  if (waiting_ == 0) STAGEFS_RETURN_IF_ERROR(Drain(deadline));
  if (const std::string before = std::exchange(later_, {}); !before.empty()) {
    STAGEFS_RETURN_IF_ERROR(SendLater(before));
  }
  STAGEFS_RETURN_IF_ERROR(SendPrepared(sql, parameters, values, lengths));
  return waiting_ > 0 ? EndPipeline() : ReadResults(deadline);
}

Status PostgresConnection::SendPrepared(const char* sql, int parameters, const char* const* values,
                                        const int* lengths) {
  const std::string& name = statements_[sql].name;
  if (PQsendQueryPrepared(connection_, name.c_str(), parameters, values, lengths, kBinary, /*resultFormat=*/1) == 0) {
    return Broken(Trimmed(PQerrorMessage(connection_)));
  }
  return {};
}

Status PostgresConnection::SendLater(const std::string& sql) {
  STAGEFS_RETURN_IF_ERROR(EnterPipeline());
  if (PQsendQueryParams(connection_, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) == 0) {
    return Broken(Trimmed(PQerrorMessage(connection_)));
  }
  return {};
}

Status PostgresConnection::RunLater(const char* sql, int parameters, const char* const* values, const int* lengths) {
  STAGEFS_RETURN_IF_ERROR(PrepareOnServer(sql));
  STAGEFS_RETURN_IF_ERROR(EnterPipeline());
  STAGEFS_RETURN_IF_ERROR(SendPrepared(sql, parameters, values, lengths));
  return waiting_ < kWaitingMax ? Status() : Settle();
}

Status PostgresConnection::ExecuteTogether(const std::vector<std::string>& statements) {
  for (const std::string& sql : statements) STAGEFS_RETURN_IF_ERROR(SendLater(sql));
  return Settle();
}

Status PostgresConnection::Settle() { return waiting_ == 0 ? Status() : EndPipeline().WithoutValue(); }

// Counts the statement that is about to be sent.
Status PostgresConnection::EnterPipeline() {
  if (waiting_ == 0) {
    STAGEFS_RETURN_IF_ERROR(Drain(std::chrono::steady_clock::now() + patience_));
    if (PQenterPipelineMode(connection_) == 0) return Broken(Trimmed(PQerrorMessage(connection_)));
  }
  ++waiting_;
  return {};
}

Result<PostgresConnection::Results> PostgresConnection::EndPipeline() {
  waiting_ = 0;
  const Deadline deadline = std::chrono::steady_clock::now() + patience_;
  if (PQpipelineSync(connection_) == 0) return Broken(Trimmed(PQerrorMessage(connection_)));
  Results rows;
  Status status;
  // A null pointer ends each statement's results, and a sync ends the pipeline.
  while (IsAlive()) {
    STAGEFS_ASSIGN_OR_RETURN(const Results result, NextResult(deadline));
    if (!result) continue;
    if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) break;
    if (PQresultStatus(result.get()) == PGRES_PIPELINE_ABORTED) continue;
    if (status) status = CheckResult(result);
    rows = result;
  }
  if (IsAlive() && PQexitPipelineMode(connection_) == 0) return Broken(Trimmed(PQerrorMessage(connection_)));
  if (!status) return status.error();
  if (!IsAlive()) return Broken(Trimmed(PQerrorMessage(connection_)));
  return rows;
}

Result<std::vector<std::string>> PostgresConnection::AwaitNotifications(int wake_fd, milliseconds timeout) {
  STAGEFS_RETURN_IF_ERROR(Drain(std::chrono::steady_clock::now() + patience_));
  const auto take = [&] {
    std::vector<std::string> said;
    while (PGnotify* notification = PQnotifies(connection_)) {
      said.emplace_back(notification->extra);
      PQfreemem(notification);
    }
    return said;
  };
  if (auto earlier = take(); !earlier.empty()) return earlier;  // Came with an earlier answer.
  pollfd sockets[2] = {{PQsocket(connection_), POLLIN, 0}, {wake_fd, POLLIN, 0}};
  const int ready = poll(sockets, 2, static_cast<int>(timeout.count()));
  if (ready < 0 && errno != EINTR) return Broken(std::strerror(errno));
  if (PQconsumeInput(connection_) == 0) return Broken(Trimmed(PQerrorMessage(connection_)));
  return take();
}

std::string PostgresConnection::FirstText(const Results& rows) {
  if (!rows || PQntuples(rows.get()) == 0 || PQnfields(rows.get()) == 0) return {};
  return PQgetvalue(rows.get(), 0, 0);
}

}  // namespace stagefs
