// Moments as people write them.
#pragma once

#include <cstdint>
#include <string_view>

#include "stagefs/result.h"

namespace stagefs {

// The last nanosecond of what `text` says, since 1970:
//
//   2026-11-20                    that day, as all of these by the clock of this machine;
//   2026-11-20 15:04[:05]         a minute or a second of it; with a T between them, with Z or +01:00 behind them, too;
//   3 days ago, an hour ago       from `now_ns` on: seconds, minutes, hours, days, weeks, months, years;
//   yesterday, now                as one day ago; `now_ns`.
//
// kInvalidArgument.
Result<int64_t> ParseWhen(std::string_view text, int64_t now_ns);

}  // namespace stagefs
