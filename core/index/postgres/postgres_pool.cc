#include "postgres_pool.h"

#include <algorithm>

#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr size_t kIdleMax = 8;
// A connection that was idle for longer is asked whether it still works before it is used.
constexpr auto kTrustIdle = seconds(1);
constexpr auto kRetryEvery = milliseconds(200);
constexpr int kWaitSecondsDefault = 30;

}  // namespace

seconds IndexPatience() { return SecondsFromEnvironment("STAGEFS_INDEX_WAIT", kWaitSecondsDefault, 1); }

void PostgresLease::End() {
  held_.reset();
  if (connection_) pool_->GiveBack(std::move(connection_));
}

Result<std::unique_ptr<PostgresConnection>> PostgresPool::Connect() const {
  return PostgresConnection::Open(
      url_,
      "SET search_path = " + schema_ + "; SET lock_timeout = '" + std::to_string(kTurnSeconds) +
          // Of readers, who keep nobody waiting: between two questions one may fetch a large version from afar.
          "s'; SET idle_in_transaction_session_timeout = '1d'; SET statement_timeout = '" +
          std::to_string(kLongPatience.count()) +
          // Each question has an index, and a plan that was good for a small table stays good.
          "s'; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off;"
          // What is acknowledged is flushed, whatever the server's default is; stricter settings stay.
          " SELECT set_config('synchronous_commit', 'on', false)"
          " WHERE current_setting('synchronous_commit') = 'off'",
      IndexPatience());
}

bool PostgresPool::Enter(Deadline deadline) {
  auto state = state_.Lock();
  if (state->in_use < kConnectionsMax) {
    ++state->in_use;
    return true;
  }
  Waiting waiting;
  const auto place = state->waiting.insert(state->waiting.end(), &waiting);
  if (WaitUntil(waiting.changed, state.lock(), deadline, [&] { return waiting.goes; })) return true;
  state->waiting.erase(place);
  return false;
}

void PostgresPool::Leave() {
  auto state = state_.Lock();
  if (state->waiting.empty()) {
    --state->in_use;
    return;
  }
  Waiting& next = *state->waiting.front();
  state->waiting.pop_front();
  next.goes = true;
  next.changed.notify_one();
}

Result<std::unique_ptr<PostgresConnection>> PostgresPool::IdleOrNew() {
  for (;;) {
    Idle idle;
    if (auto state = state_.Lock(); !state->idle.empty()) {
      idle = std::move(state->idle.back());
      state->idle.pop_back();
    }
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    if (!idle.connection) return Connect();
    const bool there = idle.connection->IsThere();
    if (there && (steady_clock::now() - idle.since < kTrustIdle || idle.connection->Execute("SELECT 1"))) {
      return std::move(idle.connection);
    }
  }
}

Result<PostgresLease> PostgresPool::Take() {
  HeldReader held(this);
  const bool waits = !HeldReader::IsBeside();
  const auto deadline = steady_clock::now() + (waits ? IndexPatience() : seconds(0));
  for (;;) {
    if (!Enter(waits ? std::max(deadline, steady_clock::now() + kRetryEvery) : deadline)) {
      return BusyOrInterrupted("index: all " + std::to_string(kConnectionsMax) + " connections are in use");
    }
    auto connection = IdleOrNew();
    if (connection) return PostgresLease(*this, std::move(*connection), std::move(held));
    Leave();
    const ErrorCode code = connection.error().code();
    if (!waits && code == ErrorCode::kIo) return Error(ErrorCode::kBusy, connection.error().message());
    if ((code != ErrorCode::kIo && code != ErrorCode::kBusy) || steady_clock::now() >= deadline) {
      return connection.error();
    }
    SleepFor(kRetryEvery);
  }
}

void PostgresPool::GiveBack(std::unique_ptr<PostgresConnection> connection) {
  if (connection->IsAlive()) {
    auto state = state_.Lock();
    if (state->idle.size() < kIdleMax) state->idle.push_back({std::move(connection), steady_clock::now()});
  }
  Leave();
}

}  // namespace stagefs
