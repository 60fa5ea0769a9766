// status: what is staged.
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

}  // namespace

std::unique_ptr<Command> NewStatus() { return std::make_unique<StatusCommand>(); }

}  // namespace stagefs
