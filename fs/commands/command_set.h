// How the commands are made: one object that adds them all and holds what the command line said.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands.h"
#include "stagefs/posix_env.h"
#include "stagefs/history.h"
#include "stagefs/repositories.h"
#include "stagefs/upkeep.h"

namespace stagefs {

Status PrintOut(std::string_view text);
// `text` as a JSON string.
std::string JsonText(const std::string& text);
ExitStatus Done(const Status& status);
// From the environment: $STAGEFS_AUTHOR_NAME, $STAGEFS_AUTHOR_EMAIL, else $USER.
Author DefaultAuthor();

class Commands {
 public:
  Commands(CLI::App& app, const GlobalOptions& options, ExitStatus* status)
      : app_(app), options_(options), status_(status) {}
  void Add();

 private:
  // What a command was given; one set serves all, since one command runs.
  struct Arguments {
    std::string target, name, from = std::string(kDefaultBranch), message, branch, directory, author, email;
    std::vector<std::string> paths;
    std::string manifest = "-", path, id;
    bool update_timestamp = false, atomic = false, expand = false, zero = false, force = false, all = false;
    bool embedded = false;
    int64_t limit = 100, keep_days = kGcKeepDaysDefault;
  };

  CLI::App* Command(CLI::App& parent, const char* name, const char* what,
                    const std::function<ExitStatus(Commands&)>& run, const char* example);
  CLI::Option* AddTarget(CLI::App* command, const char* form);
  Result<Target> Open(bool needs_workspace);

  template <class Run>
  ExitStatus WithWorkspace(Run run) {
    auto target = Open(true);
    if (!target) return Report(target.error());
    return run(*target->workspace);
  }

  template <class Run>
  ExitStatus WithRepository(Run run) {
    auto target = Open(false);
    if (!target) return Report(target.error());
    return run(*target->repository);
  }

  // repository_commands.cc
  void AddRepositories();
  ExitStatus Create();
  ExitStatus Delete();
  ExitStatus ListRepositories();
  ExitStatus MoveRepository();
  void AddBranches();
  ExitStatus ListBranches();
  ExitStatus CreateBranch();
  ExitStatus MergeBranch();
  ExitStatus DeleteBranch();
  void AddPut();
  ExitStatus Put();
  ExitStatus ImportOxenVersions();
  void AddTrees();
  ExitStatus List();
  ExitStatus PrintEntry(IndexReader& reader, const Named<Entry>& named);
  ExitStatus Log();
  void AddMaintenance();
  ExitStatus Fsck();
  ExitStatus Gc();
  ExitStatus Doctor();

  // workspace_commands.cc
  void AddWorkspaces();
  ExitStatus CreateWorkspace();
  ExitStatus ListWorkspaces();
  ExitStatus DeleteWorkspace();
  void AddStage();
  ExitStatus Stage();
  Result<UniqueFd> OpenManifest(const Repository& repository);
  void PrintReport(const StageReport& report);
  ExitStatus Remove();
  void AddStatus();
  ExitStatus ShowStatus();
  ExitStatus PrefetchFolder();
  ExitStatus Diff();
  ExitStatus Unstage();
  void AddCommit();
  ExitStatus Commit();
  ExitStatus Rebase();
  void AddRecovery();
  ExitStatus Sync();
  ExitStatus RetryOrDismiss();
  Status ThroughMount(Workspace& workspace, const std::string& line);

  CLI::App& app_;
  const GlobalOptions& options_;
  ExitStatus* const status_;
  // Outlives the parsing, which runs after AddCommands() returned.
  const std::shared_ptr<Arguments> args_ = std::make_shared<Arguments>();
};

}  // namespace stagefs
