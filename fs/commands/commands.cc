#include "commands.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "command_set.h"
#include "stagefs/posix_env.h"
#include "stagefs/history.h"
#include "stagefs/repositories.h"

namespace stagefs {
Status PrintOut(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return {};
  return ErrnoError("write to standard output");
}

std::string JsonText(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : ToDisplayUtf8(text)) {
    char escape[8];
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < ' ') {
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

ExitStatus Done(const Status& status) { return status ? kExitOk : Report(status.error()); }

Author DefaultAuthor() {
  const auto from = [](const char* name, const std::string& otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? std::string(value) : otherwise;
  };
  const std::string user = from("USER", "unknown");
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  return {from("STAGEFS_AUTHOR_NAME", user), from("STAGEFS_AUTHOR_EMAIL", user + "@" + host)};
}

void Commands::Add() {
  AddRepositories();
  AddBranches();
  AddWorkspaces();
  AddPut();
  AddStage();
  AddStatus();
  AddCommit();
  AddTrees();
  AddRecovery();
  AddMaintenance();
}

CLI::App* Commands::Command(CLI::App& parent, const char* name, const char* what,
                            const std::function<ExitStatus(Commands&)>& run, const char* example) {
  CLI::App* command = parent.add_subcommand(name, what);
  command->callback([this, run] { *status_ = run(*this); });
  command->footer(std::string("Example:\n  ") + example);
  return command;
}

CLI::Option* Commands::AddTarget(CLI::App* command, const char* form) {
  return command->add_option("target", args_->target, form)->required()->type_name("");
}

Result<Target> Commands::Open(bool needs_workspace) {
  return OpenTarget(options_, args_->target, needs_workspace);
}

std::string DefaultRoot() {
  if (const char* root = std::getenv("STAGEFS_ROOT"); root != nullptr && *root != '\0') return root;
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/') {
    return std::string(data) + "/stagefs";
  }
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.local/share/stagefs";
}

Result<TargetName> TargetName::Parse(const std::string& text) {
  const size_t colon = text.find(':');
  STAGEFS_ASSIGN_OR_RETURN(RepositoryName repository, RepositoryName::Parse(text.substr(0, colon)));
  TargetName name{std::move(repository), std::nullopt};
  if (colon != std::string::npos) name.workspace = text.substr(colon + 1);
  return name;
}

Result<Target> OpenTarget(const GlobalOptions& options, const std::string& text, bool needs_workspace) {
  STAGEFS_ASSIGN_OR_RETURN(const TargetName name, TargetName::Parse(text));
  if (needs_workspace && !name.workspace) {
    return Error(ErrorCode::kInvalidArgument, "name the workspace: " + text + ":WORKSPACE");
  }
  Target target;
  auto repository = OpenRepository(options.root, name.repository, options.places);
  if (!repository) {
    if (repository.error().code() != ErrorCode::kNotFound) return repository.error();
    return Error(ErrorCode::kNotFound, "no repository " + name.repository.ToString() + " in " + options.root +
                                           ": stagefs create " + name.repository.ToString());
  }
  target.repository = std::move(*repository);
  if (name.workspace) {
    STAGEFS_ASSIGN_OR_RETURN(target.workspace, Workspace::Open(*target.repository, *name.workspace));
  }
  return target;
}

ExitStatus Report(const Error& error) {
  std::fprintf(stderr, "stagefs: %s\n", error.message().c_str());
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNameTooLong:
    case ErrorCode::kTooLarge:
    case ErrorCode::kNotDirectory:
    case ErrorCode::kIsDirectory:
    case ErrorCode::kPermission: return kExitUsage;
    case ErrorCode::kNotFound: return kExitNotFound;
    case ErrorCode::kExists:
    case ErrorCode::kNotEmpty:
    case ErrorCode::kConflict:
    case ErrorCode::kBusy:
    case ErrorCode::kStale: return kExitConflict;
    case ErrorCode::kReadOnly:
    case ErrorCode::kNoSpace:
    case ErrorCode::kUnsupported:
    case ErrorCode::kCrossDevice:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo: return kExitTrouble;
  }
  return kExitTrouble;
}

void AddCommands(CLI::App& app, const GlobalOptions& options, ExitStatus* status) {
  // Kept by the callbacks for as long as the app lives.
  auto commands = std::make_shared<Commands>(app, options, status);
  commands->Add();
  app.final_callback([commands] {});
}

}  // namespace stagefs
