// NS/REPO and NS/REPO:WORKSPACE, as commands are told what they are about.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "command.h"
#include "stagefs/repository.h"
#include "stagefs/workspace.h"

namespace stagefs {

struct TargetName {
  RepositoryName repository;
  std::optional<std::string> workspace;
  static Result<TargetName> Parse(const std::string& text);
};

struct Target {
  std::unique_ptr<Repository> repository;
  std::unique_ptr<Workspace> workspace;  // Null without ":WORKSPACE".
};

// Errors: kInvalidArgument for a name that is none, or is a repository's where a workspace is needed; kNotFound.
Result<Target> OpenTarget(const GlobalOptions& globals, const std::string& text, bool needs_workspace);

// Runs `run` with what `target` names, or reports why it cannot be opened.
template <class Run>
ExitStatus WithWorkspace(const GlobalOptions& globals, const std::string& target, Run run) {
  auto opened = OpenTarget(globals, target, true);
  return opened ? run(*opened->workspace) : Report(opened.error());
}

template <class Run>
ExitStatus WithRepository(const GlobalOptions& globals, const std::string& target, Run run) {
  auto opened = OpenTarget(globals, target, false);
  return opened ? run(*opened->repository) : Report(opened.error());
}

}  // namespace stagefs
