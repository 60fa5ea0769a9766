// manifest, missing: a tree as it can be staged again, and what of a manifest cannot be.
#include "stagefs/written_manifest.h"

#include "manifest_file.h"
#include "progress.h"
#include "stagefs/byte_source.h"
#include "stagefs/missing.h"
#include "target.h"

namespace stagefs {
namespace {

class ManifestCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddTree(&target_);
    options.Add("path", &path_, "folder or file (default: everything)").Completing(Completes::kPath);
    options.Add("--format", &format_, "sum (as sha256sum writes it), ndjson, json, csv or tsv");
    options.Add("--hash", &hash_, "sha256 or xxh3");
    options.Add("--tag", &style_.bsd_tag, "lines as sha256sum --tag writes them");
    options.Add("-z,--zero", &style_.zero, "end lines with NUL and print paths as they are");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    if (const Status read = ReadStyle(globals.json); !read) return Report(read.error());
    const auto target = OpenTarget(globals, target_, TargetNeeds::kTree);
    if (!target) return Report(target.error());
    const auto path = RepoPath::ParseDirectory(path_);
    if (!path) return Report(path.error());
    const Waiting waiting("manifest", "files");
    const auto written = WriteManifest(*target->repository, target->revision, *path, style_, PrintOut);
    if (!written) return Report(written.error());
    if (written->links > 0) {
      Warn(std::to_string(written->links) + " symbolic links were left out: only --format ndjson and json say them");
    }
    if (written->executables > 0) {
      Warn(std::to_string(written->executables) + " files are executable, which only --format ndjson and json say");
    }
    return Done(FlushOut());
  }

  Status ReadStyle(bool json) {
    const std::string format = format_.empty() ? (json ? "ndjson" : "sum") : format_;
    STAGEFS_ASSIGN_OR_RETURN(const ManifestStyle named, ManifestStyleOf(format, hash_));
    style_.format = named.format;
    style_.xxh3 = named.xxh3;
    return {};
  }

  std::string target_, path_, format_, hash_ = "sha256";
  ManifestStyle style_;
};

class MissingCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("manifest", &manifest_, "as stage takes it; - reads standard input").Completing(Completes::kFile);
    options.Add("--path-column", &options_.path_column, "column of a table that holds the paths");
    options.Add("--hash-column", &options_.hash_column, "column of a table that holds the hashes");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const auto report = Find(repository, globals.json);
      if (!report) return Report(report.error());
      if (!globals.json) SayRefused(report->refused, report->counts_entries);
      const int64_t refused = report->refused.size();
      const Status said = globals.json ? PrintOut(JsonLine({{"entries", report->entries},
                                                            {"missing", report->missing},
                                                            {"refused", refused}}))
                                       : FlushOut();
      if (!said) return Report(said.error());
      return report->missing + refused > 0 ? kExitPartly : kExitOk;
    });
  }

  Result<MissingReport> Find(Repository& repository, bool json) const {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd file, OpenManifest(manifest_, repository));
    const auto source = NewFileSource(file.get());
    const Waiting waiting("missing", "entries");
    const auto format = manifest_ == "-" ? ManifestFormat::kSniff : ManifestFormatOf(manifest_);
    return FindMissing(repository, *source, format, options_,
                       [&](std::string_view text) { return json ? Status() : PrintOut(text); });
  }

  std::string target_, manifest_ = "-";
  ManifestOptions options_;
};

}  // namespace

std::unique_ptr<Command> NewMissing() { return std::make_unique<MissingCommand>(); }
std::unique_ptr<Command> NewManifest() { return std::make_unique<ManifestCommand>(); }

}  // namespace stagefs
