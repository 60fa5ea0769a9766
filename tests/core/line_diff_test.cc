#include "stagefs/line_diff.h"

#include <random>

#include "tests/catch.h"

namespace stagefs::test {
namespace {

// Each line after one of " -+"; "..." where lines are left out.
std::string Shown(const std::string& before, const std::string& after) {
  const auto lines = DiffLines(before, after);
  if (!lines) return "too large";
  std::string shown;
  for (const DiffLine& line : *lines) {
    const bool left_out = line.kind == DiffLine::Kind::kLeftOut;
    shown += (shown.empty() ? "" : "|") + (left_out ? "..." : " -+"[static_cast<int>(line.kind)] + line.text);
  }
  return shown;
}

std::string Numbered(int first, int last) {
  std::string text;
  for (int i = first; i <= last; ++i) text += std::to_string(i) + '\n';
  return text;
}

// How many lines two texts have in common, in order: by the table of all prefixes.
size_t Common(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::vector<size_t>> best(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) {
      best[i + 1][j + 1] = a[i] == b[j] ? best[i][j] + 1 : std::max(best[i][j + 1], best[i + 1][j]);
    }
  }
  return best[a.size()][b.size()];
}

}  // namespace

TEST_CASE("DiffLines: what went, what came, and three lines around", "[core][line_diff]") {
  CHECK(Shown("", "").empty());
  CHECK(Shown("a\nb\n", "a\nb\n").empty());
  CHECK(Shown("", "a\nb\n") == "+a|+b| ");
  CHECK(Shown("a\nb\n", "") == "-a|-b| ");
  CHECK(Shown("a\nb\nc\n", "a\nB\nc\n") == " a|-b|+B| c| ");
  CHECK(Shown(Numbered(1, 9), Numbered(1, 4) + "x\n" + Numbered(6, 9)) == " 2| 3| 4|-5|+x| 6| 7| 8");
  CHECK(Shown(Numbered(1, 20), "0\n" + Numbered(1, 20) + "21\n") == "+0| 1| 2| 3|...| 18| 19| 20|+21| ");
  CHECK(Shown("x\n" + Numbered(1, 6) + "y\n", Numbered(1, 6)) == "-x| 1| 2| 3| 4| 5| 6|-y| ");
  CHECK(Shown("x\n" + Numbered(1, 7) + "y\n", Numbered(1, 7)) == "-x| 1| 2| 3|...| 5| 6| 7|-y| ");
}

TEST_CASE("DiffLines: a newline at the end counts, a carriage return belongs to its line", "[core][line_diff]") {
  CHECK(Shown("a", "a\n") == " a|+");
  CHECK(Shown("a\n", "a") == " a|-");
  CHECK(Shown("a\r\nb", "a\nb") == "-a\r|+a| b");
}

TEST_CASE("DiffLines: both texts can be told from it, and no shorter way leads there", "[core][line_diff]") {
  const unsigned seed = GENERATE(1U, 2U, 3U);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> sides[2];
    std::string texts[2];
    for (int side = 0; side < 2; ++side) {
      for (size_t left = 1 + random() % 7; left > 0; --left) sides[side].emplace_back(1, "abc"[random() % 3]);
      for (const std::string& line : sides[side]) texts[side] += (texts[side].empty() ? "" : "\n") + line;
    }
    INFO(texts[0] << "\n--\n" << texts[1]);
    const auto lines = DiffLines(texts[0], texts[1]);
    REQUIRE(lines.has_value());
    if (texts[0] == texts[1]) {
      CHECK(lines->empty());
      continue;
    }
    size_t removed = 0, added = 0;
    bool whole = true;
    std::vector<std::string> told[2];
    for (const DiffLine& line : *lines) {
      if (line.kind == DiffLine::Kind::kLeftOut) whole = false;
      removed += line.kind == DiffLine::Kind::kRemoved ? 1 : 0;
      added += line.kind == DiffLine::Kind::kAdded ? 1 : 0;
      if (line.kind != DiffLine::Kind::kAdded) told[0].push_back(line.text);
      if (line.kind != DiffLine::Kind::kRemoved) told[1].push_back(line.text);
    }
    const size_t common = Common(sides[0], sides[1]);
    CHECK(removed == sides[0].size() - common);
    CHECK(added == sides[1].size() - common);
    // What is at the ends of both may be left out.
    for (int side = 0; whole && side < 2; ++side) {
      CHECK(std::search(sides[side].begin(), sides[side].end(), told[side].begin(), told[side].end()) !=
            sides[side].end());
    }
  }
}

TEST_CASE("DiffLines: texts that have little in common are told as a whole, large ones not at all",
          "[core][line_diff]") {
  const auto lines = DiffLines("same\n" + Numbered(1, 5000), "same\n" + Numbered(6001, 11000));
  REQUIRE(lines.has_value());
  CHECK(lines->size() == 1 + 5000 + 5000 + 1);
  CHECK(lines->at(1) == DiffLine{DiffLine::Kind::kRemoved, "1"});
  CHECK(lines->at(5001) == DiffLine{DiffLine::Kind::kAdded, "6001"});
  CHECK(Shown(Numbered(1, 19'998), Numbered(1, 19'999)) == " 19996| 19997| 19998|+19999| ");
  CHECK(Shown(Numbered(1, 20'000), "") == "too large");
  CHECK(Shown("", Numbered(1, 20'000)) == "too large");
  CHECK(Shown(std::string((1 << 20) + 1, 'a'), "") == "too large");
  CHECK(Shown(std::string(1 << 20, 'a'), std::string(1 << 20, 'a')).empty());
}

}  // namespace stagefs::test
