// workspace create, list, delete.
#include "stagefs/history.h"
#include "stagefs/repositories.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "stagefs/workspaces.h"
#include "target.h"

namespace stagefs {
namespace {

class WorkspaceCreateCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepositoryOrWorkspace(&target_, "NS/REPO or NS/REPO:NAME");
    options.Add("--branch", &branch_, "branch to start at").Completing(Completes::kBranch);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto name = TargetName::Parse(target_);
    if (!name) return Report(name.error());
    const auto repository = OpenRepository(globals.root, name->repository, globals.places);
    if (!repository) return Report(repository.error());
    const auto info = Workspaces(**repository).Create(branch_, name->workspace, std::nullopt);
    if (!info) return Report(info.error());
    return Answer(globals.json, {{"id", info->uid}, {"branch", info->branch}}, info->uid + "\n");
  }

  std::string target_, branch_{kDefaultBranch};
};

class WorkspaceListCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const auto all = Workspaces(repository).List();
      if (!all) return Report(all.error());
      for (const WorkspaceInfo& info : *all) {
        (void)PrintOut(globals.json ? "{\"id\":" + JsonString(info.uid) +
                                          ",\"name\":" + (info.name ? JsonString(*info.name) : "null") +
                                          ",\"branch\":" + JsonString(info.branch) + "}\n"
                                    : info.uid + "  " + ShowText(info.name.value_or("-")) + "  " +
                                          ShowText(info.branch) + "\n");
      }
      return kExitOk;
    });
  }

  std::string target_;
};

class WorkspaceDeleteCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options.Add("--force", &force_, "also while it is mounted");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto name = TargetName::Parse(target_);
    if (!name) return Report(name.error());
    if (!name->workspace) return Report({ErrorCode::kInvalidArgument, "name the workspace: NS/REPO:WORKSPACE"});
    const auto repository = OpenRepository(globals.root, name->repository, globals.places);
    if (!repository) return Report(repository.error());
    const Status deleted = Workspaces(**repository).Delete(*name->workspace, force_);
    return deleted ? Answer(globals.json, {{"workspace", *name->workspace}}) : Report(deleted.error());
  }

  std::string target_;
  bool force_ = false;
};

}  // namespace

std::unique_ptr<Command> NewWorkspaceCreate() { return std::make_unique<WorkspaceCreateCommand>(); }
std::unique_ptr<Command> NewWorkspaceList() { return std::make_unique<WorkspaceListCommand>(); }
std::unique_ptr<Command> NewWorkspaceDelete() { return std::make_unique<WorkspaceDeleteCommand>(); }

}  // namespace stagefs
