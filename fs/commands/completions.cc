#include "completions.h"

#include "frame.h"

namespace stagefs {
namespace {

constexpr const char* kBashFrame =
#include "completion_bash.inc"
    ;
constexpr const char* kZshFrame =
#include "completion_zsh.inc"
    ;
constexpr const char* kFishFrame =
#include "completion_fish.inc"
    ;

// As the frames call it.
const char* KindOf(const CommandOption& option) {
  switch (option.completes) {
    case Completes::kNothing: return "nothing";
    case Completes::kRepository: return "repository";
    case Completes::kRepositoryOrWorkspace: return "target";
    case Completes::kWorkspace: return "workspace";
    case Completes::kBranch: return "branch";
    case Completes::kRevision: return "revision";
    case Completes::kPath: return "path";
    case Completes::kStagedPath: return "staged";
    case Completes::kFile: return "file";
    case Completes::kFolder: return "folder";
    case Completes::kMountpoint: return "mountpoint";
    case Completes::kCommand: return "command";
  }
  return "";
}

// The commands that end in the word after `parent`: "" those of one word, "branch" its own.
using Following = std::vector<const KnownCommand*>;
Following Below(const std::vector<KnownCommand>& commands, const std::string& parent) {
  Following below;
  for (const KnownCommand& command : commands) {
    const std::string name = command.row->name;
    const size_t space = name.find(' ');
    const std::string first = space == std::string::npos ? "" : name.substr(0, space);
    if (first == parent) below.push_back(&command);
  }
  return below;
}

std::string LastWord(const CommandRow& row) {
  const std::string name = row.name;
  return name.substr(name.find(' ') + 1);
}

std::string Joined(const std::string& list, const std::string& word) { return list.empty() ? word : list + ' ' + word; }

// One case of _stagefs_describe in completion.bash.
std::string BashCase(const std::string& name, const Following& below,
                     const CommandOptions& options) {
  std::string subcommands, names, values, arguments;
  for (const KnownCommand* command : below) subcommands = Joined(subcommands, LastWord(*command->row));
  for (const CommandOption& option : options.all()) {
    if (option.hidden) continue;
    if (option.IsArgument()) arguments = Joined(arguments, KindOf(option) + std::string(option.IsList() ? "..." : ""));
    for (const std::string& spelling : option.Spellings()) {
      if (option.IsArgument()) continue;
      names = Joined(names, spelling);
      if (!option.IsFlag()) values = Joined(values, spelling + '=' + KindOf(option));
    }
  }
  return "    '" + name + "') subcommands='" + subcommands + "' options='" + names + "' values='" + values +
         "' arguments='" + arguments + "' ;;\n";
}

// Inside single quotes and a specification of _arguments, where colons and brackets divide.
std::string ZshText(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\'') escaped += "'\\'";
    if (c == ':' || c == '[' || c == ']' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string ZshSpecifications(const CommandOption& option) {
  const std::string value = option.IsFlag() ? "" : ":" + ZshText(option.help) + ":_stagefs_" + KindOf(option);
  if (option.IsArgument()) return " '" + std::string(option.IsList() ? "*" : option.required ? "" : ":") + value + "'";
  std::string specifications;
  for (const std::string& spelling : option.Spellings()) {
    specifications += " '" + spelling + '[' + ZshText(option.help) + ']' + value + "'";
  }
  return specifications;
}

// One function of completion.zsh, and what it says of words that may follow.
std::string ZshFunction(const std::string& name, const Following& below,
                        const CommandOptions& options) {
  std::string function = "_stagefs-" + Filled(name, " ", "-") + "() {\n";
  if (!below.empty()) {
    function += "  local -a commands=(\n";
    for (const KnownCommand* command : below) {
      function += "    '" + LastWord(*command->row) + ':' + ZshText(command->row->help) + "'\n";
    }
    return function + "  )\n  _stagefs_next '" + Filled(name, " ", "-") + "'\n}\n";
  }
  function += "  _arguments -s $global_options";
  for (const CommandOption& option : options.all()) {
    if (!option.hidden) function += " \\\n   " + ZshSpecifications(option);
  }
  return function + "\n}\n";
}

std::string FishText(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

// What completes a value: files by the shell, others by their names.
std::string FishNames(const CommandOption& option, size_t command_words) {
  if (option.completes == Completes::kNothing) return "";
  if (option.completes == Completes::kFile || option.completes == Completes::kFolder) return " -F";
  return std::string(" -a '(__stagefs_names ") + KindOf(option) + ' ' + std::to_string(command_words) + ")'";
}

// The lines for the options and arguments of a command, "" for those of every command.
std::string FishOptions(const std::string& command, const CommandOptions& options) {
  const size_t words = command.empty() ? 0 : command.find(' ') == std::string::npos ? 1 : 2;
  std::string lines;
  int position = 0;
  for (const CommandOption& option : options.all()) {
    if (option.hidden || option.completes == Completes::kCommand) continue;
    if (option.IsArgument()) {
      const std::string names = FishNames(option, words), count = std::to_string(position++);
      if (names.empty()) continue;
      lines += "complete -c stagefs -n '__stagefs_takes " + count + (option.IsList() ? "+ " : " ") + command + '\'' +
               names + '\n';
      continue;
    }
    lines += "complete -c stagefs" + (command.empty() ? "" : " -n '__stagefs_takes any " + command + '\'');
    for (const std::string& spelling : option.Spellings()) {
      const bool is_long = spelling.starts_with("--");
      lines += (is_long ? " -l " : " -s ") + spelling.substr(is_long ? 2 : 1);
    }
    if (!option.IsFlag()) lines += " -r" + FishNames(option, words);
    lines += " -d " + FishText(option.help) + '\n';
  }
  return lines;
}

}  // namespace

std::string BashCompletion(const std::vector<KnownCommand>& commands) {
  GlobalOptions globals;
  CommandOptions options;
  globals.Declare(options);
  std::string cases = BashCase("", Below(commands, ""), options);
  for (const KnownCommand& command : commands) {
    cases += BashCase(command.row->name, Below(commands, command.row->name), command.options);
  }
  return Filled(kBashFrame, "    @COMMANDS@\n", cases);
}

std::string FishCompletion(const std::vector<KnownCommand>& commands) {
  GlobalOptions globals;
  CommandOptions options;
  globals.Declare(options);
  std::string lines = FishOptions("", options), values;
  const auto add_values = [&](const CommandOptions& some) {
    for (const CommandOption& option : some.all()) {
      if (option.IsArgument() || option.IsFlag()) continue;
      for (const std::string& spelling : option.Spellings()) values = Joined(values, spelling);
    }
  };
  add_values(options);
  for (const KnownCommand& command : commands) {
    const std::string name = command.row->name, last = LastWord(*command.row);
    const std::string parent = name == last ? "" : name.substr(0, name.find(' '));
    lines += "complete -c stagefs -n '__stagefs_takes 0 " + parent + "' -a " + last + " -d " +
             FishText(command.row->help) + '\n';
    const std::string helped = parent.empty() ? "help" : "help " + parent;
    lines += "complete -c stagefs -n '__stagefs_takes 0 " + helped + "' -a " + last + '\n';
    lines += FishOptions(name, command.options);
    add_values(command.options);
  }
  return Filled(Filled(kFishFrame, "@VALUES@", values), "@COMMANDS@\n", lines);
}

std::string ZshCompletion(const std::vector<KnownCommand>& commands) {
  GlobalOptions globals;
  CommandOptions options;
  globals.Declare(options);
  std::string global_options, functions = ZshFunction("", Below(commands, ""), options);
  for (const CommandOption& option : options.all()) global_options += "   " + ZshSpecifications(option) + '\n';
  for (const KnownCommand& command : commands) {
    functions += ZshFunction(command.row->name, Below(commands, command.row->name), command.options);
  }
  const std::string frame = Filled(kZshFrame, "    @OPTIONS@\n", global_options);
  return Filled(frame, "@FUNCTIONS@\n", functions);
}

}  // namespace stagefs
