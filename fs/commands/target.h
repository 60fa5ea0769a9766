// NS/REPO, NS/REPO:WORKSPACE and NS/REPO@REV, as commands are told what they are about.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "command.h"
#include "stagefs/repository.h"
#include "stagefs/revision.h"
#include "stagefs/workspace.h"

namespace stagefs {

struct TargetName {
  RepositoryName repository;
  std::optional<std::string> workspace, revision;  // One of them at most.
  static Result<TargetName> Parse(const std::string& text);
};

// What a command needs to be named.
enum class TargetNeeds {
  kRepository,  // The repository, whichever of its workspaces is named, too.
  kWorkspace,
  kTree,  // A workspace or a revision; where neither is, the head of kDefaultBranch.
};

struct Target {
  std::unique_ptr<Repository> repository;
  std::unique_ptr<Workspace> workspace;  // ":WORKSPACE".
  // TargetNeeds::kTree: what has the tree.
  Revision revision;
};

// Errors: kInvalidArgument for a name that is none, or names what the command is not about; kNotFound.
Result<Target> OpenTarget(const GlobalOptions& globals, const std::string& text, TargetNeeds needs);
// What ":WORKSPACE", "@REV" or the whole name of either says beside `target`: another tree of the same repository.
Result<Revision> OpenBeside(const Target& target, const std::string& text);

// Runs `run` with what `target` names, or reports why it cannot be opened.
template <class Run>
ExitStatus WithWorkspace(const GlobalOptions& globals, const std::string& target, Run run) {
  auto opened = OpenTarget(globals, target, TargetNeeds::kWorkspace);
  return opened ? run(*opened->workspace) : Report(opened.error());
}

template <class Run>
ExitStatus WithRepository(const GlobalOptions& globals, const std::string& target, Run run) {
  auto opened = OpenTarget(globals, target, TargetNeeds::kRepository);
  return opened ? run(*opened->repository) : Report(opened.error());
}

}  // namespace stagefs
