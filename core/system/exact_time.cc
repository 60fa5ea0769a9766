#include "exact_time.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>

#include "stagefs/text.h"

namespace stagefs {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr size_t kFractionDigitsMax = 9;

// What is left of a text that is read from its beginning.
class TimeText {
 public:
  explicit TimeText(std::string_view text) : left_(text) {}

  bool AtEnd() const { return left_.empty(); }
  bool Take(std::string_view any_of) {
    if (left_.empty() || any_of.find(left_.front()) == std::string_view::npos) return false;
    left_.remove_prefix(1);
    return true;
  }
  // So many digits, for a number up to `max`.
  bool Take(size_t digits, unsigned max, unsigned* number) {
    if (CountDigits() < digits) return false;
    std::from_chars(left_.data(), left_.data() + digits, *number);
    left_.remove_prefix(digits);
    return *number <= max;
  }
  // Up to nine digits behind a point, if there is one.
  bool TakeFraction(unsigned* fraction_ns) {
    *fraction_ns = 0;
    if (!Take(".")) return true;
    const size_t digits = CountDigits();
    if (digits == 0 || digits > kFractionDigitsMax || !Take(digits, kSecondNs, fraction_ns)) return false;
    for (size_t i = digits; i < kFractionDigitsMax; ++i) *fraction_ns *= 10;
    return true;
  }
  // Seconds east of Greenwich.
  bool TakeOffset(int64_t* offset) {
    if (Take("Zz")) return *offset = 0, true;
    const bool west = left_.starts_with('-');
    unsigned hours = 0, minutes = 0;
    if (!Take("+-") || !Take(2, 23, &hours) || !Take(":") || !Take(2, 59, &minutes)) return false;
    *offset = (west ? -60 : 60) * static_cast<int64_t>(60 * hours + minutes);
    return true;
  }

 private:
  size_t CountDigits() const { return std::min(left_.find_first_not_of("0123456789"), left_.size()); }

  std::string_view left_;
};

}  // namespace

std::string ExactTime(int64_t time_ns) {
  const int64_t part_ns = (time_ns % kSecondNs + kSecondNs) % kSecondNs;
  const std::string fraction = std::to_string(kSecondNs + part_ns);
  const std::string text = FormatTime(time_ns);
  return text.substr(0, text.find('.') + 1) + fraction.substr(1) + 'Z';
}

std::optional<int64_t> ParseExactTime(std::string_view text) {
  TimeText left(text);
  unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, fraction_ns = 0;
  int64_t offset = 0;
  const bool whole = left.Take(4, 9999, &year) && left.Take("-") && left.Take(2, 12, &month) && left.Take("-") &&
                     left.Take(2, 31, &day) && left.Take("Tt ") && left.Take(2, 23, &hour) && left.Take(":") &&
                     left.Take(2, 59, &minute) && left.Take(":") && left.Take(2, 60, &second) &&
                     left.TakeFraction(&fraction_ns) && left.TakeOffset(&offset) && left.AtEnd();
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(year)), std::chrono::month(month),
                                         std::chrono::day(day));
  if (!whole || !date.ok()) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset;
  // Wider than the answer, whose first moments have a second that is not in it.
  const __int128 time_ns = static_cast<__int128>(seconds) * kSecondNs + fraction_ns;
  if (time_ns < std::numeric_limits<int64_t>::min() || time_ns > std::numeric_limits<int64_t>::max()) {
    return std::nullopt;
  }
  return static_cast<int64_t>(time_ns);
}

}  // namespace stagefs
