// What a command of the command line is. The table of all is in command_table.cc.
#pragma once

#include <string>

#include "options.h"
#include "output.h"
#include "stagefs/repository_places.h"

namespace stagefs {

class ServerHooks;

// What every command is told.
struct GlobalOptions {
  std::string root;
  RepositoryPlaces places;
  bool json = false;
  ServerHooks* server = nullptr;  // Null in a program without an HTTP server.

  void Declare(CommandOptions& options);
};

// Where repositories live when nothing says otherwise.
std::string DefaultRoot();

// Holds what the command line said to it. Lives for one run.
class Command {
 public:
  virtual ~Command() = default;
  // Adds its arguments and options, which are its members. Called once, before the command line is read.
  virtual void Declare(CommandOptions& options) = 0;
  virtual ExitStatus Run(const GlobalOptions& globals) = 0;
};

}  // namespace stagefs
