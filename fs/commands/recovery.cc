// retry, dismiss, sync: what was refused, what a crash left, and what a crash cannot take.
#include <fcntl.h>

#include "stagefs/posix_env.h"
#include "stagefs/recovered.h"
#include "stagefs/working_copy.h"
#include "stagefs/workspaces.h"
#include "target.h"

namespace stagefs {
namespace {

// Lets a mount of `workspace` do what `request` says. kNotFound: none knows the file.
Status ThroughMount(Workspace& workspace, const std::string& request) {
  STAGEFS_ASSIGN_OR_RETURN(const auto mounts, Workspaces(workspace.repository()).LiveMounts());
  for (const MountRow& mount : mounts) {
    if (mount.workspace != workspace.id()) continue;
    STAGEFS_ASSIGN_OR_RETURN(
        const UniqueFd fd, OpenFd(mount.mountpoint + '/' + std::string(kControlFolder) + "/control", O_WRONLY));
    if (WriteAll(fd.get(), request.c_str(), request.size() + 1)) return {};  // With the NUL: paths may have newlines.
  }
  return Error(ErrorCode::kNotFound, "no mount knows it");
}

Result<std::vector<std::string>> RefusedAndRecovered(Workspace& workspace, const WorkspaceInfo& info) {
  std::vector<std::string> paths;
  STAGEFS_ASSIGN_OR_RETURN(const auto recovered, ListRecovered(workspace.repository(), info));
  for (const RecoveredFile& file : recovered) paths.push_back(file.name);  // Several may have one path.
  STAGEFS_ASSIGN_OR_RETURN(const auto places, ListWorkingCopyPlaces(workspace.repository()));
  for (const WorkingCopyPlace& place : places) {
    if (place.workspace == workspace.id() && place.state == WorkingCopyState::kRefused) paths.push_back(place.path);
  }
  return paths;
}

class RetryOrDismissCommand : public Command {
 public:
  using Act = Status (*)(Repository& repository, const WorkspaceInfo& info, const std::string& path);
  RetryOrDismissCommand(const char* verb, const char* done, Act act) : verb_(verb), done_(done), act_(act) {}

 private:
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options.Add("paths", &paths_, "paths of the workspace, or names in recovered/; none means all")
        .Completing(Completes::kFile);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      const auto info = workspace.Info();
      if (!info) return Report(info.error());
      const auto paths = paths_.empty() ? RefusedAndRecovered(workspace, *info) : paths_;
      if (!paths) return Report(paths.error());
      for (const std::string& path : *paths) {
        if (ThroughMount(workspace, verb_ + ' ' + path)) continue;
        const Status here = act_(workspace.repository(), *info, path);
        if (!here) return Report(here.error().In(path));
      }
      return Answer(globals.json, {{done_.c_str(), paths->size()}}, std::to_string(paths->size()) + ' ' + done_ + '\n');
    });
  }

  const std::string verb_, done_;
  const Act act_;
  std::string target_;
  std::vector<std::string> paths_;
};

class SyncCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const Status synced = repository.SyncAll();
      return synced ? Answer(globals.json, {{"repository", target_}}) : Report(synced.error());
    });
  }

  std::string target_;
};

}  // namespace

std::unique_ptr<Command> NewRetry() {
  return std::make_unique<RetryOrDismissCommand>("retry", "staged", RetryRecovered);
}
std::unique_ptr<Command> NewDismiss() {
  return std::make_unique<RetryOrDismissCommand>("dismiss", "dismissed", DismissRecovered);
}
std::unique_ptr<Command> NewSync() { return std::make_unique<SyncCommand>(); }

}  // namespace stagefs
