// create, migrate, list, delete: repositories as a whole.
#include <optional>

#include "progress.h"
#include "stagefs/migrate.h"
#include "stagefs/repositories.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

class CreateCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto name = RepositoryName::Parse(target_);
    return name ? Done(CreateRepository(globals.root, *name, globals.places)) : Report(name.error());
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
    for (const std::string& what : report->left) (void)PrintOut("left as it was, not used any more: " + what + "\n");
    return Done(PrintOut(std::to_string(report->versions) + " versions copied (" + std::to_string(report->bytes) +
                         " bytes), " + std::to_string(report->rows) + " rows; what was before is still there\n"));
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
      (void)PrintOut((globals.json ? "{\"repository\":" + JsonString(text) + "}" : text) + "\n");
    }
    return kExitOk;
  }
};

class DeleteCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto name = RepositoryName::Parse(target_);
    return name ? Done(DeleteRepository(globals.root, *name, globals.places)) : Report(name.error());
  }

  std::string target_;
};

}  // namespace

std::unique_ptr<Command> NewCreate() { return std::make_unique<CreateCommand>(); }
std::unique_ptr<Command> NewMigrate() { return std::make_unique<MigrateCommand>(); }
std::unique_ptr<Command> NewList() { return std::make_unique<ListCommand>(); }
std::unique_ptr<Command> NewDelete() { return std::make_unique<DeleteCommand>(); }

}  // namespace stagefs
