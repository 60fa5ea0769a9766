#include "zip_path.h"

#include <algorithm>

#include "stagefs/text.h"

namespace stagefs {
namespace {

constexpr size_t kCharacterBytesMax = 4;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The first character; a byte where it is not UTF-8.
std::string_view FirstOf(std::string_view text) {
  for (size_t size = 1; size <= std::min(text.size(), kCharacterBytesMax); ++size) {
    if (IsValidUtf8(text.substr(0, size))) return text.substr(0, size);
  }
  return text.substr(0, 1);
}

// Whether `character`, which stands at `at` of `path`, is written as %XX.
bool IsEscaped(std::string_view character, std::string_view path, size_t at) {
  const auto c = static_cast<unsigned char>(character[0]);
  if (character.size() == 2) return c == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;  // U+0080 to U+009F.
  if (character.size() > 2) return false;
  const auto first = static_cast<unsigned char>(path[0] | 0x20);
  const bool is_drive = c == ':' && at == 1 && first >= 'a' && first <= 'z';
  return c < ' ' || c >= 0x7f || c == '\\' || is_drive;
}

// What a run of %XX at the start of `text` stands for, up to one character's bytes.
std::string Unescaped(std::string_view text) {
  std::string bytes;
  for (; bytes.size() < kCharacterBytesMax && text.size() >= 3 && text[0] == '%'; text.remove_prefix(3)) {
    const int high = HexDigit(text[1]), low = HexDigit(text[2]);
    if (high < 0 || low < 0) break;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

}  // namespace

std::string ZipPath(std::string_view path) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string safe;
  for (size_t at = 0; at < path.size();) {
    std::string_view character = FirstOf(path.substr(at));
    const std::string meant = Unescaped(path.substr(at));
    const std::string_view reads_as = FirstOf(meant);
    const bool is_misread = !meant.empty() && (reads_as == "%" || IsEscaped(reads_as, path, at));
    if (is_misread || IsEscaped(character, path, at)) {
      for (const unsigned char c : character) safe.append({'%', kHex[c >> 4], kHex[c & 15]});
    } else {
      if (!meant.empty()) character = path.substr(at, 3 * reads_as.size());
      safe += character;
    }
    at += character.size();
  }
  return safe;
}

}  // namespace stagefs
