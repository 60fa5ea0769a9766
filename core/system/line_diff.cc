#include "stagefs/line_diff.h"

#include <algorithm>
#include <unordered_map>

namespace stagefs {
namespace {

constexpr size_t kContext = 3;
constexpr int kEditsMax = 1000;

using Lines = std::vector<std::string_view>;
// Lines as numbers: equal ones have the same.
using Numbers = std::vector<int>;

Lines LinesOf(std::string_view text) {
  Lines lines;
  for (size_t begin = 0;;) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (end == text.size()) return lines;
    begin = end + 1;
  }
}

// So many lines from here on are the same.
struct Match {
  size_t before = 0, after = 0, lines = 0;
};

// The shortest way from one text to the other, as Myers found it ("An O(ND) Difference Algorithm and Its Variations",
// 1986): on diagonal k the furthest line of `before` that d removals and additions lead to.
class ShortestWay {
 public:
  ShortestWay(const Numbers& before, const Numbers& after, size_t begin, size_t before_end, size_t after_end)
      : before_(before), after_(after), begin_(begin), width_(static_cast<int>(before_end - begin)),
        height_(static_cast<int>(after_end - begin)) {}

  // In order. std::nullopt: it has more than kEditsMax steps.
  std::optional<std::vector<Match>> Find() {
    for (int d = 0; d <= std::min(kEditsMax, width_ + height_); ++d) {
      std::vector<int> reached(2 * static_cast<size_t>(d) + 1, -1);
      for (int k = -d; k <= d; k += 2) {
        int x = StepTo(d, k);
        if (x < 0) continue;
        while (x < width_ && x - k < height_ && Same(x, x - k)) ++x;
        reached[static_cast<size_t>(k + d)] = x;
        if (x >= width_ && x - k >= height_) return WayBack(d);
      }
      reached_.push_back(std::move(reached));
    }
    return std::nullopt;
  }

 private:
  bool Same(int x, int y) const {
    return before_[begin_ + static_cast<size_t>(x)] == after_[begin_ + static_cast<size_t>(y)];
  }
  // Each of these is -1 where no way leads.
  int Reached(int d, int k) const {
    return k < -d || k > d ? -1 : reached_[static_cast<size_t>(d)][static_cast<size_t>(k + d)];
  }
  int ByAddition(int d, int k) const {
    const int x = Reached(d - 1, k + 1);
    return x - k <= height_ ? x : -1;
  }
  int ByRemoval(int d, int k) const {
    const int x = Reached(d - 1, k - 1);
    return x >= 0 && x < width_ ? x + 1 : -1;
  }
  int StepTo(int d, int k) const { return d == 0 ? 0 : std::max(ByAddition(d, k), ByRemoval(d, k)); }

  std::vector<Match> WayBack(int d) const {
    std::vector<Match> way;
    for (int x = width_, k = width_ - height_; d >= 0; --d) {
      const int from = StepTo(d, k);
      if (x > from) {
        way.push_back({begin_ + static_cast<size_t>(from), begin_ + static_cast<size_t>(from - k),
                       static_cast<size_t>(x - from)});
      }
      if (d == 0) break;
      k += ByAddition(d, k) == from ? 1 : -1;
      x = Reached(d - 1, k);
    }
    std::reverse(way.begin(), way.end());
    return way;
  }

  const Numbers &before_, &after_;
  const size_t begin_;
  const int width_, height_;
  std::vector<std::vector<int>> reached_;
};

// All that match, in order, the last one at the ends.
std::vector<Match> MatchesOf(const Lines& before, const Lines& after) {
  std::unordered_map<std::string_view, int> known;
  const auto numbers_of = [&known](const Lines& lines) {
    Numbers numbers;
    for (const std::string_view line : lines) {
      numbers.push_back(known.emplace(line, static_cast<int>(known.size())).first->second);
    }
    return numbers;
  };
  const Numbers a = numbers_of(before), b = numbers_of(after);
  const size_t shorter = std::min(a.size(), b.size());
  size_t head = 0, tail = 0;
  while (head < shorter && a[head] == b[head]) ++head;
  while (head + tail < shorter && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  const size_t a_end = a.size() - tail, b_end = b.size() - tail;
  std::vector<Match> matches = {{0, 0, head}};
  if (const auto way = ShortestWay(a, b, head, a_end, b_end).Find()) {
    matches.insert(matches.end(), way->begin(), way->end());
  }
  matches.push_back({a_end, b_end, tail});
  return matches;
}

}  // namespace

std::optional<std::vector<DiffLine>> DiffLines(std::string_view before, std::string_view after) {
  for (const std::string_view text : {before, after}) {
    if (text.size() > kLineDiffBytesMax) return std::nullopt;
    if (static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) >= kLineDiffLinesMax) return std::nullopt;
  }
  const Lines old_lines = LinesOf(before), new_lines = LinesOf(after);
  std::vector<DiffLine> told;
  const auto tell = [&told](DiffLine::Kind kind, const Lines& lines, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) told.push_back({kind, std::string(lines[i])});
  };
  size_t old_at = 0, new_at = 0, told_end = 0;  // In `before` and `after`; what of `before` was told.
  for (const Match& match : MatchesOf(old_lines, new_lines)) {
    if (match.before > old_at || match.after > new_at) {
      // What came before it: up to three lines follow the last difference, three lead to this one.
      if (!told.empty()) {
        const size_t follow_end = std::min(told_end + kContext, old_at);
        tell(DiffLine::Kind::kSame, old_lines, told_end, follow_end);
        told_end = follow_end;
      }
      const size_t lead = std::max(told_end, old_at - std::min(old_at, kContext));
      if (!told.empty() && lead > told_end) told.push_back({DiffLine::Kind::kLeftOut, ""});
      tell(DiffLine::Kind::kSame, old_lines, lead, old_at);
      tell(DiffLine::Kind::kRemoved, old_lines, old_at, match.before);
      tell(DiffLine::Kind::kAdded, new_lines, new_at, match.after);
      told_end = match.before;
    }
    old_at = match.before + match.lines;
    new_at = match.after + match.lines;
  }
  if (!told.empty()) {
    tell(DiffLine::Kind::kSame, old_lines, told_end, std::min(told_end + kContext, old_lines.size()));
  }
  return told;
}

}  // namespace stagefs
