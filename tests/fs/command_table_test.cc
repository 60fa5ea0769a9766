// That every command is told of wherever commands are told of.
#include "commands/command_table.h"

#include <set>

#include "commands/completions.h"
#include "commands/man_page.h"
#include "tests/catch.h"

using namespace stagefs;

namespace {

std::string WithoutEscapes(std::string text) {
  std::erase(text, '\\');
  return text;
}

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("Commands: each has a name of its own, a line of help and an example of itself", "[fs][commands]") {
  std::set<std::string> names;
  for (const KnownCommand& known : KnownCommands(true)) {
    const std::string name = known.row->name, help = known.row->help;
    INFO(name);
    CHECK(names.insert(name).second);
    CHECK_FALSE(help.empty());
    CHECK(help.find('\n') == std::string::npos);
    CHECK(help.back() != '.');
    CHECK(Has(known.row->example, "stagefs " + name));
    const size_t space = name.find(' ');
    CHECK((space == std::string::npos || names.count(name.substr(0, space)) == 1));
    CHECK((known.command == nullptr) == (known.row->make == nullptr));
  }
}

TEST_CASE("Commands: each option has help, and arguments that may be missing come last", "[fs][commands]") {
  for (const KnownCommand& known : KnownCommands(true)) {
    bool optional = false;
    for (const CommandOption& option : known.options.all()) {
      INFO(known.row->name << ' ' << option.name);
      CHECK_FALSE(option.help.empty());
      if (!option.IsArgument()) continue;
      CHECK_FALSE((optional && option.required));
      optional = !option.required;
    }
  }
}

TEST_CASE("Commands: the man page and the completions tell of each and of its options", "[fs][commands]") {
  const auto commands = KnownCommands(true);
  const std::string man_page = WithoutEscapes(ManPage(commands));
  const std::string bash = BashCompletion(commands), zsh = ZshCompletion(commands);
  for (const KnownCommand& known : commands) {
    const std::string name = known.row->name;
    INFO(name);
    CHECK((known.command == nullptr || Has(man_page, "\nfB" + name + "fR")));
    CHECK((known.command == nullptr || Has(man_page, known.row->example)));
    CHECK(Has(bash, "    '" + name + "')"));
    CHECK(Has(zsh, '\'' + name.substr(name.find(' ') + 1) + ':'));
    for (const CommandOption& option : known.options.all()) {
      if (option.IsArgument() || option.hidden) continue;
      for (const std::string& spelling : option.Spellings()) {
        INFO(spelling);
        CHECK(Has(man_page, "fB" + spelling + "fR"));
        CHECK(Has(bash, spelling));
        CHECK(Has(zsh, '\'' + spelling + '['));
      }
    }
  }
}

TEST_CASE("Commands: a program without a server tells of none", "[fs][commands]") {
  const auto commands = KnownCommands(false);
  CHECK(commands.size() == KnownCommands(true).size() - 3);
  for (const std::string& text : {ManPage(commands), BashCompletion(commands), ZshCompletion(commands)}) {
    CHECK_FALSE(Has(text, "listen"));
    CHECK_FALSE(Has(text, "token"));
    CHECK_FALSE(Has(text, "S@"));
  }
}
