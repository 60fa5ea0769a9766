// manifest: a tree as it can be staged again.
#include "stagefs/written_manifest.h"

#include "progress.h"
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
    if (written->executables > 0) {
      Warn(std::to_string(written->executables) + " files are executable, which only --format ndjson and json say");
    }
    return Done(FlushOut());
  }

  Status ReadStyle(bool json) {
    const std::string format = format_.empty() ? (json ? "ndjson" : "sum") : format_;
    if (format == "sum") style_.format = ManifestFormat::kSum;
    else if (format == "ndjson") style_.format = ManifestFormat::kNdjson;
    else if (format == "json") style_.format = ManifestFormat::kJson;
    else if (format == "csv") style_.format = ManifestFormat::kCsv;
    else if (format == "tsv") style_.format = ManifestFormat::kTsv;
    else return Error(ErrorCode::kInvalidArgument, "--format " + format + ": use sum, ndjson, json, csv or tsv");
    if (hash_ != "sha256" && hash_ != "xxh3") {
      return Error(ErrorCode::kInvalidArgument, "--hash " + hash_ + ": use sha256 or xxh3");
    }
    style_.xxh3 = hash_ == "xxh3";
    return {};
  }

  std::string target_, path_, format_, hash_ = "sha256";
  ManifestStyle style_;
};

}  // namespace

std::unique_ptr<Command> NewManifest() { return std::make_unique<ManifestCommand>(); }

}  // namespace stagefs
