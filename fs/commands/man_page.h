// The manual page, made of the commands and of man_page.roff, which has what no command tells.
#pragma once

#include <string>
#include <vector>

#include "command_table.h"

namespace stagefs {

// In the man macros of roff.
std::string ManPage(const std::vector<KnownCommand>& commands);

}  // namespace stagefs
