#include "target.h"

#include "stagefs/repositories.h"

namespace stagefs {

Result<TargetName> TargetName::Parse(const std::string& text) {
  const size_t colon = text.find(':');
  STAGEFS_ASSIGN_OR_RETURN(RepositoryName repository, RepositoryName::Parse(text.substr(0, colon)));
  TargetName name{std::move(repository), std::nullopt};
  if (colon != std::string::npos) name.workspace = text.substr(colon + 1);
  return name;
}

Result<Target> OpenTarget(const GlobalOptions& globals, const std::string& text, bool needs_workspace) {
  STAGEFS_ASSIGN_OR_RETURN(const TargetName name, TargetName::Parse(text));
  if (needs_workspace && !name.workspace) {
    return Error(ErrorCode::kInvalidArgument, "name the workspace: " + text + ":WORKSPACE");
  }
  Target target;
  auto repository = OpenRepository(globals.root, name.repository, globals.places);
  if (!repository) {
    if (repository.error().code() != ErrorCode::kNotFound) return repository.error();
    return Error(ErrorCode::kNotFound, "no repository " + name.repository.ToString() + " in " + globals.root +
                                           ": stagefs create " + name.repository.ToString());
  }
  target.repository = std::move(*repository);
  if (name.workspace) {
    auto workspace = Workspace::Open(*target.repository, *name.workspace);
    if (!workspace && workspace.error().code() == ErrorCode::kNotFound) {
      return Error(ErrorCode::kNotFound, workspace.error().message() + ": stagefs workspace create " + text +
                                             " makes it; stagefs workspace list " + name.repository.ToString() +
                                             " shows those there are");
    }
    STAGEFS_ASSIGN_OR_RETURN(target.workspace, std::move(workspace));
    target.workspace->AwaitClosed();
  }
  return target;
}

}  // namespace stagefs
