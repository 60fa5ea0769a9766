// Workspaces: what is staged in them, and what becomes of it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "command_set.h"

#include "prefetch.h"
#include "progress.h"
#include "stagefs/byte_source.h"
#include "stagefs/status_text.h"
#include "stagefs/working_copy.h"
#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "stagefs/repositories.h"
#include "stagefs/status.h"
#include "stagefs/workspaces.h"

namespace stagefs {

void Commands::AddWorkspaces() {
  CLI::App* workspace = app_.add_subcommand("workspace", "Create, list and delete workspaces");
  workspace->require_subcommand(1);
  CLI::App* create = Command(*workspace, "create", "Create a workspace on a branch and print its id",
                             &Commands::CreateWorkspace, "stagefs workspace create team/images:relabel");
  AddTarget(create, "NS/REPO or NS/REPO:NAME");
  create->add_option("--branch", args_->from, "branch to start at")->capture_default_str();
  AddTarget(Command(*workspace, "list", "List workspaces", &Commands::ListWorkspaces,
                    "stagefs workspace list team/images"),
            "NS/REPO");
  CLI::App* remove = Command(*workspace, "delete", "Delete a workspace and what is staged in it",
                             &Commands::DeleteWorkspace, "stagefs workspace delete team/images:relabel");
  AddTarget(remove, "NS/REPO:WORKSPACE");
  remove->add_flag("--force", args_->force, "also while it is mounted");
}

ExitStatus Commands::CreateWorkspace() {
  const auto name = TargetName::Parse(args_->target);
  if (!name) return Report(name.error());
  auto repository = OpenRepository(options_.root, name->repository, options_.places);
  if (!repository) return Report(repository.error());
  const auto info = Workspaces(**repository).Create(args_->from, name->workspace, std::nullopt);
  if (!info) return Report(info.error());
  return Done(PrintOut(info->uid + "\n"));
}

ExitStatus Commands::ListWorkspaces() {
  return WithRepository([&](Repository& repository) {
    const auto reader = repository.index().Read();
    if (!reader) return Report(reader.error());
    const auto all = (*reader)->ListWorkspaces();
    if (!all) return Report(all.error());
    for (const WorkspaceInfo& info : *all) {
      (void)PrintOut(options_.json ? "{\"id\":" + JsonText(info.uid) +
                                         ",\"name\":" + (info.name ? JsonText(*info.name) : "null") +
                                         ",\"branch\":" + JsonText(info.branch) + "}\n"
                                   : info.uid + "  " + info.name.value_or("-") + "  " + info.branch + "\n");
    }
    return kExitOk;
  });
}

ExitStatus Commands::DeleteWorkspace() {
  const auto name = TargetName::Parse(args_->target);
  if (!name) return Report(name.error());
  if (!name->workspace) return Report({ErrorCode::kInvalidArgument, "name the workspace: NS/REPO:WORKSPACE"});
  auto repository = OpenRepository(options_.root, name->repository, options_.places);
  if (!repository) return Report(repository.error());
  return Done(Workspaces(**repository).Delete(*name->workspace, args_->force));
}

void Commands::AddStage() {
  CLI::App* stage = Command(app_, "stage", "Stage what a manifest lists", &Commands::Stage,
                            "stagefs put team/images photos/ | stagefs stage team/images:relabel -d train -");
  AddTarget(stage, "NS/REPO:WORKSPACE");
  stage
      ->add_option("manifest", args_->manifest,
                   "JSON, NDJSON, checksum lines, CSV or TSV; - reads standard input")
      ->capture_default_str();
  stage->add_option("-d,--directory", args_->directory, "folder of the workspace to stage into");
  stage->add_flag("--update-timestamp", args_->update_timestamp, "stage unchanged files too, with time now");
  stage->add_flag("--atomic", args_->atomic, "stage nothing if any entry is refused");
  CLI::App* remove = Command(app_, "rm", "Stage the removal of files and folders", &Commands::Remove,
                             "stagefs rm team/images:relabel train/bad.jpg");
  AddTarget(remove, "NS/REPO:WORKSPACE");
  remove->add_option("paths", args_->paths, "paths of the workspace")->required();
}

ExitStatus Commands::Stage() {
  return WithWorkspace([&](Workspace& workspace) {
    const auto directory = RepoPath::ParseDirectory(args_->directory);
    if (!directory) return Report(directory.error());
    const auto file = OpenManifest(workspace.repository());
    if (!file) return Report(file.error());
    const auto source = NewFileSource(file->get());
    Progress progress("stage", "entries");
    Workspace::ManifestRequest request;
    request.source = source.get();
    request.format = args_->manifest == "-" ? ManifestFormat::kSniff : ManifestFormatOf(args_->manifest);
    request.directory = *directory;
    request.options = {args_->atomic, args_->update_timestamp};
    request.progress = [&](int64_t entries) { progress.Show(entries); };
    const auto report = workspace.StageManifest(request);
    if (!report) return Report(report.error());
    // What is staged is staged, also where its report cannot be kept.
    if (const auto kept = workspace.KeepReport(*report); !kept) {
      std::fprintf(stderr, "stagefs: staged, but last.json does not show it: %s\n", kept.error().message().c_str());
    }
    PrintReport(*report);
    return report->refused.size() == 0 ? kExitOk : kExitPartly;
  });
}

Result<UniqueFd> Commands::OpenManifest(const Repository& repository) {
  if (args_->manifest != "-") return OpenFd(args_->manifest, O_RDONLY);
  // Read once for its options and once for its entries: a pipe is kept in a file.
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd copy, OpenUnnamed(repository.incoming()));
  std::vector<char> buffer(256 << 10);
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0) return ErrnoError("read standard input");
    if (got == 0) return copy;
    STAGEFS_RETURN_IF_ERROR(WriteAll(copy.get(), buffer.data(), static_cast<size_t>(got)));
  }
}

void Commands::PrintReport(const StageReport& report) {
  if (options_.json) {
    (void)WriteReportJson(report, PrintOut);
    return;
  }
  (void)PrintOut(std::to_string(report.added) + " added, " + std::to_string(report.modified) + " modified, " +
                 std::to_string(report.unchanged) + " unchanged, " + std::to_string(report.refused.size()) +
                 " refused" + (report.Withdrawn() ? "; atomic: nothing was staged\n" : "\n"));
  (void)report.refused.ForEach([](const RefusedEntry& entry) -> Status {
    std::fprintf(stderr, "refused: %s: %s\n", ToDisplayUtf8(entry.path).c_str(), entry.reason.c_str());
    return {};
  });
}

ExitStatus Commands::Remove() {
  return WithWorkspace([&](Workspace& workspace) {
    for (const std::string& path : args_->paths) {
      const auto parsed = RepoPath::Parse(path);
      const Status removed = parsed ? workspace.RemovePath(*parsed) : Status(parsed.error());
      if (!removed) return Report(removed.error());
    }
    return kExitOk;
  });
}

void Commands::AddStatus() {
  CLI::App* prefetch = Command(app_, "prefetch", "Bring the files of a folder to this machine before they are read",
                               &Commands::PrefetchFolder, "stagefs prefetch team/images:relabel train");
  AddTarget(prefetch, "NS/REPO:WORKSPACE");
  prefetch->add_option("path", args_->path, "folder or file (default: everything)");
  CLI::App* status = Command(app_, "status", "Show what is staged", &Commands::ShowStatus,
                             "stagefs status team/images:relabel");
  AddTarget(status, "NS/REPO:WORKSPACE");
  status->add_flag("--expand", args_->expand, "show a renamed folder file by file");
  status->add_flag("-z,--zero", args_->zero, "end lines with NUL and print paths as they are");
  CLI::App* diff = Command(app_, "diff", "Show staged paths with their old and new hashes", &Commands::Diff,
                           "stagefs diff team/images:relabel");
  AddTarget(diff, "NS/REPO:WORKSPACE");
  CLI::App* unstage = Command(app_, "unstage", "Take back what is staged", &Commands::Unstage,
                              "stagefs unstage team/images:relabel train/");
  AddTarget(unstage, "NS/REPO:WORKSPACE");
  unstage->add_option("paths", args_->paths, "paths of the workspace; a folder means everything in it");
  unstage->add_flag("--all", args_->all, "everything");
}

ExitStatus Commands::ShowStatus() {
  return WithWorkspace([&](Workspace& workspace) {
    if (options_.json) return Done(WriteStatusJson(workspace, args_->expand, PrintOut));
    return Done(WriteStatusText(workspace, {args_->expand, args_->zero}, PrintOut));
  });
}

ExitStatus Commands::Diff() {
  return WithWorkspace([&](Workspace& workspace) {
    const auto reader = workspace.repository().index().Read();
    if (!reader) return Report(reader.error());
    const auto hash = [&](VersionId id) -> std::string {
      const auto version = id == 0 ? std::nullopt : (*reader)->GetVersion(id).value_or(std::nullopt);
      return version ? ToHex(version->content.sha256) : "-";
    };
    const auto print = [&](const StatusLine& line) -> Status {
      if (line.kind != StatusLine::Kind::kAdded && line.kind != StatusLine::Kind::kModified &&
          line.kind != StatusLine::Kind::kRemoved) {
        return {};
      }
      const bool removed = line.kind == StatusLine::Kind::kRemoved;
      const std::string from = line.kind == StatusLine::Kind::kAdded ? "-" : hash(line.base_version);
      const std::string to = removed ? "-" : hash(line.version);
      if (options_.json) {
        return PrintOut("{\"path\":" + JsonText(line.path) + ",\"status\":\"" +
                        std::string(ToString(line.kind)) + "\",\"old\":\"" + from + "\",\"new\":\"" + to +
                        "\"}\n");
      }
      return PrintOut(std::string(1, "AMD"[static_cast<int>(line.kind)]) + "  " + from + "  " + to + "  " +
                      ToDisplayUtf8(line.path) + "\n");
    };
    return Done(ForEachChange(workspace, print));
  });
}

ExitStatus Commands::Unstage() {
  return WithWorkspace([&](Workspace& workspace) {
    if (args_->all == !args_->paths.empty()) {
      return Report({ErrorCode::kInvalidArgument, "name the paths to unstage, or --all"});
    }
    int64_t count = 0;
    if (args_->all) {
      const auto all = workspace.UnstageAll();
      if (!all) return Report(all.error());
      count = *all;
    }
    for (const std::string& path : args_->paths) {
      const auto parsed = RepoPath::Parse(path);
      const auto unstaged = parsed ? workspace.Unstage(*parsed) : Result<int64_t>(parsed.error());
      if (!unstaged) return Report(unstaged.error());
      count += *unstaged;
    }
    return Done(PrintOut(std::to_string(count) + " unstaged\n"));
  });
}

ExitStatus Commands::PrefetchFolder() {
  return WithWorkspace([&](Workspace& workspace) {
    const auto path = RepoPath::ParseDirectory(args_->path);
    if (!path) return Report(path.error());
    Progress progress("prefetch", "files");
    const auto report = Prefetch(workspace, *path, [&](int64_t done) { progress.Show(done); });
    if (!report) return Report(report.error());
    return Done(PrintOut(std::to_string(report->files) + " files (" + std::to_string(report->bytes) +
                         " bytes) are on this machine\n"));
  });
}

void Commands::AddCommit() {
  CLI::App* commit = Command(app_, "commit", "Commit what is staged", &Commands::Commit,
                             "stagefs commit team/images:relabel -m 'Relabel night scenes'");
  AddTarget(commit, "NS/REPO:WORKSPACE");
  commit->add_option("-m,--message", args_->message, "what changed and why")->required();
  commit->add_option("--branch", args_->branch, "branch to commit to (default: the workspace's)");
  commit->add_option("--author", args_->author, "name (default: $STAGEFS_AUTHOR_NAME, else $USER)");
  commit->add_option("--email", args_->email, "address (default: $STAGEFS_AUTHOR_EMAIL)");
  AddTarget(Command(app_, "rebase", "Move a workspace onto the head of its branch", &Commands::Rebase,
                    "stagefs rebase team/images:relabel"),
            "NS/REPO:WORKSPACE");
  CLI::App* log =
      Command(app_, "log", "Show commits, newest first", &Commands::Log, "stagefs log team/images");
  AddTarget(log, "NS/REPO or NS/REPO:WORKSPACE");
  log->add_option("--revision", args_->from, "branch or commit")->capture_default_str();
  log->add_option("-n,--limit", args_->limit, "at most this many")->capture_default_str();
}

ExitStatus Commands::Commit() {
  return WithWorkspace([&](Workspace& workspace) {
    Author author = DefaultAuthor();
    if (!args_->author.empty()) author.name = args_->author;
    if (!args_->email.empty()) author.email = args_->email;
    const auto result = CommitStaged(workspace, args_->message, author,
                                         args_->branch.empty() ? std::nullopt : std::optional(args_->branch));
    if (!result) return Report(result.error());
    if (options_.json) {
      return Done(PrintOut("{\"commit\":\"" + result->commit.id +
                           "\",\"entries\":" + std::to_string(result->entries) +
                           ",\"others\":" + std::to_string(result->others) + "}\n"));
    }
    (void)PrintOut(result->commit.id + "  " + std::to_string(result->entries) +
                   (result->entries == 1 ? " entry\n" : " entries\n"));
    if (result->others > 0) {
      (void)PrintOut("on top of " + std::to_string(result->others) +
                     " commits of others, which are shown now\n");
    }
    for (const std::string& path : result->left_out) {
      (void)PrintOut("left out: " + ToDisplayUtf8(path) + " (scratch or a symbolic link)\n");
    }
    if (const auto places = ListWorkingCopyPlaces(workspace.repository())) {
      for (const WorkingCopyPlace& place : *places) {
        if (place.workspace == workspace.id()) {
          (void)PrintOut("left out: " + ToDisplayUtf8(place.path) + " (being written or refused)\n");
        }
      }
    }
    return kExitOk;
  });
}

ExitStatus Commands::Rebase() {
  return WithWorkspace([&](Workspace& workspace) {
    const auto commits = stagefs::Rebase(workspace);
    if (!commits) return Report(commits.error());
    return Done(PrintOut(std::to_string(*commits) + " commits newer than before\n"));
  });
}

void Commands::AddRecovery() {
  for (const auto& [name, what] :
       {std::pair("retry", "Stage again what was refused, or recovered after a crash"),
        std::pair("dismiss", "Throw away what was refused, or recovered after a crash")}) {
    CLI::App* command =
        Command(app_, name, what, &Commands::RetryOrDismiss,
                (std::string("stagefs ") + name + " team/images:relabel train/b.jpg").c_str());
    AddTarget(command, "NS/REPO:WORKSPACE");
    command->add_option("paths", args_->paths, "paths of the workspace; none means all");
  }
  AddTarget(Command(app_, "sync", "Make everything acknowledged survive power loss", &Commands::Sync,
                    "stagefs sync team/images"),
            "NS/REPO");
}

ExitStatus Commands::Sync() {
  return WithRepository([](Repository& repository) { return Done(repository.SyncAll()); });
}

ExitStatus Commands::RetryOrDismiss() {
  const std::string verb = app_.got_subcommand("retry") ? "retry" : "dismiss";
  return WithWorkspace([&](Workspace& workspace) {
    Repository& repository = workspace.repository();
    const auto info = workspace.Info();
    if (!info) return Report(info.error());
    std::vector<std::string> paths = args_->paths;
    if (paths.empty()) {
      const auto recovered = ListRecovered(repository, *info);
      if (!recovered) return Report(recovered.error());
      paths = *recovered;
      const auto places = ListWorkingCopyPlaces(repository);
      if (!places) return Report(places.error());
      for (const WorkingCopyPlace& place : *places) {
        if (place.workspace == workspace.id() && place.state == WorkingCopyState::kRefused) {
          paths.push_back(place.path);
        }
      }
    }
    for (const std::string& path : paths) {
      const Status done = ThroughMount(workspace, verb + ' ' + path);
      if (done) continue;
      const Status here = verb == "retry" ? RetryRecovered(repository, *info, path)
                                          : DismissRecovered(repository, *info, path);
      if (!here) return Report(here.error().In(path));
    }
    return Done(PrintOut(std::to_string(paths.size()) + (verb == "retry" ? " staged\n" : " dismissed\n")));
  });
}

Status Commands::ThroughMount(Workspace& workspace, const std::string& line) {
  STAGEFS_ASSIGN_OR_RETURN(const auto mounts, Workspaces(workspace.repository()).LiveMounts());
  for (const MountRow& mount : mounts) {
    if (mount.workspace != workspace.id()) continue;
    STAGEFS_ASSIGN_OR_RETURN(
        const UniqueFd fd,
        OpenFd(mount.mountpoint + '/' + std::string(kControlFolder) + "/control", O_WRONLY));
    if (const std::string text = line + '\n'; WriteAll(fd.get(), text.data(), text.size())) return {};
  }
  return Error(ErrorCode::kNotFound, "no mount knows it");
}

}  // namespace stagefs
