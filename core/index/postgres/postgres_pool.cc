#include "postgres_pool.h"

#include <algorithm>
#include <thread>

#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr size_t kIdleMax = 8;
// A connection that was idle for longer is asked whether it still works before it is used.
constexpr auto kTrustIdle = seconds(1);
// How long a process that holds a turn and stopped answering (frozen, cut off) keeps others waiting.
constexpr int kIdleInTransactionSeconds = 300;
constexpr auto kRetryEvery = milliseconds(200);
constexpr int kWaitSecondsDefault = 30;

}  // namespace

seconds IndexPatience() { return SecondsFromEnvironment("STAGEFS_INDEX_WAIT", kWaitSecondsDefault, 1); }

PostgresLease::~PostgresLease() {
  if (connection_) pool_->GiveBack(std::move(connection_));
}

Result<std::unique_ptr<PostgresConnection>> PostgresPool::Connect() const {
  return PostgresConnection::Open(
      url_,
      "SET search_path = " + schema_ + "; SET lock_timeout = '" + std::to_string(kTurnSeconds) +
          "s'; SET idle_in_transaction_session_timeout = '" + std::to_string(kIdleInTransactionSeconds) +
          "s'; SET statement_timeout = '" + std::to_string(kLongPatience.count()) +
          // Each question has an index, and a plan that was good for a small table stays good.
          "s'; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off;"
          // What is acknowledged is flushed, whatever the server's default is; stricter settings stay.
          " SELECT set_config('synchronous_commit', 'on', false)"
          " WHERE current_setting('synchronous_commit') = 'off'",
      IndexPatience());
}

Result<PostgresLease> PostgresPool::Take() {
  const auto deadline = steady_clock::now() + IndexPatience();
  for (;;) {
    Idle idle;
    {
      auto state = state_.Lock();
      if (!returned_.wait_until(state.lock(), std::max(deadline, steady_clock::now() + kRetryEvery),
                                [&] { return state->in_use < kConnectionsMax; })) {
        return Error(ErrorCode::kBusy, "index: all " + std::to_string(kConnectionsMax) + " connections are in use");
      }
      if (!state->idle.empty()) {
        idle = std::move(state->idle.back());
        state->idle.pop_back();
      }
      ++state->in_use;
    }
    if (idle.connection) {
      PostgresLease lease(*this, std::move(idle.connection));
      const bool there = lease->IsThere();
      if (there && (steady_clock::now() - idle.since < kTrustIdle || lease->Execute("SELECT 1"))) return lease;
      continue;
    }
    auto connection = Connect();
    if (connection) return PostgresLease(*this, std::move(*connection));
    {
      auto state = state_.Lock();
      --state->in_use;
    }
    returned_.notify_one();
    const ErrorCode code = connection.error().code();
    if ((code != ErrorCode::kIo && code != ErrorCode::kBusy) || steady_clock::now() >= deadline) {
      return connection.error();
    }
    std::this_thread::sleep_for(kRetryEvery);
  }
}

void PostgresPool::GiveBack(std::unique_ptr<PostgresConnection> connection) {
  {
    auto state = state_.Lock();
    --state->in_use;
    if (connection->IsAlive() && state->idle.size() < kIdleMax) {
      state->idle.push_back({std::move(connection), steady_clock::now()});
    }
  }
  returned_.notify_one();
}

}  // namespace stagefs
