// stage, rm, unstage.
#include <cstdio>

#include "manifest_file.h"
#include "path_list.h"
#include "progress.h"
#include "stagefs/byte_source.h"
#include "stagefs/stage_report.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

class StageCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options
        .Add("manifest", &manifest_,
             "JSON, NDJSON, checksum lines, CSV or TSV, also with gzip or zstd; - reads standard input")
        .Completing(Completes::kFile);
    options.Add("-d,--directory", &directory_, "folder of the workspace to stage into")
        .Completing(Completes::kPath);
    options.Add("--update-timestamp", &update_timestamp_, "stage unchanged files too, with time now");
    options.Add("--atomic", &atomic_, "stage nothing if any entry is refused");
    options.Add("--dry-run", &dry_run_, "only say what would become of each entry: nothing is changed");
    options.Add("--path-column", &path_column_, "column of a table that holds the paths");
    options.Add("--hash-column", &hash_column_, "column of a table that holds the hashes");
    options.Add("--strip-prefix", &strip_prefix_, "taken off each path; paths that do not begin with it are refused");
    options.Add("--backslash", &backslash_, "paths are separated by backslashes, too");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      const auto report = Stage(workspace);
      if (!report) return Report(report.error());
      if (!dry_run_) Keep(workspace, *report);
      Print(*report, globals.json);
      return report->refused.size() == 0 ? kExitOk : kExitPartly;
    });
  }

  // What is staged is staged, also where its report cannot be kept.
  static void Keep(Workspace& workspace, const StageReport& report) {
    if (const auto kept = workspace.KeepReport(report); !kept) {
      Warn("staged, but last.json does not show it: " + kept.error().message());
    }
  }

  Result<StageReport> Stage(Workspace& workspace) {
    Workspace::ManifestRequest request;
    STAGEFS_ASSIGN_OR_RETURN(request.directory, RepoPath::ParseDirectory(directory_));
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd file, OpenManifest(manifest_, workspace.repository()));
    const auto source = NewFileSource(file.get());
    Progress progress("stage", "entries");
    request.source = source.get();
    request.format = manifest_ == "-" ? ManifestFormat::kSniff : ManifestFormatOf(manifest_);
    request.options.atomic = atomic_ || IsAtomicName(manifest_);
    request.options.update_timestamp = update_timestamp_;
    request.dry_run = dry_run_;
    request.options.path_column = path_column_;
    request.options.hash_column = hash_column_;
    request.options.strip_prefix = strip_prefix_;
    request.options.backslash = backslash_;
    request.progress = [&](int64_t entries) { progress.Show(entries); };
    return workspace.StageManifest(request);
  }

  static void Print(const StageReport& report, bool json) {
    if (json) {
      (void)WriteReportJson(report, PrintOut);
      return;
    }
    (void)PrintOut(std::to_string(report.added) + " added, " + std::to_string(report.modified) + " modified, " +
                   std::to_string(report.unchanged) + " unchanged, " + std::to_string(report.refused.size()) +
                   " refused" +
                   (report.replaced.size() > 0 ? ", " + std::to_string(report.replaced.size()) + " replaced" : "") +
                   (report.Withdrawn() ? "; atomic: nothing was staged\n"
                    : report.dry_run   ? "; dry run: nothing was staged\n"
                                       : "\n"));
    if (!report.columns.empty()) std::fprintf(stderr, "columns: %s\n", ShowText(report.columns).c_str());
    SayRefused(report.refused, report.counts_entries);
  }

  std::string target_, manifest_ = "-", directory_;
  std::string path_column_, hash_column_, strip_prefix_;
  bool update_timestamp_ = false, atomic_ = false, backslash_ = false, dry_run_ = false;
};

class RemoveCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    paths_.Declare(options, Completes::kPath, "paths of the workspace");
    options.Add("--partial", &partial_, "remove those that are there, and name the others");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      if (paths_.empty()) return Report(Error(ErrorCode::kInvalidArgument, "name the paths to remove"));
      const auto paths = paths_.Read();
      if (!paths) return Report(paths.error());
      std::vector<Status> outcomes;
      const Status removed = workspace.RemovePaths(*paths, partial_ ? &outcomes : nullptr);
      if (!removed) return Report(removed.error());
      const int64_t refused = WarnOfRefused(outcomes);
      const ExitStatus status = Answer(globals.json, {{"removed", static_cast<int64_t>(paths->size()) - refused}});
      return refused > 0 ? kExitPartly : status;
    });
  }

  std::string target_;
  PathList paths_;
  bool partial_ = false;
};

class UnstageCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    paths_.Declare(options, Completes::kStagedPath, "paths of the workspace; a folder means everything in it");
    options.Add("--all", &all_, "everything");
    options.Add("--partial", &partial_, "unstage those that are staged, and name the others");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      std::vector<Status> outcomes;
      const auto count = Unstage(workspace, partial_ ? &outcomes : nullptr);
      if (!count) return Report(count.error());
      const int64_t refused = WarnOfRefused(outcomes);
      const ExitStatus status =
          Answer(globals.json, {{"unstaged", *count}}, std::to_string(*count) + " unstaged\n");
      return refused > 0 ? kExitPartly : status;
    });
  }

  Result<int64_t> Unstage(Workspace& workspace, std::vector<Status>* outcomes) const {
    if (all_ == !paths_.empty()) return Error(ErrorCode::kInvalidArgument, "name the paths to unstage, or --all");
    if (all_) return workspace.Unstage({RepoPath()});
    STAGEFS_ASSIGN_OR_RETURN(const auto paths, paths_.Read());
    return workspace.Unstage(paths, outcomes);
  }

  std::string target_;
  PathList paths_;
  bool all_ = false, partial_ = false;
};

}  // namespace

std::unique_ptr<Command> NewStage() { return std::make_unique<StageCommand>(); }
std::unique_ptr<Command> NewRemove() { return std::make_unique<RemoveCommand>(); }
std::unique_ptr<Command> NewUnstage() { return std::make_unique<UnstageCommand>(); }

}  // namespace stagefs
