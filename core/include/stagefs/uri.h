// Request targets (RFC 3986), as far as routing needs them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stagefs {

// Every %XX becomes its byte, also %2F, %25 and %2B; '+' stays. std::nullopt for a broken escape.
std::optional<std::string> DecodePercent(std::string_view text);

// The path's segments, decoded one by one, so that an encoded slash does not split; the query's pairs. The
// first of several equal names counts.
struct RequestTarget {
  std::vector<std::string> segments;
  std::map<std::string, std::string> query;
};
std::optional<RequestTarget> ParseTarget(std::string_view raw);

}  // namespace stagefs
