// How paths are written in a zip.
#pragma once

#include <string>
#include <string_view>

namespace stagefs {

// A path that no unpacker takes out of its folder, on any system, nor prints as a command to a terminal, in UTF-8:
// control characters, backslashes, the colon of a drive letter, and bytes that are not UTF-8 are %XX. So is a % that
// would be read as one of these: two paths never become one. Others stay as they are.
std::string ZipPath(std::string_view path);

}  // namespace stagefs
