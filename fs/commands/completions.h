// Completion for shells, made of the commands and of completion.bash and completion.zsh.
#pragma once

#include <string>
#include <vector>

#include "command_table.h"

namespace stagefs {

std::string BashCompletion(const std::vector<KnownCommand>& commands);
std::string FishCompletion(const std::vector<KnownCommand>& commands);
std::string ZshCompletion(const std::vector<KnownCommand>& commands);

}  // namespace stagefs
