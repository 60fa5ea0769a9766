// put, import-oxen: how content becomes versions.
#include <unistd.h>

#include "import_oxen.h"
#include "progress.h"
#include "put_files.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

class PutCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("paths", &paths_, "files, and folders with everything in them")
        .Required()
        .Completing(Completes::kFile);
    options.Add("-z,--zero", &zero_, "end lines with NUL, as sha256sum -z");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      Progress progress("put", "files");
      const auto failed = PutFiles(
          repository, paths_,
          [&](const std::string& path, const VersionInfo& version) {
            return Print(path, version, globals.json);
          },
          [&](int64_t done, int64_t total) { progress.Show(done, total); });
      if (!failed) return Report(failed.error());
      for (const std::string& why : *failed) Warn(why);
      return failed->empty() ? kExitOk : kExitPartly;
    });
  }

  Status Print(const std::string& path, const VersionInfo& version, bool json) const {
    const std::string hash = ToHex(version.content.sha256);
    if (json) {
      return PrintOut('{' + JsonPath("path", path) + ",\"hash\":\"" + hash + "\",\"xxh3\":\"" +
                      ToHex(version.content.xxh3) + "\",\"size\":" + std::to_string(version.size_bytes) + "}\n");
    }
    // For programs a name is as sha256sum writes it.
    return PrintOut(is_terminal_ && !zero_ ? hash + "  " + ShowText(path) + '\n' : SumLine(hash, path, zero_));
  }

  std::string target_;
  std::vector<std::string> paths_;
  bool zero_ = false;
  const bool is_terminal_ = isatty(STDOUT_FILENO) != 0;
};

class ImportOxenCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("path", &path_, "the repository's folder, which has .oxen in it")
        .Required()
        .Completing(Completes::kFolder);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      Progress progress("import", "versions");
      const auto report =
          ImportOxen(repository, path_, [&](int64_t done, int64_t total) { progress.Show(done, total); });
      if (!report) return Report(report.error());
      for (const std::string& why : report->failed) Warn(why);
      Print(*report, globals.json);
      return report->failed.empty() ? kExitOk : kExitPartly;
    });
  }

  static void Print(const ImportReport& report, bool json) {
    const auto number = [](auto value) { return std::to_string(value); };
    (void)Answer(json,
                 {{"imported", report.imported}, {"there_already", report.there_already}, {"bytes", report.bytes},
                  {"failed", report.failed.size()}},
                 number(report.imported) + " versions imported (" + number(report.bytes) + " bytes), " +
                     number(report.there_already) + " there already\n");
  }

  std::string target_, path_;
};

}  // namespace

std::unique_ptr<Command> NewPut() { return std::make_unique<PutCommand>(); }
std::unique_ptr<Command> NewImportOxen() { return std::make_unique<ImportOxenCommand>(); }

}  // namespace stagefs
