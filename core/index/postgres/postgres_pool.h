// Connections to one repository's tables in PostgreSQL, kept for those who come next.
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "index/held_reader.h"
#include "postgres.h"
#include "stagefs/guarded.h"

namespace stagefs {

// How long a connection is tried for, and an answer waited for: $STAGEFS_INDEX_WAIT, in seconds.
std::chrono::seconds IndexPatience();
// Of statements that may look at everything, or change it.
constexpr auto kLongPatience = std::chrono::seconds(600);
// How long others are waited for that hold what a transaction wants.
constexpr int kTurnSeconds = 60;
// How long a process that holds a turn and stopped answering (frozen, cut off) keeps others waiting.
constexpr int kIdleInTurnSeconds = 300;

class PostgresPool;

// A connection while somebody uses it; the pool gets it back afterwards.
class PostgresLease {
 public:
  PostgresLease(PostgresPool& pool, std::unique_ptr<PostgresConnection> connection, HeldReader held)
      : pool_(&pool), held_(std::move(held)), connection_(std::move(connection)) {}
  PostgresLease(PostgresLease&&) = default;
  PostgresLease& operator=(PostgresLease&&) = delete;
  ~PostgresLease() { End(); }
  // Gives it back: it is not used any more.
  void End();
  PostgresConnection& operator*() const { return *connection_; }
  PostgresConnection* operator->() const { return connection_.get(); }

 private:
  PostgresPool* pool_;
  std::optional<HeldReader> held_;
  std::unique_ptr<PostgresConnection> connection_;
};

// Safe for concurrent use. Outlives its leases.
class PostgresPool {
 public:
  static constexpr size_t kConnectionsMax = 32;

  // `schema`: of the repository.
  PostgresPool(std::string url, std::string schema) : url_(std::move(url)), schema_(std::move(schema)) {}

  // First come, first served. kBusy when all are in use, kIo when none can be made, for as long as IndexPatience();
  // kInterrupted.
  // REQUIRES: this thread holds none. One that is Beside is not waited for.
  Result<PostgresLease> Take();
  // One that is not the pool's.
  Result<std::unique_ptr<PostgresConnection>> Connect() const;

 private:
  friend class PostgresLease;
  struct Idle {
    std::unique_ptr<PostgresConnection> connection;
    std::chrono::steady_clock::time_point since;
  };
  struct Waiting {
    std::condition_variable changed;
    bool goes = false;
  };
  struct State {
    std::vector<Idle> idle;
    size_t in_use = 0;
    std::list<Waiting*> waiting;  // The first one gets what comes back.
  };
  using Deadline = std::chrono::steady_clock::time_point;
  // Until one more may be in use.
  bool Enter(Deadline deadline);
  void Leave();
  // REQUIRES: it is counted as in use.
  Result<std::unique_ptr<PostgresConnection>> IdleOrNew();
  void GiveBack(std::unique_ptr<PostgresConnection> connection);

  const std::string url_, schema_;
  // Synchronize themselves.
  Guarded<State> state_;
};

}  // namespace stagefs
