// How two texts differ, line by line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stagefs {

constexpr size_t kLineDiffBytesMax = 1 << 20;
constexpr size_t kLineDiffLinesMax = 20'000;

struct DiffLine {
  enum class Kind { kSame, kRemoved, kAdded, kLeftOut };
  Kind kind = Kind::kSame;
  std::string text;  // Without its newline; "" of kLeftOut.

  bool operator==(const DiffLine&) const = default;
};

// Lines of `before` that were removed and of `after` that were added, with up to three around them that both have;
// kLeftOut stands for those between. Nothing where the texts are equal. A line is what a newline ends, and what follows
// the last one: a text that ends in a newline has an empty last line, so that one that does not differs.
//
// As few lines as can be where that is at most 1,000 of both kinds; else all between the first and the last difference.
// std::nullopt beyond kLineDiffBytesMax or kLineDiffLinesMax in either text.
std::optional<std::vector<DiffLine>> DiffLines(std::string_view before, std::string_view after);

}  // namespace stagefs
