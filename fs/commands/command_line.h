// Reads the command line and runs the command that it names.
#pragma once

#include "output.h"

namespace stagefs {

class ServerHooks;

// As main() is given them. `server`: null in a program without an HTTP server.
ExitStatus RunCommandLine(int argc, const char* const* argv, ServerHooks* server);

}  // namespace stagefs
