// branch list, create, delete, merge.
#include "author.h"
#include "progress.h"
#include "stagefs/history.h"
#include "stagefs/status_text.h"
#include "target.h"

namespace stagefs {
namespace {

class BranchListCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const auto reader = repository.index().Read();
      if (!reader) return Report(reader.error());
      const auto branches = (*reader)->ListBranches();
      if (!branches) return Report(branches.error());
      for (const BranchInfo& branch : *branches) {
        const auto head = (*reader)->GetCommit(branch.head);
        const std::string id = head && *head ? (*head)->id : "";
        (void)PrintOut(globals.json ? JsonLine({{"branch", branch.name}, {"commit", id}})
                                    : ShowText(branch.name) + "  " + id + "\n");
      }
      return kExitOk;
    });
  }

  std::string target_;
};

class BranchCreateCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("name", &name_, "the new branch").Required();
    options.Add("--from", &from_, "branch or commit to start at").Completing(Completes::kRevision);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const Status created = History(repository).CreateBranch(name_, from_);
      return created ? Answer(globals.json, {{"branch", name_}}) : Report(created.error());
    });
  }

  std::string target_, name_, from_{kDefaultBranch};
};

class BranchDeleteCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("name", &name_, "the branch").Required().Completing(Completes::kBranch);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const Status deleted = History(repository).DeleteBranch(name_);
      return deleted ? Answer(globals.json, {{"branch", name_}}) : Report(deleted.error());
    });
  }

  std::string target_, name_;
};

class BranchMergeCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("base", &base_, "the branch that changes").Required().Completing(Completes::kBranch);
    options.Add("head", &head_, "the branch or commit to bring in").Required().Completing(Completes::kRevision);
    options.Add("-m,--message", &message_, "default: Merge branch 'HEAD' into 'BASE'");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const std::string message = message_.empty() ? MergeMessage(base_, head_) : message_;
      const auto merged = [&] {
        const Waiting waiting("merge", "steps");
        return History(repository).Merge(base_, head_, message, DefaultAuthor());
      }();
      if (!merged) return Report(merged.error());
      return Answer(globals.json, {{"commit", merged->merge.id}}, merged->merge.id + "\n");
    });
  }

  std::string target_, base_, head_, message_;
};

}  // namespace

std::unique_ptr<Command> NewBranchList() { return std::make_unique<BranchListCommand>(); }
std::unique_ptr<Command> NewBranchCreate() { return std::make_unique<BranchCreateCommand>(); }
std::unique_ptr<Command> NewBranchDelete() { return std::make_unique<BranchDeleteCommand>(); }
std::unique_ptr<Command> NewBranchMerge() { return std::make_unique<BranchMergeCommand>(); }

}  // namespace stagefs
