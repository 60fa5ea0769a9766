// Paths that a command is given, as arguments or as a list in a file, and what became of them.
#pragma once

#include <string>
#include <vector>

#include "options.h"
#include "stagefs/repo_path.h"
#include "stagefs/workspace.h"

namespace stagefs {

class PathList {
 public:
  // Adds the arguments, --from and -z.
  void Declare(CommandOptions& options, Completes completes, const std::string& help);

  bool empty() const { return paths_.empty() && from_.empty(); }
  // kInvalidArgument for what is no path, naming it, and where there are both arguments and a list.
  Result<std::vector<RepoPath>> Read() const;
  // The same where "" and "." are the root.
  Result<std::vector<RepoPath>> ReadFolders() const;

 private:
  template <class Parse>
  Result<std::vector<RepoPath>> ReadAs(Parse parse) const;
  // As they were given.
  Result<std::vector<std::string>> ReadTexts() const;

  std::vector<std::string> paths_;
  std::string from_;
  bool zero_ = false;
};

// Where paths go: two arguments, or a list of FROM, a tab and TO on each line; with -z FROM and TO, each with a NUL
// behind it, one after the other.
class MoveList {
 public:
  void Declare(CommandOptions& options);

  bool is_list() const { return !list_.empty(); }
  // As PathList::Read(), naming the line.
  Result<std::vector<Workspace::PathMove>> Read() const;

 private:
  std::string from_, to_, list_;
  bool zero_ = false;
};

// Warns of each error; how many there are.
int64_t WarnOfRefused(const std::vector<Status>& outcomes);

}  // namespace stagefs
