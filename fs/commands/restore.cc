// restore, taken-back, revert, mv: paths of a workspace as they were, and elsewhere.
#include "stagefs/restore.h"

#include "path_list.h"
#include "progress.h"
#include "stagefs/status_text.h"
#include "stagefs/taken_back.h"
#include "stagefs/text.h"
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
    options.Add("revision", &revision_, "as @REV: the state to take from; with --taken-back the first path")
        .Completing(Completes::kRevision);
    paths_.Declare(options, Completes::kPath, "files and folders; . is everything");
    options.Add("--taken-back", &taken_back_, "take from what change number N took back");
    options.Add("--to", &to_, "put the one path there, where nothing is").Completing(Completes::kPath);
    options.Add("--partial", &partial_, "restore those that are there, and name the others");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto target = OpenTarget(globals, target_, TargetNeeds::kWorkspace);
    if (!target) return Report(target.error());
    const Waiting waiting("restore", "steps");
    std::vector<Status> outcomes;
    const auto restored =
        taken_back_ > 0 ? RunTakenBack(*target->workspace) : Run(*target, partial_ ? &outcomes : nullptr);
    if (!restored) return Report(restored.error());
    const int64_t refused = WarnOfRefused(outcomes);
    const ExitStatus status = AnswerRestored(globals.json, *restored);
    return refused > 0 ? kExitPartly : status;
  }

  Result<Restored> RunTakenBack(Workspace& workspace) const {
    if (!to_.empty()) return Error(ErrorCode::kInvalidArgument, "--to goes with a revision");
    STAGEFS_ASSIGN_OR_RETURN(std::vector<RepoPath> paths, paths_.ReadFolders());
    if (!revision_.empty()) {
      STAGEFS_ASSIGN_OR_RETURN(RepoPath path, RepoPath::ParseDirectory(revision_));
      paths.push_back(std::move(path));
    }
    return RestoreTakenBack(workspace, taken_back_, paths);
  }

  Result<Restored> Run(const Target& target, std::vector<Status>* outcomes) const {
    if (revision_.empty()) return Error(ErrorCode::kInvalidArgument, "name the revision to restore from, as @REV");
    STAGEFS_ASSIGN_OR_RETURN(const Revision from, OpenBeside(target, revision_));
    Workspace& workspace = *target.workspace;
    if (paths_.empty()) return Error(ErrorCode::kInvalidArgument, "name the paths to restore; . is everything");
    STAGEFS_ASSIGN_OR_RETURN(const std::vector<RepoPath> paths, paths_.ReadFolders());
    if (to_.empty()) return Restore(workspace, from, paths, outcomes);
    if (paths.size() != 1) return Error(ErrorCode::kInvalidArgument, "--to takes one path");
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath to, RepoPath::Parse(to_));
    return RestoreTo(workspace, from, paths.front(), to);
  }

  std::string target_, revision_, to_;
  PathList paths_;
  int64_t taken_back_ = 0;
  bool partial_ = false;
};

class TakenBackCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options.Add("--after", &after_, "only changes after this number");
    options.Add("-z,--zero", &zero_, "end lines with NUL and print paths as they are");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      return Done(ForEachTakenBack(workspace, after_, [&](const TakenBack& taken, IndexReader& index) {
        return Print(taken, index, globals.json);
      }));
    });
  }

  Status Print(const TakenBack& taken, IndexReader& index, bool json) const {
    STAGEFS_ASSIGN_OR_RETURN(const auto version, index.GetVersion(taken.entry.version));
    if (!version) return {};  // gc took its bytes.
    const std::string hash = ToHex(version->content.sha256), time = FormatTime(taken.taken_ns);
    if (json) {
      return PrintOut("{\"number\":" + std::to_string(taken.number) + "," + JsonPath("path", taken.path) +
                      ",\"sha256\":\"" + hash + "\",\"size\":" + std::to_string(taken.entry.size_bytes) +
                      ",\"time\":\"" + time + "\",\"actor\":" + JsonString(taken.actor) +
                      ",\"door\":" + JsonString(taken.door) + "}\n");
    }
    return PrintOut(std::to_string(taken.number) + "  " + hash + "  " + time + "  " +
                    (taken.actor.empty() ? "-" : ShowText(taken.actor)) + " (" + taken.door + ")  " +
                    (zero_ ? taken.path + '\0' : ShowText(taken.path) + '\n'));
  }

  std::string target_;
  int64_t after_ = 0;
  bool zero_ = false;
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
    moves_.Declare(options);
    options.Add("--partial", &partial_, "move those that can be, and name the others");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      const auto moves = moves_.Read();
      if (!moves) return Report(moves.error());
      std::vector<Status> outcomes;
      const Status moved = workspace.MovePaths(*moves, partial_ ? &outcomes : nullptr);
      if (!moved) return Report(moved.error());
      const int64_t refused = WarnOfRefused(outcomes);
      const ExitStatus status = AnswerMoved(globals.json, *moves, refused);
      return refused > 0 ? kExitPartly : status;
    });
  }

  ExitStatus AnswerMoved(bool json, const std::vector<Workspace::PathMove>& moves, int64_t refused) const {
    if (moves_.is_list()) return Answer(json, {{"moved", static_cast<int64_t>(moves.size()) - refused}});
    return Answer(json, {{"from", moves.front().from.str()}, {"to", moves.front().to.str()}});
  }

  std::string target_;
  MoveList moves_;
  bool partial_ = false;
};

}  // namespace

std::unique_ptr<Command> NewRestore() { return std::make_unique<RestoreCommand>(); }
std::unique_ptr<Command> NewTakenBack() { return std::make_unique<TakenBackCommand>(); }
std::unique_ptr<Command> NewRevert() { return std::make_unique<RevertCommand>(); }
std::unique_ptr<Command> NewMove() { return std::make_unique<MoveCommand>(); }

}  // namespace stagefs
