// fsck, doctor, gc.
#include "stagefs/upkeep.h"

#include <functional>

#include "progress.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

class FsckCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddRepository(&target_);
    options.Add("--rebuild", &rebuild_,
                "the index is lost or damaged: build it from what can be read of it, and from the versions");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    if (rebuild_) return Rebuild(globals);
    return WithRepository(globals, target_, [&](Repository& repository) {
      Progress progress("fsck", "versions");
      const auto report = Fsck(repository, [&](int64_t done) { progress.Show(done); });
      if (!report) return Report(report.error());
      if (!report->index_damage.empty()) {
        Warn("the index is damaged: restore a backup of it, or build one from what can be read: stagefs fsck " +
             target_ + " --rebuild");
      }
      if (globals.json) PrintJson(*report);
      else Print(*report);
      return report->Clean() ? kExitOk : kExitPartly;
    });
  }

  static void PrintJson(const FsckReport& report) {
    const auto list = [](const auto& items, auto text_of) {
      std::string json;
      for (const auto& item : items) json += (json.empty() ? "" : ",") + JsonString(text_of(item));
      return '[' + json + ']';
    };
    const auto hex = [](const Sha256& hash) { return ToHex(hash); };
    (void)PrintOut(JsonLine({{"checked", report.checked},
                             {"entries_without_version", report.entries_without_version},
                             JsonMember::Raw("missing", list(report.missing, hex)),
                             JsonMember::Raw("damaged", list(report.damaged, hex)),
                             JsonMember::Raw("orphaned", list(report.orphaned, hex)),
                             JsonMember::Raw("index_damage", list(report.index_damage, std::identity()))}));
  }

  static void Print(const FsckReport& report) {
    for (const std::string& text : report.index_damage) (void)PrintOut("index  " + ShowText(text) + "\n");
    for (const auto& [what, hashes] :
         {std::pair("missing", &report.missing), std::pair("damaged", &report.damaged),
          std::pair("orphaned", &report.orphaned)}) {
      for (const Sha256& hash : *hashes) (void)PrintOut(std::string(what) + "  " + ToHex(hash) + "\n");
    }
    (void)PrintOut(std::to_string(report.checked) + " versions checked, " + std::to_string(report.missing.size()) +
                   " missing, " + std::to_string(report.damaged.size()) + " damaged, " +
                   std::to_string(report.orphaned.size()) + " orphaned, " +
                   std::to_string(report.entries_without_version) + " entries without a version\n");
  }

  ExitStatus Rebuild(const GlobalOptions& globals) {
    const auto name = RepositoryName::Parse(target_);
    if (!name) return Report(name.error());
    Progress progress("fsck", "versions");
    const auto lines = RebuildIndex(globals.root, *name, [&](int64_t done) { progress.Show(done); });
    if (!lines) return Report(lines.error());
    for (const std::string& line : *lines) {
      (void)PrintOut(globals.json ? JsonLine({{"text", line}}) : ShowText(line) + "\n");
    }
    return kExitOk;
  }

  std::string target_;
  bool rebuild_ = false;
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
                                  : (finding.good ? "ok       " : "PROBLEM  ") + ShowText(finding.text) + "\n");
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
      const auto report = [&] {
        const Waiting waiting("gc", "versions");
        return Gc(repository, keep_days_);
      }();
      if (!report) return Report(report.error());
      if (report->counted_until_ns) {
        Warn("this machine's clock is far ahead of everything in the repository, so days are counted back from " +
             FormatTime(*report->counted_until_ns) + ": set the clock, or run gc again another day");
      }
      return Answer(globals.json,
                    {{"versions", report->versions}, {"bytes", report->bytes}, {"orphans", report->orphans}},
                    std::to_string(report->versions) + " versions removed (" + std::to_string(report->bytes) +
                        " bytes), " + std::to_string(report->orphans) + " orphans removed\n");
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
