// status, diff: what is staged.
#include "stagefs/status_visit.h"

#include <cstdio>
#include <optional>

#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "target.h"

namespace stagefs {
namespace {

class StatusCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options.Add("--expand", &expand_, "show a renamed folder file by file");
    options.Add("-z,--zero", &zero_, "end lines with NUL and print paths as they are");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      const Repository& repository = workspace.repository();
      if (const Status writable = repository.CheckWritable(); !writable) {
        const int64_t left = repository.recovery().left_for_later;
        const std::string also =
            left == 0 ? "" : "; " + std::to_string(left) + " files that a crash left are recovered once that is done";
        Warn(writable.error().message() + also);
      }
      return Done(globals.json ? WriteStatusJson(workspace, expand_, PrintOut)
                               : WriteStatusText(workspace, {expand_, zero_}, PrintOut));
    });
  }

  std::string target_;
  bool expand_ = false, zero_ = false;
};

class DiffCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddWorkspace(&target_);
    options.Add("-z,--zero", &zero_, "end lines with NUL and print paths as they are");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    return WithWorkspace(globals, target_, [&](Workspace& workspace) {
      return Done(ForEachChange(workspace, [&](const StatusLine& line, IndexReader& index) {
        return Print(index, line, globals.json);
      }));
    });
  }

  Status Print(IndexReader& reader, const StatusLine& line, bool json) const {
    using Kind = StatusLine::Kind;
    if (line.kind != Kind::kAdded && line.kind != Kind::kModified && line.kind != Kind::kRemoved) return {};
    const auto hash = [&](VersionId id) -> std::string {
      const auto version = id == 0 ? std::nullopt : reader.GetVersion(id).value_or(std::nullopt);
      return version ? ToHex(version->content.sha256) : "-";
    };
    const std::string from = line.kind == Kind::kAdded ? "-" : hash(line.base_version);
    const std::string to = line.kind == Kind::kRemoved ? "-" : hash(line.version);
    if (json) {
      return PrintOut("{" + JsonPath("path", line.path) + ",\"status\":\"" + std::string(ToString(line.kind)) +
                      "\",\"old\":\"" + from + "\",\"new\":\"" + to + "\"}\n");
    }
    return PrintOut(std::string(1, "AMD"[static_cast<int>(line.kind)]) + "  " + from + "  " + to + "  " +
                    (zero_ ? line.path + '\0' : ShowText(line.path) + '\n'));
  }

  std::string target_;
  bool zero_ = false;
};

}  // namespace

std::unique_ptr<Command> NewStatus() { return std::make_unique<StatusCommand>(); }
std::unique_ptr<Command> NewDiff() { return std::make_unique<DiffCommand>(); }

}  // namespace stagefs
