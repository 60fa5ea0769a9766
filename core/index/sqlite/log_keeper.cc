#include "log_keeper.h"

namespace stagefs {
namespace {

constexpr int kRoundsMax = 8;
// So little is copied while a turn is held.
constexpr int64_t kPagesInTurnMax = 512;
// Readers that still read from the log are waited for so long, then there is another time.
constexpr auto kReadersWait = std::chrono::milliseconds(20);

struct Checkpoint {
  bool busy = false;
  int64_t log_pages = 0, copied_pages = 0;
};

Result<Checkpoint> Copy(SqliteConnection& connection, const char* sql) {
  STAGEFS_ASSIGN_OR_RETURN(auto row, connection.Prepare(sql));
  STAGEFS_RETURN_IF_ERROR(row.Step().WithoutValue());
  return Checkpoint{row.Int(0) != 0, row.Int(1), row.Int(2)};
}

// Copies while others write, until little is left; then, in a turn, the rest, and the next writer begins the log anew.
// What is left of it otherwise, in pages.
Result<int64_t> Shorten(const std::string& path, const std::function<WriterTurn()>& turn) {
  STAGEFS_ASSIGN_OR_RETURN(const auto connection, SqliteConnection::Open(path, {.checkpoints = false}));
  Checkpoint done;
  int64_t left = 0;
  for (int round = 0; round < kRoundsMax; ++round) {
    STAGEFS_ASSIGN_OR_RETURN(done, Copy(*connection, "PRAGMA wal_checkpoint(PASSIVE)"));
    left = done.log_pages - done.copied_pages;
    if (done.busy || left <= kPagesInTurnMax) break;
  }
  if (done.busy || left > kPagesInTurnMax) return done.log_pages;  // Somebody else is at it, or reads what is old.
  const WriterTurn held = turn();
  if (!held.held()) return done.log_pages;
  connection->WaitForOthers(kReadersWait);
  STAGEFS_ASSIGN_OR_RETURN(done, Copy(*connection, "PRAGMA wal_checkpoint(RESTART)"));
  return done.busy ? done.log_pages : 0;
}

}  // namespace

LogKeeper::~LogKeeper() {
  if (thread_.joinable()) thread_.join();
}

void LogKeeper::Begin() {
  if (running_.exchange(true)) return;
  const std::lock_guard lock(mutex_);
  if (thread_.joinable()) thread_.join();
  thread_ = std::thread([this] { Run(); });
}

void LogKeeper::Run() {
  const auto left = Shorten(path_, turn_);
  // Where that did not work it is tried again when the log has grown by a quarter.
  begin_at_ = kLogPagesMax + (left ? static_cast<int>(*left) : kLogPagesMax) / 4;
  if (left && *left == 0) begin_at_ = kLogPagesMax;
  running_ = false;
}

}  // namespace stagefs
