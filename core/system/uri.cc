#include "stagefs/uri.h"

#include <algorithm>

namespace stagefs {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::string> DecodePercent(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size() || HexValue(text[i + 1]) < 0 || HexValue(text[i + 2]) < 0) return std::nullopt;
    decoded += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
    i += 2;
  }
  return decoded;
}

std::optional<RequestTarget> ParseTarget(std::string_view raw) {
  RequestTarget target;
  const size_t question = std::min(raw.find('?'), raw.size());
  std::string_view path = raw.substr(0, question);
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const auto segment = DecodePercent(path.substr(begin, end - begin));
    if (!segment) return std::nullopt;
    target.segments.push_back(*segment);
    begin = end + 1;
  }
  for (std::string_view rest = raw.substr(question); rest.size() > 1;) {
    rest.remove_prefix(1);
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(end);
    const size_t equals = std::min(pair.find('='), pair.size());
    const auto name = DecodePercent(pair.substr(0, equals));
    const auto value = DecodePercent(equals < pair.size() ? pair.substr(equals + 1) : "");
    if (!name || !value) return std::nullopt;
    target.query.emplace(*name, *value);
  }
  return target;
}

}  // namespace stagefs
