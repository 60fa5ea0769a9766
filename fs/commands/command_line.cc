#include "command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "command_table.h"
#include "stagefs/posix_env.h"
#include "stagefs/scratch_names.h"

namespace stagefs {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  stagefs mount team/images:relabel mnt --create\n"
    "  stagefs put team/images photos/ | stagefs stage team/images:relabel -d train -\n"
    "  stagefs status team/images:relabel\n"
    "  stagefs commit team/images:relabel -m 'Add photos'\n"
    "  stagefs unmount mnt\n\n"
    "Exit status: 0 done; 1 done, but something was refused or fsck found damage; 2 bad usage\n"
    "or input; 3 not found; 4 conflict, busy or there already; 5 disk, kernel or index trouble;\n"
    "6 nothing to commit.\n\n"
    "With --json each command prints one JSON document, those that list print one object a line\n"
    "(NDJSON), and errors and warnings are objects on stderr, with a code.\n\n"
    "Names that are scratch when written through a mount (never staged):\n";

void AddOption(CLI::App* app, const CommandOption& option) {
  CLI::Option* added = std::visit(
      [&](auto* value) {
        if constexpr (std::is_same_v<decltype(value), bool*>) {
          return app->add_flag(option.name, *value, option.help);
        } else {
          return app->add_option(option.name, *value, option.help);
        }
      },
      option.value);
  if (!option.Default().empty()) added->capture_default_str();
  if (option.IsTarget()) added->type_name("");
  if (!option.environment.empty()) added->envname(option.environment);
  if (option.hidden) added->group("");
  added->required(option.required);
}

// How many letters must change, come or go to make `a` into `b`.
size_t EditsBetween(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

class CommandLine {
 public:
  explicit CommandLine(ServerHooks* server) : commands_(KnownCommands(server != nullptr)) {
    std::error_code error;
    globals_.root = std::filesystem::absolute(DefaultRoot(), error).string();
    globals_.server = server;
    app_.set_version_flag("--version", "stagefs " STAGEFS_VERSION);
    CommandOptions options;
    globals_.Declare(options);
    for (const CommandOption& option : options.all()) AddOption(&app_, option);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer(kFooter + std::string(ScratchNamesHelp()));
    for (const KnownCommand& command : commands_) AddCommand(command);
  }

  ExitStatus Run(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return Explain(error);
    }
    if (globals_.json) ComplainInJson();
    std::error_code error;
    globals_.root = std::filesystem::absolute(globals_.root, error).string();
    const ExitStatus status = chosen_->Run(globals_);
    const Status written = FlushOut();
    return written || status != kExitOk ? status : Report(written.error());
  }

 private:
  void AddCommand(const KnownCommand& known) {
    const std::string name = known.row->name;
    const size_t space = name.find(' ');
    CLI::App* parent = space == std::string::npos ? &app_ : app_.get_subcommand(name.substr(0, space));
    CLI::App* added = parent->add_subcommand(name.substr(space + 1), known.row->help);
    added->footer("Example:\n  " + CLI::detail::find_and_replace(known.row->example, "\n", "\n  "));
    for (const CommandOption& option : known.options.all()) AddOption(added, option);
    if (known.command == nullptr) {
      added->require_subcommand(1);
    } else {
      added->callback([this, command = known.command.get()] { chosen_ = command; });
    }
  }

  ExitStatus Explain(const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      app_.exit(error);
      return kExitOk;
    }
    CLI::App* at = &app_;
    while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
    const std::vector<std::string> unknown = app_.remaining(true);
    const bool names_no_command = !at->get_subcommands([](CLI::App*) { return true; }).empty();
    if (globals_.json) {
      ComplainInJson();
      return Report({ErrorCode::kInvalidArgument, error.what()});
    }
    if (names_no_command && !unknown.empty() && unknown.front().front() != '-') {
      std::fputs(UnknownCommand(*at, unknown.front()).c_str(), stderr);
    } else if (names_no_command && at == &app_ && unknown.empty() && error.get_name() == "RequiredError") {
      std::fputs(app_.help().c_str(), stderr);
    } else {
      app_.exit(error);
    }
    return kExitUsage;
  }

  static std::string UnknownCommand(CLI::App& parent, const std::string& word) {
    const std::string before = parent.get_parent() == nullptr ? "" : parent.get_name() + ' ';
    std::string nearest;
    size_t edits_min = 3;
    for (const CLI::App* command : parent.get_subcommands([](CLI::App*) { return true; })) {
      const size_t edits = EditsBetween(word, command->get_name());
      if (edits < edits_min) edits_min = edits, nearest = before + command->get_name();
    }
    return "stagefs: unknown command " + before + word + (nearest.empty() ? "" : ": did you mean " + nearest + "?") +
           "\nRun with --help for more information.\n";
  }

  CLI::App app_{"Mounts a dataset workspace as a folder; what you do in it is staged by content hash.", "stagefs"};
  GlobalOptions globals_;
  const std::vector<KnownCommand> commands_;
  Command* chosen_ = nullptr;
};

}  // namespace

ExitStatus RunCommandLine(int argc, const char* const* argv, ServerHooks* server) {
  return CommandLine(server).Run(argc, argv);
}

}  // namespace stagefs
