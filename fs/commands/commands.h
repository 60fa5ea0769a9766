// The commands that need only the core. fs/main.cc adds those that mount or serve.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "stagefs/workspace.h"
#include "stagefs/repository_places.h"

namespace CLI {
class App;
}

namespace stagefs {

// Exit statuses, as the man page lists them.
enum ExitStatus {
  kExitOk = 0,
  kExitPartly = 1,    // Done, but an entry was refused, or fsck found damage.
  kExitUsage = 2,     // Bad usage or input; nothing was changed.
  kExitNotFound = 3,  // No such repository, workspace, version or path.
  kExitConflict = 4,  // Conflict, busy, or there already.
  kExitTrouble = 5,   // The disk, the kernel or the index.
};

struct GlobalOptions {
  std::string root;
  RepositoryPlaces places;
  bool json = false;
};

// Where repositories live when nothing says otherwise.
std::string DefaultRoot();

// NS/REPO or NS/REPO:WORKSPACE, opened.
struct Target {
  std::unique_ptr<Repository> repository;
  std::unique_ptr<Workspace> workspace;  // Null without ":WORKSPACE".
};
struct TargetName {
  RepositoryName repository;
  std::optional<std::string> workspace;
  static Result<TargetName> Parse(const std::string& text);
};
Result<Target> OpenTarget(const GlobalOptions& options, const std::string& text, bool needs_workspace);

// Prints "stagefs: MESSAGE" and returns the status for it.
ExitStatus Report(const Error& error);

// Adds the commands to `app`. Each sets `*status` when it runs.
void AddCommands(CLI::App& app, const GlobalOptions& options, ExitStatus* status);

}  // namespace stagefs
