#include "commands.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "import_oxen.h"
#include "progress.h"
#include "put_files.h"
#include "stagefs/posix_env.h"
#include "stagefs/status_text.h"
#include "stagefs/working_copy.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1000;

Status PrintOut(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return {};
  return ErrnoError("write to standard output");
}

std::string JsonText(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : ToDisplayUtf8(text)) {
    char escape[8];
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < ' ') {
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

ExitStatus Done(const Status& status) { return status ? kExitOk : Report(status.error()); }

Author DefaultAuthor() {
  const auto from = [](const char* name, const std::string& otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? std::string(value) : otherwise;
  };
  const std::string user = from("USER", "unknown");
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  return {from("STAGEFS_AUTHOR_NAME", user), from("STAGEFS_AUTHOR_EMAIL", user + "@" + host)};
}

class Commands {
 public:
  Commands(CLI::App& app, const GlobalOptions& options, ExitStatus* status)
      : app_(app), options_(options), status_(status) {}

  void Add() {
    AddRepositories();
    AddBranches();
    AddWorkspaces();
    AddPut();
    AddStage();
    AddStatus();
    AddCommit();
    AddTrees();
    AddRecovery();
    AddMaintenance();
  }

 private:
  // What a command was given; one set serves all, since one command runs.
  struct Arguments {
    std::string target, name, from = std::string(kDefaultBranch), message, branch, directory, author, email;
    std::vector<std::string> paths;
    std::string manifest = "-", path, id;
    bool update_timestamp = false, atomic = false, expand = false, zero = false, force = false, all = false;
    int64_t limit = 100, keep_days = kGcKeepDaysDefault;
  };

  CLI::App* Command(CLI::App& parent, const char* name, const char* what,
                    const std::function<ExitStatus(Commands&)>& run, const char* example) {
    CLI::App* command = parent.add_subcommand(name, what);
    command->callback([this, run] { *status_ = run(*this); });
    command->footer(std::string("Example:\n  ") + example);
    return command;
  }

  CLI::Option* AddTarget(CLI::App* command, const char* form) {
    return command->add_option("target", args_->target, form)->required()->type_name("");
  }

  Result<Target> Open(bool needs_workspace) { return OpenTarget(options_, args_->target, needs_workspace); }

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

  void AddRepositories() {
    AddTarget(Command(app_, "create", "Create a repository", &Commands::Create, "stagefs create team/images"),
              "NS/REPO");
    Command(app_, "list", "List repositories", &Commands::ListRepositories, "stagefs list");
    AddTarget(Command(app_, "delete", "Delete a repository with everything in it", &Commands::Delete,
                      "stagefs delete team/images"),
              "NS/REPO");
  }

  ExitStatus Create() {
    const auto name = RepositoryName::Parse(args_->target);
    return name ? Done(Repository::Create(options_.root, *name)) : Report(name.error());
  }
  ExitStatus Delete() {
    const auto name = RepositoryName::Parse(args_->target);
    return name ? Done(Repository::Delete(options_.root, *name)) : Report(name.error());
  }
  ExitStatus ListRepositories() {
    const auto names = Repository::List(options_.root);
    if (!names) return Report(names.error());
    for (const RepositoryName& name : *names) {
      (void)PrintOut(
          (options_.json ? "{\"repository\":" + JsonText(name.ToString()) + "}" : name.ToString()) + "\n");
    }
    return kExitOk;
  }

  void AddBranches() {
    CLI::App* branch = app_.add_subcommand("branch", "List, create and delete branches");
    branch->require_subcommand(1);
    AddTarget(Command(*branch, "list", "List branches and their commits", &Commands::ListBranches,
                      "stagefs branch list team/images"),
              "NS/REPO");
    CLI::App* create = Command(*branch, "create", "Create a branch", &Commands::CreateBranch,
                               "stagefs branch create team/images relabel --from main");
    AddTarget(create, "NS/REPO");
    create->add_option("name", args_->name, "the new branch")->required();
    create->add_option("--from", args_->from, "branch or commit to start at")->capture_default_str();
    CLI::App* remove = Command(*branch, "delete", "Delete a branch", &Commands::DeleteBranch,
                               "stagefs branch delete team/images relabel");
    AddTarget(remove, "NS/REPO");
    remove->add_option("name", args_->name, "the branch")->required();
    CLI::App* merge = Command(*branch, "merge", "Bring what a branch or commit changed into a branch",
                              &Commands::MergeBranch, "stagefs branch merge team/images main relabel");
    AddTarget(merge, "NS/REPO");
    merge->add_option("base", args_->branch, "the branch that changes")->required();
    merge->add_option("head", args_->name, "the branch or commit to bring in")->required();
    merge->add_option("-m,--message", args_->message, "default: Merge branch 'HEAD' into 'BASE'");
  }

  ExitStatus ListBranches() {
    return WithRepository([&](Repository& repository) {
      const auto reader = repository.index().Read();
      if (!reader) return Report(reader.error());
      const auto branches = (*reader)->ListBranches();
      if (!branches) return Report(branches.error());
      for (const BranchInfo& branch : *branches) {
        const auto head = (*reader)->GetCommit(branch.head);
        const std::string id = head && *head ? (*head)->id : "";
        (void)PrintOut(options_.json
                           ? "{\"branch\":" + JsonText(branch.name) + ",\"commit\":\"" + id + "\"}\n"
                           : branch.name + "  " + id + "\n");
      }
      return kExitOk;
    });
  }
  ExitStatus CreateBranch() {
    return WithRepository([&](Repository& r) { return Done(r.CreateBranch(args_->name, args_->from)); });
  }
  ExitStatus MergeBranch() {
    return WithRepository([&](Repository& repository) {
      if (args_->message.empty()) args_->message = MergeMessage(args_->branch, args_->name);
      const auto merged = repository.Merge(args_->branch, args_->name, args_->message, DefaultAuthor());
      return merged ? Done(PrintOut(merged->merge.id + "\n")) : Report(merged.error());
    });
  }
  ExitStatus DeleteBranch() {
    return WithRepository([&](Repository& r) { return Done(r.DeleteBranch(args_->name)); });
  }

  void AddWorkspaces() {
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

  ExitStatus CreateWorkspace() {
    const auto name = TargetName::Parse(args_->target);
    if (!name) return Report(name.error());
    auto repository = Repository::Open(options_.root, name->repository);
    if (!repository) return Report(repository.error());
    const auto info = (*repository)->CreateWorkspace(args_->from, name->workspace, std::nullopt);
    if (!info) return Report(info.error());
    return Done(PrintOut(info->uid + "\n"));
  }
  ExitStatus ListWorkspaces() {
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
  ExitStatus DeleteWorkspace() {
    const auto name = TargetName::Parse(args_->target);
    if (!name) return Report(name.error());
    if (!name->workspace)
      return Report({ErrorCode::kInvalidArgument, "name the workspace: NS/REPO:WORKSPACE"});
    auto repository = Repository::Open(options_.root, name->repository);
    if (!repository) return Report(repository.error());
    return Done((*repository)->DeleteWorkspace(*name->workspace, args_->force));
  }

  void AddPut() {
    CLI::App* put =
        Command(app_, "put", "Store files as versions; prints HASH  PATH lines, a manifest in itself",
                &Commands::Put, "stagefs put team/images photos/ > photos.sum");
    AddTarget(put, "NS/REPO");
    put->add_option("paths", args_->paths, "files, and folders with everything in them")->required();
    put->add_flag("-z,--zero", args_->zero, "end lines with NUL, as sha256sum -z");
    CLI::App* import =
        Command(app_, "import-oxen", "Store the versions of an Oxen repository on this disk",
                &Commands::ImportOxenVersions, "stagefs import-oxen team/images ~/oxen/images");
    AddTarget(import, "NS/REPO");
    import->add_option("path", args_->path, "the repository's folder, which has .oxen in it")->required();
  }
  ExitStatus Put() {
    return WithRepository([&](Repository& repository) {
      Progress progress("put", "files");
      const auto failed = PutFiles(
          repository, args_->paths,
          [&](const std::string& path, const VersionInfo& version) {
            return PrintOut(SumLine(ToHex(version.content.sha256), path, args_->zero));
          },
          [&](int64_t done, int64_t total) { progress.Show(done, total); });
      if (!failed) return Report(failed.error());
      for (const std::string& why : *failed) std::fprintf(stderr, "stagefs: %s\n", why.c_str());
      return failed->empty() ? kExitOk : kExitPartly;
    });
  }

  ExitStatus ImportOxenVersions() {
    return WithRepository([&](Repository& repository) {
      Progress progress("import", "versions");
      const auto report = ImportOxen(repository, args_->path,
                                     [&](int64_t done, int64_t total) { progress.Show(done, total); });
      if (!report) return Report(report.error());
      for (const std::string& why : report->failed) std::fprintf(stderr, "stagefs: %s\n", why.c_str());
      const auto number = [](auto value) { return std::to_string(value); };
      (void)PrintOut(options_.json
                         ? "{\"imported\":" + number(report->imported) + ",\"there_already\":" +
                               number(report->there_already) + ",\"bytes\":" + number(report->bytes) +
                               ",\"failed\":" + number(report->failed.size()) + "}\n"
                         : number(report->imported) + " versions imported (" + number(report->bytes) +
                               " bytes), " + number(report->there_already) + " there already\n");
      return report->failed.empty() ? kExitOk : kExitPartly;
    });
  }

  void AddStage() {
    CLI::App* stage =
        Command(app_, "stage", "Stage what a manifest lists", &Commands::Stage,
                "stagefs put team/images photos/ | stagefs stage team/images:relabel -d train -");
    AddTarget(stage, "NS/REPO:WORKSPACE");
    stage
        ->add_option("manifest", args_->manifest,
                     "JSON, NDJSON, checksum lines, CSV or TSV; - reads standard input")
        ->capture_default_str();
    stage->add_option("-d,--directory", args_->directory, "folder of the workspace to stage into");
    stage->add_flag("--update-timestamp", args_->update_timestamp,
                    "stage unchanged files too, with time now");
    stage->add_flag("--atomic", args_->atomic, "stage nothing if any entry is refused");
    CLI::App* remove = Command(app_, "rm", "Stage the removal of files and folders", &Commands::Remove,
                               "stagefs rm team/images:relabel train/bad.jpg");
    AddTarget(remove, "NS/REPO:WORKSPACE");
    remove->add_option("paths", args_->paths, "paths of the workspace")->required();
  }
  ExitStatus Stage() {
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
      if (const auto kept = workspace.KeepReport(*report); !kept) return Report(kept.error());
      PrintReport(*report);
      return report->refused.size() == 0 ? kExitOk : kExitPartly;
    });
  }
  Result<UniqueFd> OpenManifest(const Repository& repository) {
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
  void PrintReport(const StageReport& report) {
    if (options_.json) {
      (void)WriteReportJson(report, PrintOut);
      return;
    }
    (void)PrintOut(std::to_string(report.added) + " added, " + std::to_string(report.modified) +
                   " modified, " + std::to_string(report.unchanged) + " unchanged, " +
                   std::to_string(report.refused.size()) + " refused" +
                   (report.Withdrawn() ? "; atomic: nothing was staged\n" : "\n"));
    (void)report.refused.ForEach([](const RefusedEntry& entry) -> Status {
      std::fprintf(stderr, "refused: %s: %s\n", ToDisplayUtf8(entry.path).c_str(), entry.reason.c_str());
      return {};
    });
  }
  ExitStatus Remove() {
    return WithWorkspace([&](Workspace& workspace) {
      for (const std::string& path : args_->paths) {
        const auto parsed = RepoPath::Parse(path);
        const Status removed = parsed ? workspace.RemovePath(*parsed) : Status(parsed.error());
        if (!removed) return Report(removed.error());
      }
      return kExitOk;
    });
  }

  void AddStatus() {
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
  ExitStatus ShowStatus() {
    return WithWorkspace([&](Workspace& workspace) {
      if (options_.json) return Done(WriteStatusJson(workspace, args_->expand, PrintOut));
      return Done(WriteStatusText(workspace, {args_->expand, args_->zero}, PrintOut));
    });
  }
  ExitStatus Diff() {
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
        const VersionId old = removed && line.base_version == 0 ? line.version : line.base_version;
        const std::string from = line.kind == StatusLine::Kind::kAdded ? "-" : hash(old);
        const std::string to = removed ? "-" : hash(line.version);
        if (options_.json) {
          return PrintOut("{\"path\":" + JsonText(line.path) + ",\"status\":\"" +
                          std::string(ToString(line.kind)) + "\",\"old\":\"" + from + "\",\"new\":\"" + to +
                          "\"}\n");
        }
        return PrintOut(std::string(1, "AMD"[static_cast<int>(line.kind)]) + "  " + from + "  " + to + "  " +
                        ToDisplayUtf8(line.path) + "\n");
      };
      return Done(workspace.ForEachStatus([&](const StatusLine& line) -> Status {
        if (line.kind == StatusLine::Kind::kRenamed) return workspace.ExpandRename(line, print);
        return print(line);
      }));
    });
  }
  ExitStatus Unstage() {
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

  void AddCommit() {
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
  ExitStatus Commit() {
    return WithWorkspace([&](Workspace& workspace) {
      Author author = DefaultAuthor();
      if (!args_->author.empty()) author.name = args_->author;
      if (!args_->email.empty()) author.email = args_->email;
      const auto result = workspace.Commit(
          args_->message, author, args_->branch.empty() ? std::nullopt : std::optional(args_->branch));
      if (!result) return Report(result.error());
      if (options_.json) {
        return Done(PrintOut("{\"commit\":\"" + result->commit.id +
                             "\",\"entries\":" + std::to_string(result->entries) +
                             ",\"others\":" + std::to_string(result->others) + "}\n"));
      }
      (void)PrintOut(result->commit.id + "  " + std::to_string(result->entries) + " entries\n");
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
  ExitStatus Rebase() {
    return WithWorkspace([&](Workspace& workspace) {
      const auto commits = workspace.Rebase();
      if (!commits) return Report(commits.error());
      return Done(PrintOut(std::to_string(*commits) + " commits newer than before\n"));
    });
  }
  ExitStatus Log() {
    auto target = Open(false);
    if (!target) return Report(target.error());
    std::string revision = args_->from;
    if (target->workspace && args_->from == kDefaultBranch) {
      const auto info = target->workspace->Info();
      if (!info) return Report(info.error());
      revision = info->branch;
    }
    const auto log =
        target->repository->Log(revision, 0, static_cast<size_t>(std::max<int64_t>(args_->limit, 0)));
    if (!log) return Report(log.error());
    for (const CommitInfo& commit : log->commits) {
      (void)PrintOut(options_.json ? "{\"id\":\"" + commit.id + "\",\"author\":" + JsonText(commit.author) +
                                         ",\"email\":" + JsonText(commit.email) + ",\"time\":\"" +
                                         FormatTime(commit.time_ns) +
                                         "\",\"message\":" + JsonText(commit.message) + "}\n"
                                   : commit.id + "  " + FormatTime(commit.time_ns) + "  " + commit.author +
                                         "  " + commit.message + "\n");
    }
    return kExitOk;
  }

  void AddTrees() {
    CLI::App* ls = Command(app_, "ls", "List a folder of a workspace or a branch", &Commands::List,
                           "stagefs ls team/images:relabel train");
    AddTarget(ls, "NS/REPO or NS/REPO:WORKSPACE");
    ls->add_option("path", args_->path, "folder (default: the root)");
    ls->add_option("--revision", args_->from, "branch or commit, without a workspace")->capture_default_str();
  }
  ExitStatus List() {
    auto target = Open(false);
    if (!target) return Report(target.error());
    const auto path = RepoPath::ParseDirectory(args_->path);
    if (!path) return Report(path.error());
    const auto reader = target->repository->index().Read();
    if (!reader) return Report(reader.error());
    FolderId folder = kRootFolder;
    if (target->workspace) {
      const auto at = target->workspace->Find(*path);
      if (!at) return Report(at.error());
      if (at->entry.kind != EntryKind::kFolder) return PrintEntry(**reader, {at->slot.name, at->entry});
      folder = at->entry.child;
    }
    for (std::string after;;) {
      const auto page = target->workspace ? target->workspace->List(folder, after, kPage)
                                          : target->repository->ListTree(args_->from, *path, after, kPage);
      if (!page) return Report(page.error());
      for (const auto& entry : *page) {
        if (const ExitStatus status = PrintEntry(**reader, entry); status != kExitOk) return status;
      }
      if (page->size() < kPage) return kExitOk;
      after = page->back().name;
    }
  }
  ExitStatus PrintEntry(IndexReader& reader, const Named<Entry>& named) {
    const Entry& entry = named.value;
    std::string hash = "-";
    if (entry.kind == EntryKind::kFile) {
      const auto version = reader.GetVersion(entry.version);
      if (version && *version) hash = ToHex((*version)->content.sha256);
    }
    if (options_.json) {
      return Done(PrintOut("{\"name\":" + JsonText(named.name) + ",\"kind\":\"" +
                           (entry.kind == EntryKind::kFolder    ? "folder"
                            : entry.kind == EntryKind::kSymlink ? "symlink"
                                                                : "file") +
                           "\",\"size\":" + std::to_string(entry.size_bytes) + ",\"sha256\":\"" + hash +
                           "\"}\n"));
    }
    std::string name = ToDisplayUtf8(named.name);
    if (entry.kind == EntryKind::kFolder) name += '/';
    if (entry.kind == EntryKind::kSymlink) name += " -> " + ToDisplayUtf8(entry.target);
    char line[128];
    std::snprintf(line, sizeof line, "%12llu  %-12.12s  ", static_cast<unsigned long long>(entry.size_bytes),
                  hash.c_str());
    return Done(PrintOut(line + name + "\n"));
  }

  void AddRecovery() {
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
  ExitStatus Sync() {
    return WithRepository([](Repository& repository) { return Done(repository.SyncAll()); });
  }
  ExitStatus RetryOrDismiss() {
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
  // What a mount holds back, only its daemon can stage.
  Status ThroughMount(Workspace& workspace, const std::string& line) {
    STAGEFS_ASSIGN_OR_RETURN(const auto mounts, workspace.repository().LiveMounts());
    for (const MountRow& mount : mounts) {
      if (mount.workspace != workspace.id()) continue;
      STAGEFS_ASSIGN_OR_RETURN(
          const UniqueFd fd,
          OpenFd(mount.mountpoint + '/' + std::string(kControlFolder) + "/control", O_WRONLY));
      if (const std::string text = line + '\n'; WriteAll(fd.get(), text.data(), text.size())) return {};
    }
    return Error(ErrorCode::kNotFound, "no mount knows it");
  }

  void AddMaintenance() {
    AddTarget(Command(app_, "fsck", "Hash every version again and look for missing and orphaned ones",
                      &Commands::Fsck, "stagefs fsck team/images"),
              "NS/REPO");
    CLI::App* gc = Command(app_, "gc", "Remove versions that nothing names", &Commands::Gc,
                           "stagefs gc team/images --keep 30");
    AddTarget(gc, "NS/REPO");
    gc->add_option("--keep", args_->keep_days, "spare what was put, found or unstaged in the last N days")
        ->capture_default_str();
  }
  ExitStatus Fsck() {
    return WithRepository([&](Repository& repository) {
      Progress progress("fsck", "versions");
      const auto report = repository.Fsck([&](int64_t done) { progress.Show(done); });
      if (!report) return Report(report.error());
      for (const auto& [what, hashes] :
           {std::pair("missing", &report->missing), std::pair("damaged", &report->damaged),
            std::pair("orphaned", &report->orphaned)}) {
        for (const Sha256& hash : *hashes) (void)PrintOut(std::string(what) + "  " + ToHex(hash) + "\n");
      }
      (void)PrintOut(std::to_string(report->checked) + " versions checked, " +
                     std::to_string(report->missing.size()) + " missing, " +
                     std::to_string(report->damaged.size()) + " damaged, " +
                     std::to_string(report->orphaned.size()) + " orphaned, " +
                     std::to_string(report->entries_without_version) + " entries without a version\n");
      return report->Clean() ? kExitOk : kExitPartly;
    });
  }
  ExitStatus Gc() {
    return WithRepository([&](Repository& repository) {
      const auto report = repository.Gc(args_->keep_days);
      if (!report) return Report(report.error());
      return Done(PrintOut(std::to_string(report->versions) + " versions removed (" +
                           std::to_string(report->bytes) + " bytes), " + std::to_string(report->orphans) +
                           " orphans removed\n"));
    });
  }

  CLI::App& app_;
  const GlobalOptions& options_;
  ExitStatus* const status_;
  // Outlives the parsing, which runs after AddCommands() returned.
  const std::shared_ptr<Arguments> args_ = std::make_shared<Arguments>();
};

}  // namespace

std::string DefaultRoot() {
  if (const char* root = std::getenv("STAGEFS_ROOT"); root != nullptr && *root != '\0') return root;
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/') {
    return std::string(data) + "/stagefs";
  }
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "") + "/.local/share/stagefs";
}

Result<TargetName> TargetName::Parse(const std::string& text) {
  const size_t colon = text.find(':');
  STAGEFS_ASSIGN_OR_RETURN(RepositoryName repository, RepositoryName::Parse(text.substr(0, colon)));
  TargetName name{std::move(repository), std::nullopt};
  if (colon != std::string::npos) name.workspace = text.substr(colon + 1);
  return name;
}

Result<Target> OpenTarget(const GlobalOptions& options, const std::string& text, bool needs_workspace) {
  STAGEFS_ASSIGN_OR_RETURN(const TargetName name, TargetName::Parse(text));
  if (needs_workspace && !name.workspace) {
    return Error(ErrorCode::kInvalidArgument, "name the workspace: " + text + ":WORKSPACE");
  }
  Target target;
  auto repository = Repository::Open(options.root, name.repository);
  if (!repository) {
    if (repository.error().code() != ErrorCode::kNotFound) return repository.error();
    return Error(ErrorCode::kNotFound, "no repository " + name.repository.ToString() + " in " + options.root +
                                           ": stagefs create " + name.repository.ToString());
  }
  target.repository = std::move(*repository);
  if (name.workspace) {
    STAGEFS_ASSIGN_OR_RETURN(target.workspace, Workspace::Open(*target.repository, *name.workspace));
  }
  return target;
}

ExitStatus Report(const Error& error) {
  std::fprintf(stderr, "stagefs: %s\n", error.message().c_str());
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNameTooLong:
    case ErrorCode::kTooLarge:
    case ErrorCode::kNotDirectory:
    case ErrorCode::kIsDirectory:
    case ErrorCode::kPermission: return kExitUsage;
    case ErrorCode::kNotFound: return kExitNotFound;
    case ErrorCode::kExists:
    case ErrorCode::kNotEmpty:
    case ErrorCode::kConflict:
    case ErrorCode::kBusy:
    case ErrorCode::kStale: return kExitConflict;
    case ErrorCode::kReadOnly:
    case ErrorCode::kNoSpace:
    case ErrorCode::kUnsupported:
    case ErrorCode::kCrossDevice:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo: return kExitTrouble;
  }
  return kExitTrouble;
}

void AddCommands(CLI::App& app, const GlobalOptions& options, ExitStatus* status) {
  // Kept by the callbacks for as long as the app lives.
  auto commands = std::make_shared<Commands>(app, options, status);
  commands->Add();
  app.final_callback([commands] {});
}

}  // namespace stagefs
