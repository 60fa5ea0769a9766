// Connections to one repository's tables in PostgreSQL, kept for those who come next.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <string>
#include <vector>

#include "postgres.h"
#include "stagefs/guarded.h"

namespace stagefs {

// How long a connection is tried for, and an answer waited for: $STAGEFS_INDEX_WAIT, in seconds.
std::chrono::seconds IndexPatience();
// Of statements that may look at everything, or change it.
constexpr auto kLongPatience = std::chrono::seconds(600);
// How long others are waited for that hold what a transaction wants.
constexpr int kTurnSeconds = 60;

class PostgresPool;

// A connection while somebody uses it; the pool gets it back afterwards.
class PostgresLease {
 public:
  PostgresLease(PostgresPool& pool, std::unique_ptr<PostgresConnection> connection)
      : pool_(&pool), connection_(std::move(connection)) {}
  PostgresLease(PostgresLease&&) = default;
  PostgresLease& operator=(PostgresLease&&) = delete;
  ~PostgresLease();
  PostgresConnection& operator*() const { return *connection_; }
  PostgresConnection* operator->() const { return connection_.get(); }

 private:
  PostgresPool* pool_;
  std::unique_ptr<PostgresConnection> connection_;
};

// Safe for concurrent use. Outlives its leases.
class PostgresPool {
 public:
  static constexpr size_t kConnectionsMax = 32;

  // `schema`: of the repository.
  PostgresPool(std::string url, std::string schema) : url_(std::move(url)), schema_(std::move(schema)) {}

  // kBusy when all are in use, kIo when none can be made, for as long as IndexPatience().
  Result<PostgresLease> Take();
  // One that is not the pool's.
  Result<std::unique_ptr<PostgresConnection>> Connect() const;

 private:
  friend class PostgresLease;
  struct Idle {
    std::unique_ptr<PostgresConnection> connection;
    std::chrono::steady_clock::time_point since;
  };
  struct State {
    std::vector<Idle> idle;
    size_t in_use = 0;
  };
  void GiveBack(std::unique_ptr<PostgresConnection> connection);

  const std::string url_, schema_;
  // Synchronize themselves.
  Guarded<State> state_;
  std::condition_variable returned_;
};

}  // namespace stagefs
