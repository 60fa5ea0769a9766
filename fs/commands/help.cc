// help; and, for `make install`, the man page and the completions.
#include <algorithm>

#include "command_line.h"
#include "command_table.h"
#include "completions.h"
#include "man_page.h"

namespace stagefs {
namespace {

class HelpCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.Add("command", &words_, "one or two words; none means all commands").Completing(Completes::kCommand);
    options.Add("--man", &man_page_, "print the man page").Hidden();
    options.Add("--bash", &bash_, "print the completion for bash").Hidden();
    options.Add("--fish", &fish_, "print the completion for fish").Hidden();
    options.Add("--zsh", &zsh_, "print the completion for zsh").Hidden();
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto commands = KnownCommands(globals.server != nullptr);
    if (man_page_) return Done(PrintOut(ManPage(commands)));
    if (bash_) return Done(PrintOut(BashCompletion(commands)));
    if (fish_) return Done(PrintOut(FishCompletion(commands)));
    if (zsh_) return Done(PrintOut(ZshCompletion(commands)));
    std::vector<const char*> arguments = {"stagefs"};
    std::string name;
    for (const std::string& word : words_) {
      arguments.push_back(word.c_str());
      name += (name.empty() ? "" : " ") + word;
    }
    const auto is_asked = [&](const KnownCommand& known) { return name == known.row->name; };
    if (!name.empty() && std::none_of(commands.begin(), commands.end(), is_asked)) {
      return Report({ErrorCode::kInvalidArgument, "no command " + name + ": stagefs help lists them"});
    }
    arguments.push_back("--help");
    return RunCommandLine(static_cast<int>(arguments.size()), arguments.data(), globals.server);
  }

  std::vector<std::string> words_;
  bool man_page_ = false, bash_ = false, fish_ = false, zsh_ = false;
};

}  // namespace

std::unique_ptr<Command> NewHelp() { return std::make_unique<HelpCommand>(); }

}  // namespace stagefs
