// commit, rebase, log.
#include "stagefs/commit.h"

#include <algorithm>
#include <optional>

#include "author.h"
#include "progress.h"
#include "stagefs/history.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "stagefs/working_copy.h"
#include "target.h"

namespace stagefs {
namespace {

class CommitCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options.Add("-m,--message", &message_, "what changed and why").Required();
    options.Add("--branch", &branch_, "branch to commit to (default: the workspace's)")
        .Completing(Completes::kBranch);
    options.Add("--author", &author_, "name (default: $STAGEFS_AUTHOR_NAME, else $USER)");
    options.Add("--email", &email_, "address (default: $STAGEFS_AUTHOR_EMAIL)");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      Author author = DefaultAuthor();
      if (!author_.empty()) author.name = author_;
      if (!email_.empty()) author.email = email_;
      const auto result = [&] {
        const Waiting waiting("commit", "steps");
        return CommitStaged(workspace, message_, author, branch_.empty() ? std::nullopt : std::optional(branch_));
      }();
      if (!result) return IsNothingToCommit(result.error()) ? Report(result.error(), kExitNothing)
                                                            : Report(result.error());
      if (globals.json) {
        return Answer(true, {{"commit", result->commit.id}, {"entries", result->entries}, {"others", result->others},
                             {"left_out", result->left_out.total}});
      }
      Print(*result);
      PrintUnfinished(workspace);
      return kExitOk;
    });
  }

  static void Print(const CommitResult& result) {
    (void)PrintOut(result.commit.id + "  " + std::to_string(result.entries) +
                   (result.entries == 1 ? " entry\n" : " entries\n"));
    if (result.others > 0) {
      (void)PrintOut("on top of " + std::to_string(result.others) + " commits of others, which are shown now\n");
    }
    for (const std::string& path : result.left_out.paths) {
      (void)PrintOut("left out: " + ShowText(path) + " (scratch or a symbolic link)\n");
    }
    const int64_t more = result.left_out.total - static_cast<int64_t>(result.left_out.paths.size());
    if (more > 0) (void)PrintOut("left out: " + std::to_string(more) + " more\n");
  }

  static void PrintUnfinished(Workspace& workspace) {
    const auto places = ListWorkingCopyPlaces(workspace.repository());
    if (!places) return;
    for (const WorkingCopyPlace& place : *places) {
      if (place.workspace != workspace.id()) continue;
      (void)PrintOut("left out: " + ShowText(place.path) + " (being written or refused)\n");
    }
  }

  std::string target_, message_, branch_, author_, email_;
};

class RebaseCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddWorkspace(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      const auto commits = [&] {
        const Waiting waiting("rebase", "steps");
        return Rebase(workspace);
      }();
      if (!commits) return Report(commits.error());
      return Answer(globals.json, {{"commits", *commits}}, std::to_string(*commits) + " commits newer than before\n");
    });
  }

  std::string target_;
};

class LogCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepositoryOrWorkspace(&target_);
    options.Add("--revision", &revision_, "branch or commit").Completing(Completes::kRevision);
    options.Add("-n,--limit", &limit_, "at most this many");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto target = OpenTarget(globals, target_, false);
    if (!target) return Report(target.error());
    std::string revision = revision_;
    if (target->workspace && revision_ == kDefaultBranch) {
      const auto info = target->workspace->Info();
      if (!info) return Report(info.error());
      revision = info->branch;
    }
    const auto log =
        History(*target->repository).Log(revision, 0, static_cast<size_t>(std::max<int64_t>(limit_, 0)));
    if (!log) return Report(log.error());
    for (const CommitInfo& commit : log->commits) Print(commit, globals.json);
    return kExitOk;
  }

  static void Print(const CommitInfo& commit, bool json) {
    const std::string time = FormatTime(commit.time_ns);
    (void)PrintOut(json ? "{\"id\":\"" + commit.id + "\",\"author\":" + JsonString(commit.author) +
                              ",\"email\":" + JsonString(commit.email) + ",\"time\":\"" + time +
                              "\",\"message\":" + JsonString(commit.message) + "}\n"
                        : commit.id + "  " + time + "  " + ShowText(commit.author) + "  " +
                              ShowText(commit.message) + "\n");
  }

  std::string target_, revision_{kDefaultBranch};
  int64_t limit_ = 100;
};

}  // namespace

std::unique_ptr<Command> NewCommit() { return std::make_unique<CommitCommand>(); }
std::unique_ptr<Command> NewRebase() { return std::make_unique<RebaseCommand>(); }
std::unique_ptr<Command> NewLog() { return std::make_unique<LogCommand>(); }

}  // namespace stagefs
