// What a command takes, as data: the parser, the help, the man page and the completions are all made from it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace stagefs {

// What a value is the name of, for those who complete it.
enum class Completes {
  kNothing,
  kRepository,             // NS/REPO
  kRepositoryOrWorkspace,  // NS/REPO, NS/REPO:WORKSPACE or NS/REPO@REV
  kWorkspace,              // NS/REPO:WORKSPACE
  kBranch,                 // Of the repository that the command names.
  kRevision,               // A branch of it, or a commit.
  kPath,                   // A file or folder of the workspace that the command names.
  kStagedPath,             // One that is staged there.
  kFile,
  kFolder,
  kMountpoint,
  kCommand,
};

// Where a value goes. What is there already is the default.
using OptionValue = std::variant<bool*, int64_t*, uint64_t*, std::string*, std::vector<std::string>*>;

struct CommandOption {
  std::string name;  // "-d,--directory"; without a dash an argument by its position.
  OptionValue value;
  std::string help;
  Completes completes = Completes::kNothing;
  bool required = false;
  bool hidden = false;        // Works, and no text tells of it.
  bool needs_server = false;  // Left out of a program without an HTTP server.
  std::string environment;    // The variable that says it where the command line does not.

  CommandOption& Required() { return required = true, *this; }
  CommandOption& Hidden() { return hidden = true, *this; }
  CommandOption& NeedsServer() { return needs_server = true, *this; }
  CommandOption& Environment(std::string variable) { return environment = std::move(variable), *this; }
  CommandOption& Completing(Completes what) { return completes = what, *this; }

  bool IsArgument() const { return name.front() != '-'; }
  bool IsFlag() const { return std::holds_alternative<bool*>(value); }
  bool IsList() const { return std::holds_alternative<std::vector<std::string>*>(value); }
  // A target's help is the form it has: NS/REPO:WORKSPACE.
  bool IsTarget() const;
  // The default as text; empty where nothing is the default.
  std::string Default() const;
  // "-d", "--directory".
  std::vector<std::string> Spellings() const;
};

class CommandOptions {
 public:
  // The variable must live as long as what is made of the option. The reference is good until the next Add.
  CommandOption& Add(std::string name, OptionValue value, std::string help);
  // The first argument of most commands: the repository or workspace it is about.
  void AddRepository(std::string* target);
  void AddWorkspace(std::string* target);
  void AddRepositoryOrWorkspace(std::string* target, std::string form = "NS/REPO or NS/REPO:WORKSPACE");
  void AddTree(std::string* target, std::string form = "NS/REPO@REV or NS/REPO:WORKSPACE");

  const std::vector<CommandOption>& all() const { return all_; }
  void LeaveOutWhatNeedsServer();

 private:
  std::vector<CommandOption> all_;
};

}  // namespace stagefs
