#include "header_value.h"

#include <algorithm>
#include <cctype>

namespace stagefs {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

void TrimRight(std::string* text, size_t from = 0) {
  while (text->size() > from && IsSpace(text->back())) text->pop_back();
}

// Reads a text from front to back.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  bool Done() const { return text_.empty(); }
  bool At(char c) const { return !Done() && text_.front() == c; }
  char Take() {
    const char c = text_.front();
    text_.remove_prefix(1);
    return c;
  }
  void PassSpaces() {
    while (!Done() && IsSpace(text_.front())) text_.remove_prefix(1);
  }

 private:
  std::string_view text_;
};

// Up to the next ';'. Spaces at the end go, unless they are quoted.
std::string TakeText(Cursor* at) {
  std::string text;
  bool quoted = false;
  size_t kept = 0;
  while (!at->Done() && (quoted || !at->At(';'))) {
    const char c = at->Take();
    if (c == '"') {
      quoted = !quoted;
    } else if (c != '\\') {
      text += c;
    } else if (!at->Done()) {
      text += at->Take();
    }
    if (quoted || c == '"' || c == '\\') kept = text.size();
  }
  TrimRight(&text, kept);
  return text;
}

}  // namespace

bool SameInAnyCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string HeaderValue::Get(std::string_view name) const {
  for (const auto& [key, text] : parameters) {
    if (SameInAnyCase(key, name)) return text;
  }
  return "";
}

HeaderValue ParseHeaderValue(std::string_view text) {
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  HeaderValue header;
  Cursor at(text);
  at.PassSpaces();
  while (!at.Done() && !at.At(';')) header.value += at.Take();
  TrimRight(&header.value);
  while (!at.Done()) {
    (void)at.Take();  // The ';'.
    at.PassSpaces();
    std::string name;
    while (!at.Done() && !at.At('=') && !at.At(';')) name += at.Take();
    TrimRight(&name);
    if (at.At('=')) (void)at.Take();
    at.PassSpaces();
    std::string value = TakeText(&at);
    if (!name.empty()) header.parameters.emplace_back(std::move(name), std::move(value));
  }
  return header;
}

}  // namespace stagefs
