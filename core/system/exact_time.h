// Moments as text, to the nanosecond.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stagefs {

// RFC 3339 in UTC with nine digits of fraction: "2026-11-20T15:04:05.123456789Z".
std::string ExactTime(int64_t time_ns);
// Reads RFC 3339 with up to nine digits of fraction and any offset; a space may stand for the T. std::nullopt for what
// is none, and for moments that 64 bits of nanoseconds since 1970 cannot say (before 1677, after 2262).
std::optional<int64_t> ParseExactTime(std::string_view text);

}  // namespace stagefs
