// Values of headers that have parameters: `form-data; name="a"; filename=b`.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stagefs {

struct HeaderValue {
  std::string value;  // Without spaces around it.
  std::vector<std::pair<std::string, std::string>> parameters;

  // The first of that name in any case; "" where there is none.
  std::string Get(std::string_view name) const;
};

// Whatever the text is: what is malformed gives the parameters it has. In quotes, and outside, \ keeps the
// character after it.
HeaderValue ParseHeaderValue(std::string_view text);

bool SameInAnyCase(std::string_view a, std::string_view b);

}  // namespace stagefs
