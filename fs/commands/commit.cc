// commit, rebase, log.
#include "stagefs/commit.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

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
      (void)PrintOut("left out: " + ShowText(path) + " (scratch, or a link that was not staged)\n");
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
    options.AddTree(&target_, "NS/REPO, NS/REPO@REV or NS/REPO:WORKSPACE");
    options.Add("path", &path_, "only what changed this file or folder").Completing(Completes::kPath);
    options.Add("--revision", &revision_, "as @REV").Completing(Completes::kRevision).Hidden();
    options.Add("-n,--limit", &limit_, "at most this many");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const std::string text = revision_.empty() ? target_ : target_ + '@' + revision_;
    const auto target = OpenTarget(globals, text, TargetNeeds::kTree);
    if (!target) return Report(target.error());
    const auto path = RepoPath::ParseDirectory(path_);
    if (!path) return Report(path.error());
    History history(*target->repository);
    // Of a workspace: what its branch has meanwhile, too.
    const std::string& from = target->workspace ? target->revision.workspace->branch : target->revision.commit.id;
    const auto log = history.LogOf(target->workspace ? "refs:" + from : from, *path, 0,
                                   static_cast<size_t>(std::max<int64_t>(limit_, 0)));
    if (!log) return Report(log.error());
    const auto tags = history.ListTags();
    if (!tags) return Report(tags.error());
    for (const TagInfo& tag : *tags) tags_[tag.commit].push_back(tag.name);
    for (const CommitInfo& commit : log->commits) Print(commit, globals.json);
    return kExitOk;
  }

  void Print(const CommitInfo& commit, bool json) const {
    const std::string time = FormatTime(commit.time_ns);
    const auto found = tags_.find(commit.seq);
    std::string names, shown;
    for (const std::string& name : found == tags_.end() ? std::vector<std::string>() : found->second) {
      names += (names.empty() ? "" : ",") + JsonString(name);
      shown += "tag " + ShowText(name) + "  ";
    }
    (void)PrintOut(json ? "{\"id\":\"" + commit.id + "\",\"author\":" + JsonString(commit.author) +
                              ",\"email\":" + JsonString(commit.email) + ",\"time\":\"" + time +
                              "\",\"message\":" + JsonString(commit.message) + ",\"tags\":[" + names + "]}\n"
                        : commit.id + "  " + time + "  " + shown + ShowText(commit.author) + "  " +
                              ShowText(commit.message) + "\n");
  }

  std::string target_, path_, revision_;
  int64_t limit_ = 100;
  std::map<CommitSeq, std::vector<std::string>> tags_;
};

}  // namespace

std::unique_ptr<Command> NewCommit() { return std::make_unique<CommitCommand>(); }
std::unique_ptr<Command> NewRebase() { return std::make_unique<RebaseCommand>(); }
std::unique_ptr<Command> NewLog() { return std::make_unique<LogCommand>(); }

}  // namespace stagefs
