// ls, prefetch: folders and what is in them.
#include "stagefs/tree.h"

#include <cstdio>

#include "path_list.h"
#include "prefetch.h"
#include "progress.h"
#include "stagefs/history.h"
#include "stagefs/revision.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1000;

class LsCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddTree(&target_);
    options.Add("path", &path_, "folder (default: the root)").Completing(Completes::kPath);
    options.Add("--revision", &revision_, "as @REV").Completing(Completes::kRevision).Hidden();
    options.Add("-z,--zero", &zero_, "end lines with NUL and print names as they are");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const std::string text = revision_.empty() ? target_ : target_ + '@' + revision_;
    const auto target = OpenTarget(globals, text, TargetNeeds::kTree);
    if (!target) return Report(target.error());
    const auto path = RepoPath::ParseDirectory(path_);
    if (!path) return Report(path.error());
    std::unique_ptr<Tree> of_commit;
    if (!target->workspace) {
      auto opened = OpenTree(*target->repository, target->revision.commit);
      if (!opened) return Report(opened.error());
      of_commit = std::move(*opened);
    }
    json_ = globals.json;
    return Done(List(*target->repository, of_commit ? *of_commit : target->workspace->tree(), *path));
  }

  Status List(Repository& repository, Tree& tree, const RepoPath& path) {
    STAGEFS_ASSIGN_OR_RETURN(const Located at, tree.Find(path));
    if (at.entry.kind != EntryKind::kFolder) return Print(repository, {{at.slot.name, at.entry}});
    for (std::string after;;) {
      STAGEFS_ASSIGN_OR_RETURN(const auto page, tree.List(at.entry.child, after, kPage));
      STAGEFS_RETURN_IF_ERROR(Print(repository, page));
      if (page.size() < kPage) return {};
      after = page.back().name;
    }
  }

  Status Print(Repository& repository, const std::vector<Named<Entry>>& page) const {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
    for (const auto& entry : page) STAGEFS_RETURN_IF_ERROR(PrintLine(*reader, entry));
    return {};
  }

  Status PrintLine(IndexReader& reader, const Named<Entry>& named) const {
    const Entry& entry = named.value;
    std::string hash = "-";
    if (entry.kind == EntryKind::kFile) {
      const auto version = reader.GetVersion(entry.version);
      if (version && *version) hash = ToHex((*version)->content.sha256);
    }
    if (json_) {
      const char* kind = entry.kind == EntryKind::kFolder    ? "folder"
                         : entry.kind == EntryKind::kSymlink ? "symlink"
                                                             : "file";
      const std::string target = entry.target.empty() ? "" : ',' + JsonPath("target", entry.target);
      return PrintOut("{" + JsonPath("name", named.name) + ",\"kind\":\"" + kind + "\",\"size\":" +
                      std::to_string(entry.size_bytes) + ",\"sha256\":\"" + hash + '"' + target + "}\n");
    }
    const auto show = [&](const std::string& text) { return zero_ ? text : ShowText(text); };
    std::string name = show(named.name);
    if (entry.kind == EntryKind::kFolder) name += '/';
    if (entry.kind == EntryKind::kSymlink) name += " -> " + show(entry.target);
    char line[128];
    std::snprintf(line, sizeof line, "%12llu  %-12.12s  ", static_cast<unsigned long long>(entry.size_bytes),
                  hash.c_str());
    return PrintOut(line + name + (zero_ ? '\0' : '\n'));
  }

  std::string target_, path_, revision_;
  bool json_ = false, zero_ = false;
};

class PrefetchCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    paths_.Declare(options, Completes::kPath, "folders and files (default: everything)");
    options.Add("--partial", &partial_, "fetch those that are there, and name the others");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      const std::vector<RepoPath> everything(1);
      const auto paths = paths_.empty() ? Result<std::vector<RepoPath>>(everything) : paths_.ReadFolders();
      if (!paths) return Report(paths.error());
      std::vector<Status> missing;
      const auto report = Fetch(workspace, *paths, partial_ ? &missing : nullptr);
      if (!report) return Report(report.error());
      const int64_t refused = WarnOfRefused(missing);
      const ExitStatus status = Answer(globals.json, {{"files", report->files}, {"bytes", report->bytes}},
                                       std::to_string(report->files) + " files (" + std::to_string(report->bytes) +
                                           " bytes) are on this machine\n");
      return refused > 0 ? kExitPartly : status;
    });
  }

  static Result<PrefetchReport> Fetch(Workspace& workspace, const std::vector<RepoPath>& paths,
                                      std::vector<Status>* missing) {
    Progress progress("prefetch", "files");
    return Prefetch(workspace, paths, missing, [&](int64_t done) { progress.Show(done); });
  }

  std::string target_;
  PathList paths_;
  bool partial_ = false;
};

}  // namespace

std::unique_ptr<Command> NewLs() { return std::make_unique<LsCommand>(); }
std::unique_ptr<Command> NewPrefetch() { return std::make_unique<PrefetchCommand>(); }

}  // namespace stagefs
