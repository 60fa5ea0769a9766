// Who of this process changes a repository in PostgreSQL next.
#pragma once

#include <condition_variable>
#include <list>

#include "stagefs/guarded.h"
#include "stagefs/staging_index.h"

namespace stagefs {

// Turns are taken here before a connection is: those of one process that want the same wait for each other without one,
// and what they wait for on the server is another process. First come, first served. Safe for concurrent use.
class PostgresTurns {
 private:
  struct Ticket {
    Turn turn;
    bool goes = false;
    std::condition_variable changed;
  };
  using Tickets = std::list<Ticket>;

 public:
  // So many transactions at once: what is left of the connections is for readers.
  static constexpr size_t kTransactionsMax = 24;

  // A turn while it is held. Outlived by the PostgresTurns it is of.
  class Held {
   public:
    Held(PostgresTurns& turns, Tickets::iterator ticket) : turns_(&turns), ticket_(ticket) {}
    Held(Held&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), ticket_(other.ticket_) {}
    Held& operator=(Held&&) = delete;
    ~Held() { End(); }
    void End();

   private:
    PostgresTurns* turns_;
    Tickets::iterator ticket_;
  };

  // kBusy after `turn.wait_max`; kInterrupted.
  Result<Held> Take(const Turn& turn);

 private:
  static void LetGo(Tickets& tickets);

  // In the order in which they came: each waits for those before it that want the same.
  Guarded<Tickets> tickets_;
};

}  // namespace stagefs
