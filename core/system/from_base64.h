// Bytes that came as text; Base64() of stagefs/text.h is the way there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stagefs {

// The bytes of RFC 4648's section 4, with its padding; std::nullopt for what is none.
std::optional<std::string> FromBase64(std::string_view text);

}  // namespace stagefs
