#include "postgres_turns.h"

#include <algorithm>

#include "postgres_pool.h"
#include "stagefs/interruption.h"

namespace stagefs {
namespace {

bool IsOfHistory(const Turn& turn) {
  return turn.of == Turn::Of::kHistory || turn.of == Turn::Of::kWorkspaceAndHistory;
}

bool WantTheSame(const Turn& a, const Turn& b) {
  if (a.of == Turn::Of::kEverything || b.of == Turn::Of::kEverything) return true;
  return (a.workspace != 0 && a.workspace == b.workspace) || (IsOfHistory(a) && IsOfHistory(b));
}

}  // namespace

void PostgresTurns::LetGo(Tickets& tickets) {
  auto running = std::count_if(tickets.begin(), tickets.end(), [](const Ticket& ticket) { return ticket.goes; });
  for (auto at = tickets.begin(); at != tickets.end() && running < static_cast<ptrdiff_t>(kTransactionsMax); ++at) {
    if (at->goes) continue;
    at->goes = std::none_of(tickets.begin(), at,
                            [&](const Ticket& before) { return WantTheSame(before.turn, at->turn); });
    if (!at->goes) continue;
    ++running;
    at->changed.notify_one();
  }
}

Result<PostgresTurns::Held> PostgresTurns::Take(const Turn& turn) {
  auto tickets = tickets_.Lock();
  const auto ticket = tickets->emplace(tickets->end());
  ticket->turn = turn;
  LetGo(*tickets);
  const auto deadline = std::chrono::steady_clock::now() + turn.wait_max;
  if (WaitUntil(ticket->changed, tickets.lock(), deadline, [&] { return ticket->goes; })) {
    return Held(*this, ticket);
  }
  tickets->erase(ticket);
  LetGo(*tickets);
  return BusyOrInterrupted("index: others change the same");
}

void PostgresTurns::Held::End() {
  if (turns_ == nullptr) return;
  auto tickets = std::exchange(turns_, nullptr)->tickets_.Lock();
  tickets->erase(ticket_);
  LetGo(*tickets);
}

}  // namespace stagefs
