#include "target.h"

#include "author.h"
#include "stagefs/history.h"
#include "stagefs/repositories.h"

namespace stagefs {
namespace {

Status CheckNamesWhatIsNeeded(const TargetName& name, const std::string& text, TargetNeeds needs) {
  const std::string repository = name.repository.ToString();
  if (needs == TargetNeeds::kWorkspace && name.revision) {
    return Error(ErrorCode::kInvalidArgument,
                 text + " is a commit, which never changes; name a workspace: " + repository + ":WORKSPACE");
  }
  if (needs == TargetNeeds::kWorkspace && !name.workspace) {
    return Error(ErrorCode::kInvalidArgument, "name the workspace: " + text + ":WORKSPACE");
  }
  if (needs == TargetNeeds::kRepository && name.revision) {
    return Error(ErrorCode::kInvalidArgument, "this is about the whole repository: name it as " + repository);
  }
  return {};
}

Result<Revision> ResolveIn(Repository& repository, const std::string& text) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  return ResolveRevision(*reader, text);
}

Result<std::unique_ptr<Workspace>> OpenWorkspace(Repository& repository, const std::string& name) {
  auto workspace = Workspace::Open(repository, name);
  if (!workspace && workspace.error().code() == ErrorCode::kNotFound) {
    const std::string of = repository.name().ToString();
    return Error(ErrorCode::kNotFound, workspace.error().message() + ": stagefs workspace create " + of + ':' + name +
                                           " makes it; stagefs workspace list " + of + " shows those there are");
  }
  if (workspace) {
    (*workspace)->SetActor(DefaultAuthor().name, "command line");
    (*workspace)->AwaitClosed();
  }
  return workspace;
}

}  // namespace

Result<TargetName> TargetName::Parse(const std::string& text) {
  const size_t end = text.find_first_of(":@");
  STAGEFS_ASSIGN_OR_RETURN(RepositoryName repository, RepositoryName::Parse(text.substr(0, end)));
  TargetName name{std::move(repository), std::nullopt, std::nullopt};
  if (end != std::string::npos) (text[end] == ':' ? name.workspace : name.revision) = text.substr(end + 1);
  return name;
}

Result<Target> OpenTarget(const GlobalOptions& globals, const std::string& text, TargetNeeds needs) {
  STAGEFS_ASSIGN_OR_RETURN(const TargetName name, TargetName::Parse(text));
  STAGEFS_RETURN_IF_ERROR(CheckNamesWhatIsNeeded(name, text, needs));
  Target target;
  auto repository = OpenRepository(globals.root, name.repository, globals.places);
  if (!repository) {
    if (repository.error().code() != ErrorCode::kNotFound) return repository.error();
    return Error(ErrorCode::kNotFound, "no repository " + name.repository.ToString() + " in " + globals.root +
                                           ": stagefs create " + name.repository.ToString());
  }
  target.repository = std::move(*repository);
  if (name.workspace) {
    STAGEFS_ASSIGN_OR_RETURN(target.workspace, OpenWorkspace(*target.repository, *name.workspace));
  }
  if (needs == TargetNeeds::kTree && target.workspace) {
    STAGEFS_ASSIGN_OR_RETURN(target.revision, RevisionOf(*target.workspace));
  } else if (needs == TargetNeeds::kTree) {
    STAGEFS_ASSIGN_OR_RETURN(target.revision,
                             ResolveIn(*target.repository, name.revision.value_or(std::string(kDefaultBranch))));
  }
  return target;
}

Result<Revision> OpenBeside(const Target& target, const std::string& text) {
  TargetName name{target.repository->name(), std::nullopt, std::nullopt};
  if (text.starts_with('@')) {
    name.revision = text.substr(1);
  } else if (text.starts_with(':')) {
    name.workspace = text.substr(1);
  } else {
    STAGEFS_ASSIGN_OR_RETURN(name, TargetName::Parse(text));
  }
  if (name.repository.ToString() != target.repository->name().ToString()) {
    return Error(ErrorCode::kInvalidArgument, text + " is of another repository: both are of " +
                                                  target.repository->name().ToString());
  }
  if (!name.workspace) return ResolveIn(*target.repository, name.revision.value_or(std::string(kDefaultBranch)));
  STAGEFS_ASSIGN_OR_RETURN(const auto workspace, OpenWorkspace(*target.repository, *name.workspace));
  return RevisionOf(*workspace);
}

}  // namespace stagefs
