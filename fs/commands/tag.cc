// tag create, list, delete.
#include "author.h"
#include "stagefs/history.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

class TagCreateCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddTree(&target_, "NS/REPO@REV: the commit that gets the name");
    options.Add("name", &name_, "the new tag").Required();
    options.Add("-m,--message", &message_, "what it stands for");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto target = OpenTarget(globals, target_, TargetNeeds::kTree);
    if (!target) return Report(target.error());
    if (target->workspace) {
      return Report(Error(ErrorCode::kInvalidArgument,
                          target_ + " is a workspace, which changes: commit it, and tag its branch with @BRANCH"));
    }
    const CommitInfo& commit = target->revision.commit;
    const auto tag = History(*target->repository).CreateTag(name_, commit.id, message_, DefaultAuthor());
    if (!tag) return Report(tag.error());
    return Answer(globals.json, {{"tag", name_}, {"commit", commit.id}}, commit.id + "\n");
  }

  std::string target_, name_, message_;
};

class TagListCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const auto tags = History(repository).ListTags();
      if (!tags) return Report(tags.error());
      const auto reader = repository.index().Read();
      if (!reader) return Report(reader.error());
      for (const TagInfo& tag : *tags) {
        const auto commit = (*reader)->GetCommit(tag.commit);
        if (!commit) return Report(commit.error());
        Print(tag, *commit ? (*commit)->id : "", globals.json);
      }
      return kExitOk;
    });
  }

  static void Print(const TagInfo& tag, const std::string& commit, bool json) {
    const std::string time = FormatTime(tag.time_ns);
    if (json) {
      (void)PrintOut(JsonLine({{"tag", tag.name}, {"commit", commit}, {"time", time}, {"author", tag.author},
                               {"email", tag.email}, {"message", tag.message}}));
      return;
    }
    (void)PrintOut(ShowText(tag.name) + "  " + commit + "  " + time + "  " + ShowText(tag.author) +
                   (tag.message.empty() ? "" : "  " + ShowText(tag.message)) + "\n");
  }

  std::string target_;
};

class TagDeleteCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("name", &name_, "the tag").Required().Completing(Completes::kRevision);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const Status deleted = History(repository).DeleteTag(name_);
      return deleted ? Answer(globals.json, {{"tag", name_}}) : Report(deleted.error());
    });
  }

  std::string target_, name_;
};

}  // namespace

std::unique_ptr<Command> NewTagCreate() { return std::make_unique<TagCreateCommand>(); }
std::unique_ptr<Command> NewTagList() { return std::make_unique<TagListCommand>(); }
std::unique_ptr<Command> NewTagDelete() { return std::make_unique<TagDeleteCommand>(); }

}  // namespace stagefs
