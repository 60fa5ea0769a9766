// put, import-oxen: how content becomes versions.
#include <cstdio>

#include "import_oxen.h"
#include "progress.h"
#include "put_files.h"
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
            return PrintOut(SumLine(ToHex(version.content.sha256), path, zero_));
          },
          [&](int64_t done, int64_t total) { progress.Show(done, total); });
      if (!failed) return Report(failed.error());
      for (const std::string& why : *failed) std::fprintf(stderr, "stagefs: %s\n", why.c_str());
      return failed->empty() ? kExitOk : kExitPartly;
    });
  }

  std::string target_;
  std::vector<std::string> paths_;
  bool zero_ = false;
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
      for (const std::string& why : report->failed) std::fprintf(stderr, "stagefs: %s\n", why.c_str());
      Print(*report, globals.json);
      return report->failed.empty() ? kExitOk : kExitPartly;
    });
  }

  static void Print(const ImportReport& report, bool json) {
    const auto number = [](auto value) { return std::to_string(value); };
    (void)PrintOut(json ? "{\"imported\":" + number(report.imported) + ",\"there_already\":" +
                              number(report.there_already) + ",\"bytes\":" + number(report.bytes) +
                              ",\"failed\":" + number(report.failed.size()) + "}\n"
                        : number(report.imported) + " versions imported (" + number(report.bytes) + " bytes), " +
                              number(report.there_already) + " there already\n");
  }

  std::string target_, path_;
};

}  // namespace

std::unique_ptr<Command> NewPut() { return std::make_unique<PutCommand>(); }
std::unique_ptr<Command> NewImportOxen() { return std::make_unique<ImportOxenCommand>(); }

}  // namespace stagefs
