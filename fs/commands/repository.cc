// create, migrate, list, delete: repositories as a whole.
#include <optional>

#include "progress.h"
#include "stagefs/migrate.h"
#include "stagefs/repositories.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

class CreateCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto name = RepositoryName::Parse(target_);
    if (!name) return Report(name.error());
    const Status created = CreateRepository(globals.root, *name, globals.places);
    return created ? Answer(globals.json, {{"repository", name->ToString()}}) : Report(created.error());
  }

  std::string target_;
};

class MigrateCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("--embedded", &embedded_, "back below the root: SQLite, and a folder of versions");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto name = RepositoryName::Parse(target_);
    if (!name) return Report(name.error());
    const auto to = embedded_ ? std::nullopt : std::optional(globals.places);
    if (to && to->index.empty() && to->versions.empty()) {
      return Report({ErrorCode::kInvalidArgument, "say where to: --index URL, --versions URL, or --embedded"});
    }
    Progress progress("migrate", "versions");
    const auto report =
        Migrate(globals.root, *name, to, [&](int64_t done, int64_t total) { progress.Show(done, total); });
    if (!report) return Report(report.error());
    std::string left, text;
    for (const std::string& what : report->left) {
      text += "left as it was, not used any more: " + ShowText(what) + '\n';
      left += (left.empty() ? "" : ",") + JsonString(what);
    }
    text += std::to_string(report->versions) + " versions copied (" + std::to_string(report->bytes) + " bytes), " +
            std::to_string(report->rows) + " rows; what was before is still there\n";
    return Answer(globals.json, {{"versions", report->versions}, {"bytes", report->bytes}, {"rows", report->rows},
                                 JsonMember::Raw("left", '[' + left + ']')}, text);
  }

  std::string target_;
  bool embedded_ = false;
};

class ListCommand : public Command {
  void Declare(CommandOptions&) override {}

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto names = ListRepositories(globals.root);
    if (!names) return Report(names.error());
    for (const RepositoryName& name : *names) {
      const std::string text = name.ToString();
      (void)PrintOut(globals.json ? JsonLine({{"repository", text}}) : text + "\n");
    }
    return kExitOk;
  }
};

class DeleteCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto name = RepositoryName::Parse(target_);
    if (!name) return Report(name.error());
    const Status deleted = DeleteRepository(globals.root, *name, globals.places);
    return deleted ? Answer(globals.json, {{"repository", name->ToString()}}) : Report(deleted.error());
  }

  std::string target_;
};

}  // namespace

std::unique_ptr<Command> NewCreate() { return std::make_unique<CreateCommand>(); }
std::unique_ptr<Command> NewMigrate() { return std::make_unique<MigrateCommand>(); }
std::unique_ptr<Command> NewList() { return std::make_unique<ListCommand>(); }
std::unique_ptr<Command> NewDelete() { return std::make_unique<DeleteCommand>(); }

}  // namespace stagefs
