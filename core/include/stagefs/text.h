// Text for people, JSON and headers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stagefs {

// `bytes` with every byte that is not part of valid UTF-8 replaced by U+FFFD, for messages and JSON.
std::string ToDisplayUtf8(std::string_view bytes);
bool IsValidUtf8(std::string_view bytes);
// With a-z for A-Z and everything else as it is.
std::string ToLowerAscii(std::string_view text);
// As a JSON string, quotation marks included; U+FFFD stands for what is not UTF-8.
std::string JsonString(const std::string& text);
// The member `key` of a JSON object for a path or name, and KEY_base64 after it where the bytes are not UTF-8: of
// `name`, as ever, `path_base64`.
std::string JsonPath(const std::string& key, const std::string& path);
// RFC 3339 in UTC with microseconds.
std::string FormatTime(int64_t time_ns);
std::string Base64(std::string_view bytes);

}  // namespace stagefs
