// Texts that are made of a frame, with marks where what commands say comes in.
#pragma once

#include <string>

namespace stagefs {

// `text` with `value` in place of every `mark`.
inline std::string Filled(std::string text, const std::string& mark, const std::string& value) {
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size()) {
    text.replace(at, mark.size(), value);
  }
  return text;
}

}  // namespace stagefs
