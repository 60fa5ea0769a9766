// fsck, doctor, gc.
#include "stagefs/upkeep.h"

#include "progress.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

class FsckCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      Progress progress("fsck", "versions");
      const auto report = Fsck(repository, [&](int64_t done) { progress.Show(done); });
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

  std::string target_;
};

class DoctorCommand : public Command {
  void Declare(CommandOptions& options) override { options.AddRepository(&target_); }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto name = RepositoryName::Parse(target_);
    if (!name) return Report(name.error());
    const auto findings = Diagnose(globals.root, *name, globals.places);
    if (!findings) return Report(findings.error());
    bool good = true;
    for (const Finding& finding : *findings) {
      good = good && finding.good;
      (void)PrintOut(globals.json ? "{\"good\":" + std::string(finding.good ? "true" : "false") +
                                        ",\"text\":" + JsonString(finding.text) + "}\n"
                                  : (finding.good ? "ok       " : "PROBLEM  ") + finding.text + "\n");
    }
    return good ? kExitOk : kExitPartly;
  }

  std::string target_;
};

class GcCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("--keep", &keep_days_, "spare what was put, found or unstaged in the last N days");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithRepository(globals, target_, [&](Repository& repository) {
      const auto report = Gc(repository, keep_days_);
      if (!report) return Report(report.error());
      return Done(PrintOut(std::to_string(report->versions) + " versions removed (" + std::to_string(report->bytes) +
                           " bytes), " + std::to_string(report->orphans) + " orphans removed\n"));
    });
  }

  std::string target_;
  int64_t keep_days_ = kGcKeepDaysDefault;
};

}  // namespace

std::unique_ptr<Command> NewFsck() { return std::make_unique<FsckCommand>(); }
std::unique_ptr<Command> NewDoctor() { return std::make_unique<DoctorCommand>(); }
std::unique_ptr<Command> NewGc() { return std::make_unique<GcCommand>(); }

}  // namespace stagefs
