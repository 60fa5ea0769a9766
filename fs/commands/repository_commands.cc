// Repositories, branches, versions and trees.
#include <algorithm>
#include <cstdio>

#include "command_set.h"

#include "import_oxen.h"
#include "progress.h"
#include "put_files.h"
#include "stagefs/migrate.h"
#include "stagefs/stage_report.h"
#include "stagefs/history.h"
#include "stagefs/revision.h"
#include "stagefs/repositories.h"
#include "stagefs/upkeep.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1000;

}  // namespace

void Commands::AddRepositories() {
  AddTarget(Command(app_, "create", "Create a repository", &Commands::Create, "stagefs create team/images"),
            "NS/REPO");
  CLI::App* migrate = Command(app_, "migrate", "Move a repository's index (--index), its versions (--versions) or both",
                              &Commands::MoveRepository,
                              "stagefs migrate team/images --index postgresql://db/stagefs --versions s3://bucket");
  AddTarget(migrate, "NS/REPO");
  migrate->add_flag("--embedded", args_->embedded, "back below the root: SQLite, and a folder of versions");
  Command(app_, "list", "List repositories", &Commands::ListRepositories, "stagefs list");
  AddTarget(Command(app_, "delete", "Delete a repository with everything in it", &Commands::Delete,
                    "stagefs delete team/images"),
            "NS/REPO");
}

ExitStatus Commands::Create() {
  const auto name = RepositoryName::Parse(args_->target);
  return name ? Done(CreateRepository(options_.root, *name, options_.places)) : Report(name.error());
}

ExitStatus Commands::Delete() {
  const auto name = RepositoryName::Parse(args_->target);
  return name ? Done(DeleteRepository(options_.root, *name)) : Report(name.error());
}

ExitStatus Commands::MoveRepository() {
  const auto name = RepositoryName::Parse(args_->target);
  if (!name) return Report(name.error());
  const auto to = args_->embedded ? std::nullopt : std::optional(options_.places);
  if (to && to->index.empty() && to->versions.empty()) {
    return Report({ErrorCode::kInvalidArgument, "say where to: --index URL, --versions URL, or --embedded"});
  }
  Progress progress("migrate", "versions");
  const auto report = Migrate(options_.root, *name, to,
                              [&](int64_t done, int64_t total) { progress.Show(done, total); });
  if (!report) return Report(report.error());
  return Done(PrintOut(std::to_string(report->versions) + " versions copied (" + std::to_string(report->bytes) +
                       " bytes), " + std::to_string(report->rows) + " rows; what was before is still there\n"));
}

ExitStatus Commands::ListRepositories() {
  const auto names = stagefs::ListRepositories(options_.root);
  if (!names) return Report(names.error());
  for (const RepositoryName& name : *names) {
    (void)PrintOut((options_.json ? "{\"repository\":" + JsonText(name.ToString()) + "}" : name.ToString()) +
                   "\n");
  }
  return kExitOk;
}

void Commands::AddBranches() {
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

ExitStatus Commands::ListBranches() {
  return WithRepository([&](Repository& repository) {
    const auto reader = repository.index().Read();
    if (!reader) return Report(reader.error());
    const auto branches = (*reader)->ListBranches();
    if (!branches) return Report(branches.error());
    for (const BranchInfo& branch : *branches) {
      const auto head = (*reader)->GetCommit(branch.head);
      const std::string id = head && *head ? (*head)->id : "";
      (void)PrintOut(options_.json ? "{\"branch\":" + JsonText(branch.name) + ",\"commit\":\"" + id + "\"}\n"
                                   : branch.name + "  " + id + "\n");
    }
    return kExitOk;
  });
}

ExitStatus Commands::CreateBranch() {
  return WithRepository([&](Repository& r) { return Done(History(r).CreateBranch(args_->name, args_->from)); });
}

ExitStatus Commands::MergeBranch() {
  return WithRepository([&](Repository& repository) {
    if (args_->message.empty()) args_->message = MergeMessage(args_->branch, args_->name);
    const auto merged = History(repository).Merge(args_->branch, args_->name, args_->message, DefaultAuthor());
    return merged ? Done(PrintOut(merged->merge.id + "\n")) : Report(merged.error());
  });
}

ExitStatus Commands::DeleteBranch() {
  return WithRepository([&](Repository& r) { return Done(History(r).DeleteBranch(args_->name)); });
}

void Commands::AddPut() {
  CLI::App* put =
      Command(app_, "put", "Store files as versions; prints HASH  PATH lines, a manifest in itself",
              &Commands::Put, "stagefs put team/images photos/ > photos.sum");
  AddTarget(put, "NS/REPO");
  put->add_option("paths", args_->paths, "files, and folders with everything in them")->required();
  put->add_flag("-z,--zero", args_->zero, "end lines with NUL, as sha256sum -z");
  CLI::App* import = Command(app_, "import-oxen", "Store the versions of an Oxen repository on this disk",
                             &Commands::ImportOxenVersions, "stagefs import-oxen team/images ~/oxen/images");
  AddTarget(import, "NS/REPO");
  import->add_option("path", args_->path, "the repository's folder, which has .oxen in it")->required();
}

ExitStatus Commands::Put() {
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

ExitStatus Commands::ImportOxenVersions() {
  return WithRepository([&](Repository& repository) {
    Progress progress("import", "versions");
    const auto report =
        ImportOxen(repository, args_->path, [&](int64_t done, int64_t total) { progress.Show(done, total); });
    if (!report) return Report(report.error());
    for (const std::string& why : report->failed) std::fprintf(stderr, "stagefs: %s\n", why.c_str());
    const auto number = [](auto value) { return std::to_string(value); };
    (void)PrintOut(options_.json ? "{\"imported\":" + number(report->imported) + ",\"there_already\":" +
                                       number(report->there_already) + ",\"bytes\":" + number(report->bytes) +
                                       ",\"failed\":" + number(report->failed.size()) + "}\n"
                                 : number(report->imported) + " versions imported (" + number(report->bytes) +
                                       " bytes), " + number(report->there_already) + " there already\n");
    return report->failed.empty() ? kExitOk : kExitPartly;
  });
}

void Commands::AddTrees() {
  CLI::App* ls = Command(app_, "ls", "List a folder of a workspace or a branch", &Commands::List,
                         "stagefs ls team/images:relabel train");
  AddTarget(ls, "NS/REPO or NS/REPO:WORKSPACE");
  ls->add_option("path", args_->path, "folder (default: the root)");
  ls->add_option("--revision", args_->from, "branch or commit, without a workspace")->capture_default_str();
}

ExitStatus Commands::List() {
  auto target = Open(false);
  if (!target) return Report(target.error());
  const auto path = RepoPath::ParseDirectory(args_->path);
  if (!path) return Report(path.error());
  std::unique_ptr<Tree> of_commit;
  if (!target->workspace) {
    const auto commit = History(*target->repository).Resolve(args_->from);
    if (!commit) return Report(commit.error());
    auto opened = OpenTree(*target->repository, *commit);
    if (!opened) return Report(opened.error());
    of_commit = std::move(*opened);
  }
  Tree& tree = of_commit ? *of_commit : target->workspace->tree();
  const auto at = tree.Find(*path);
  if (!at) return Report(at.error());
  const auto reader = target->repository->index().Read();
  if (!reader) return Report(reader.error());
  if (at->entry.kind != EntryKind::kFolder) return PrintEntry(**reader, {at->slot.name, at->entry});
  for (std::string after;;) {
    const auto page = tree.List(at->entry.child, after, kPage);
    if (!page) return Report(page.error());
    for (const auto& entry : *page) {
      if (const ExitStatus status = PrintEntry(**reader, entry); status != kExitOk) return status;
    }
    if (page->size() < kPage) return kExitOk;
    after = page->back().name;
  }
}

ExitStatus Commands::PrintEntry(IndexReader& reader, const Named<Entry>& named) {
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

ExitStatus Commands::Log() {
  auto target = Open(false);
  if (!target) return Report(target.error());
  std::string revision = args_->from;
  if (target->workspace && args_->from == kDefaultBranch) {
    const auto info = target->workspace->Info();
    if (!info) return Report(info.error());
    revision = info->branch;
  }
  const auto log =
      History(*target->repository).Log(revision, 0, static_cast<size_t>(std::max<int64_t>(args_->limit, 0)));
  if (!log) return Report(log.error());
  for (const CommitInfo& commit : log->commits) {
    (void)PrintOut(options_.json
                       ? "{\"id\":\"" + commit.id + "\",\"author\":" + JsonText(commit.author) +
                             ",\"email\":" + JsonText(commit.email) + ",\"time\":\"" +
                             FormatTime(commit.time_ns) + "\",\"message\":" + JsonText(commit.message) + "}\n"
                       : commit.id + "  " + FormatTime(commit.time_ns) + "  " + commit.author + "  " +
                             commit.message + "\n");
  }
  return kExitOk;
}

void Commands::AddMaintenance() {
  AddTarget(Command(app_, "fsck", "Hash every version again and look for missing and orphaned ones",
                    &Commands::Fsck, "stagefs fsck team/images"),
            "NS/REPO");
  AddTarget(Command(app_, "doctor", "Look for what is wrong with a repository's places, and say what to do",
                    &Commands::Doctor, "stagefs doctor team/images"),
            "NS/REPO");
  CLI::App* gc = Command(app_, "gc", "Remove versions that nothing names", &Commands::Gc,
                         "stagefs gc team/images --keep 30");
  AddTarget(gc, "NS/REPO");
  gc->add_option("--keep", args_->keep_days, "spare what was put, found or unstaged in the last N days")
      ->capture_default_str();
}

ExitStatus Commands::Doctor() {
  const auto name = RepositoryName::Parse(args_->target);
  if (!name) return Report(name.error());
  const auto findings = Diagnose(options_.root, *name, options_.places);
  if (!findings) return Report(findings.error());
  bool good = true;
  for (const Finding& finding : *findings) {
    good = good && finding.good;
    (void)PrintOut(options_.json ? "{\"good\":" + std::string(finding.good ? "true" : "false") +
                                       ",\"text\":" + JsonText(finding.text) + "}\n"
                                 : (finding.good ? "ok       " : "PROBLEM  ") + finding.text + "\n");
  }
  return good ? kExitOk : kExitPartly;
}

ExitStatus Commands::Fsck() {
  return WithRepository([&](Repository& repository) {
    Progress progress("fsck", "versions");
    const auto report = stagefs::Fsck(repository, [&](int64_t done) { progress.Show(done); });
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

ExitStatus Commands::Gc() {
  return WithRepository([&](Repository& repository) {
    const auto report = stagefs::Gc(repository, args_->keep_days);
    if (!report) return Report(report.error());
    return Done(PrintOut(std::to_string(report->versions) + " versions removed (" +
                         std::to_string(report->bytes) + " bytes), " + std::to_string(report->orphans) +
                         " orphans removed\n"));
  });
}

}  // namespace stagefs
