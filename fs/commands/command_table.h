// All commands.
#pragma once

#include <memory>
#include <vector>

#include "command.h"

namespace stagefs {

struct CommandRow {
  const char* name;                     // "commit"; of two words: "branch list".
  std::unique_ptr<Command> (*make)();  // Null for what is only the first word of others: "branch".
  const char* help;                     // One line.
  const char* example;                  // One or more lines.
  bool needs_server = false;            // Left out of a program without an HTTP server.
};

// A row with what its command takes.
struct KnownCommand {
  const CommandRow* row;
  std::unique_ptr<Command> command;  // Null where `make` is. The options point into it.
  CommandOptions options;
};

// In the order in which they are told of; the first word of others before them.
std::vector<KnownCommand> KnownCommands(bool has_server);

}  // namespace stagefs
