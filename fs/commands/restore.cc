// restore, revert, mv: paths of a workspace as they were, and elsewhere.
#include "stagefs/restore.h"

#include "path_list.h"
#include "progress.h"
#include "target.h"

namespace stagefs {
namespace {

ExitStatus AnswerRestored(bool json, const Restored& restored) {
  return Answer(json, {{"staged", restored.staged}, {"removed", restored.removed}},
                std::to_string(restored.staged) + " staged, " + std::to_string(restored.removed) + " removed\n");
}

class RestoreCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options.Add("revision", &revision_, "as @REV: the state to take from").Required().Completing(Completes::kRevision);
    paths_.Declare(options, Completes::kPath, "files and folders; . is everything");
    options.Add("--to", &to_, "put the one path there, where nothing is").Completing(Completes::kPath);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto target = OpenTarget(globals, target_, TargetNeeds::kWorkspace);
    if (!target) return Report(target.error());
    const auto from = OpenBeside(*target, revision_);
    if (!from) return Report(from.error());
    const Waiting waiting("restore", "steps");
    const auto restored = RunFrom(*target->workspace, *from);
    return restored ? AnswerRestored(globals.json, *restored) : Report(restored.error());
  }

  Result<Restored> RunFrom(Workspace& workspace, const Revision& from) const {
    if (paths_.empty()) return Error(ErrorCode::kInvalidArgument, "name the paths to restore; . is everything");
    STAGEFS_ASSIGN_OR_RETURN(const std::vector<RepoPath> paths, paths_.ReadFolders());
    if (to_.empty()) return Restore(workspace, from, paths);
    if (paths.size() != 1) return Error(ErrorCode::kInvalidArgument, "--to takes one path");
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath to, RepoPath::Parse(to_));
    return RestoreTo(workspace, from, paths.front(), to);
  }

  std::string target_, revision_, to_;
  PathList paths_;
};

class RevertCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options.Add("revision", &revision_, "as @REV: the commit whose changes are taken back")
        .Required()
        .Completing(Completes::kRevision);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto target = OpenTarget(globals, target_, TargetNeeds::kWorkspace);
    if (!target) return Report(target.error());
    const auto from = OpenBeside(*target, revision_);
    if (!from) return Report(from.error());
    if (from->workspace) {
      return Report(Error(ErrorCode::kInvalidArgument, revision_ + " is a workspace: name a commit, as @REV"));
    }
    const Waiting waiting("revert", "steps");
    const auto reverted = Revert(*target->workspace, from->commit);
    return reverted ? AnswerRestored(globals.json, *reverted) : Report(reverted.error());
  }

  std::string target_, revision_;
};

class MoveCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options.Add("from", &from_, "file or folder").Required().Completing(Completes::kPath);
    options.Add("to", &to_, "its new path, where nothing is").Required().Completing(Completes::kPath);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      const auto from = RepoPath::Parse(from_);
      if (!from) return Report(from.error());
      const auto to = RepoPath::Parse(to_);
      if (!to) return Report(to.error());
      const Status moved = workspace.MovePath(*from, *to);
      return moved ? Answer(globals.json, {{"from", from_}, {"to", to_}}) : Report(moved.error());
    });
  }

  std::string target_, from_, to_;
};

}  // namespace

std::unique_ptr<Command> NewRestore() { return std::make_unique<RestoreCommand>(); }
std::unique_ptr<Command> NewRevert() { return std::make_unique<RevertCommand>(); }
std::unique_ptr<Command> NewMove() { return std::make_unique<MoveCommand>(); }

}  // namespace stagefs
