#include "when.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/text.h"

namespace stagefs {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kAgoMax = 1'000'000'000;

Error NoMoment(std::string_view text) {
  return Error(ErrorCode::kInvalidArgument, "'" + ToDisplayUtf8(text.substr(0, 100)) +
                                                "' is no date: write 2026-11-20, 2026-11-20 15:04, or 3 days ago");
}

// What is left of a text that is read from its beginning.
class Reading {
 public:
  explicit Reading(std::string_view text) : left_(text) {}

  bool AtEnd() const { return left_.empty(); }
  bool Take(char c) {
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  // So many digits, for a number from `min` to `max`.
  std::optional<int> TakeNumber(size_t digits, int min, int max) {
    int number = 0;
    if (left_.size() < digits || !std::all_of(left_.begin(), left_.begin() + static_cast<ptrdiff_t>(digits),
                                              [](unsigned char c) { return std::isdigit(c); })) {
      return std::nullopt;
    }
    std::from_chars(left_.data(), left_.data() + digits, number);
    left_.remove_prefix(digits);
    return number >= min && number <= max ? std::optional(number) : std::nullopt;
  }

 private:
  std::string_view left_;
};

int64_t LocalSeconds(tm parts) {
  parts.tm_isdst = -1;
  return mktime(&parts);
}

// Seconds east of Greenwich, as Z or +01:00; nothing where neither is written.
bool TakeZone(Reading* reading, std::optional<int64_t>* zone) {
  if (reading->AtEnd()) return true;
  if (reading->Take('Z') || reading->Take('z')) return *zone = 0, true;
  const bool east = reading->Take('+');
  if (!east && !reading->Take('-')) return false;
  const auto hours = reading->TakeNumber(2, 0, 23);
  (void)reading->Take(':');
  const auto minutes = reading->TakeNumber(2, 0, 59);
  if (!hours || !minutes) return false;
  *zone = (east ? 1 : -1) * (*hours * 3600 + *minutes * 60);
  return true;
}

std::optional<int64_t> ParseDate(std::string_view text) {
  Reading reading(text);
  tm parts{};
  const auto year = reading.TakeNumber(4, 1900, 9999);
  if (!year || !reading.Take('-')) return std::nullopt;
  const auto month = reading.TakeNumber(2, 1, 12);
  if (!month || !reading.Take('-')) return std::nullopt;
  const auto day = reading.TakeNumber(2, 1, 31);
  if (!day) return std::nullopt;
  parts.tm_year = *year - 1900;
  parts.tm_mon = *month - 1;
  parts.tm_mday = *day;
  tm checked = parts;
  timegm(&checked);
  if (checked.tm_mday != *day) return std::nullopt;  // 31 April.
  if (reading.AtEnd()) {
    ++parts.tm_mday;
    return LocalSeconds(parts) * kSecondNs - 1;
  }
  if (!reading.Take('T') && !reading.Take('t') && !reading.Take(' ')) return std::nullopt;
  const auto hour = reading.TakeNumber(2, 0, 23);
  if (!hour || !reading.Take(':')) return std::nullopt;
  const auto minute = reading.TakeNumber(2, 0, 59);
  if (!minute) return std::nullopt;
  std::optional<int> second;
  if (reading.Take(':')) {
    second = reading.TakeNumber(2, 0, 60);
    if (!second) return std::nullopt;
    if (reading.Take('.')) {
      while (reading.TakeNumber(1, 0, 9)) {
      }
    }
  }
  std::optional<int64_t> zone;
  if (!TakeZone(&reading, &zone) || !reading.AtEnd()) return std::nullopt;
  parts.tm_hour = *hour;
  parts.tm_min = *minute;
  parts.tm_sec = second.value_or(0);
  const int64_t begin = zone ? timegm(&parts) - *zone : LocalSeconds(parts);
  return (begin + (second ? 1 : 60)) * kSecondNs - 1;
}

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c != ' ' && c != '.') words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!words.back().empty()) words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// "3 days ago".
std::optional<int64_t> ParseAgo(const std::vector<std::string>& words, int64_t now_ns) {
  if (words.size() != 3 || words[2] != "ago") return std::nullopt;
  int64_t count = 1;
  if (words[0] != "a" && words[0] != "an" && words[0] != "one") {
    const auto [end, error] = std::from_chars(words[0].data(), words[0].data() + words[0].size(), count);
    if (error != std::errc() || *end != '\0' || count < 0 || count > kAgoMax) return std::nullopt;
  }
  const std::string unit = words[1].back() == 's' ? words[1].substr(0, words[1].size() - 1) : words[1];
  if (unit == "month" || unit == "year") {
    time_t now = now_ns / kSecondNs;
    tm parts{};
    localtime_r(&now, &parts);
    const int64_t months = parts.tm_mon - (unit == "year" ? 12 * count : count) + 12 * int64_t{parts.tm_year};
    if (months < 0) return 0;  // Nothing is older.
    parts.tm_year = static_cast<int>(months / 12);
    parts.tm_mon = static_cast<int>(months % 12);
    return LocalSeconds(parts) * kSecondNs + now_ns % kSecondNs;
  }
  constexpr struct {
    const char* name;
    int64_t seconds;
  } kUnits[] = {{"second", 1}, {"sec", 1},     {"minute", 60},    {"min", 60},
                {"hour", 3600}, {"day", 86400}, {"week", 7 * 86400}};
  for (const auto& [name, seconds] : kUnits) {
    if (unit != name) continue;
    return std::max<int64_t>(now_ns / kSecondNs - count * seconds, 0) * kSecondNs + now_ns % kSecondNs;
  }
  return std::nullopt;
}

}  // namespace

Result<int64_t> ParseWhen(std::string_view text, int64_t now_ns) {
  const std::vector<std::string> words = WordsOf(text);
  if (words == std::vector<std::string>{"now"}) return now_ns;
  if (words == std::vector<std::string>{"yesterday"}) return *ParseAgo({"1", "day", "ago"}, now_ns);
  std::optional<int64_t> moment = ParseDate(text);
  if (!moment) moment = ParseAgo(words, now_ns);
  if (!moment) return NoMoment(text);
  return *moment;
}

}  // namespace stagefs
