// checkout: a revision as ordinary files in a folder.
#include "stagefs/checkout.h"

#include <csignal>
#include <filesystem>

#include "mount/mountpoint.h"
#include "progress.h"
#include "stagefs/interruption.h"
#include "target.h"

namespace stagefs {
namespace {

constexpr const char* kWhatLinksMean =
    "the files are links to those of the version store: read-only, with the store's times and modes, not executable, "
    "and for their owner alone. An editor that saves in place is refused, one that saves a new file is fine. Never "
    "chmod them: what is written to one is written to the store, whose versions are damaged then. Root is refused "
    "nothing.";

// Of the process: the signal that asked it to end.
volatile std::sig_atomic_t end_signal = 0;

// While it lives a signal that would end the process ends its work instead, so that what is half written is removed.
class EndingBySignal {
 public:
  EndingBySignal() {
    struct sigaction action {};
    action.sa_handler = [](int signal) { end_signal = signal; };
    action.sa_flags = SA_RESTART | SA_RESETHAND;  // A second one ends the process.
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction before {};
      sigaction(signal, nullptr, &before);
      if (before.sa_handler == SIG_DFL) sigaction(signal, &action, nullptr);
    }
  }
  // As others see it that the process was ended.
  static void EndProcess() {
    std::signal(end_signal, SIG_DFL);
    std::raise(end_signal);
  }

 private:
  Caller caller_{[] { return end_signal != 0; }};
  const WorkingFor scope_{&caller_};
};

// NS/REPO@REV and PATH. A colon of REV is in @{…}, or ends refs: at its beginning.
void SplitTarget(const std::string& text, std::string* target, std::string* path) {
  *target = text;
  const size_t at = text.find_first_of(":@");
  if (at == std::string::npos || text[at] == ':') return;
  size_t i = at + 1;
  if (text.compare(i, 5, "refs:") == 0) i += 5;
  bool in_braces = false;
  for (; i < text.size(); ++i) {
    if (text.compare(i, 2, "@{") == 0) in_braces = true;
    if (text[i] == '}') in_braces = false;
    if (text[i] == ':' && !in_braces) break;
  }
  if (i == text.size()) return;
  *target = text.substr(0, i);
  *path = text.substr(i + 1);
}

// A mount takes files as changes of its workspace.
Status CheckIsInNoMount(const std::string& folder) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::weakly_canonical(std::filesystem::absolute(folder, error), error);
  for (; path.has_relative_path(); path = path.parent_path()) {
    if (!DeviceOfMount(path.string())) continue;
    return Error(ErrorCode::kInvalidArgument, folder + " is in the stagefs mount " + path.string() +
                                                  ": name a folder elsewhere, or use stagefs restore");
  }
  return {};
}

class CheckoutCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddTree(&target_, "NS/REPO@REV or NS/REPO@REV:PATH");
    options.Add("folder", &folder_, "where the files come, made where there is none").Required().Completing(
        Completes::kFolder);
    options.Add("--link", &link_, "read-only hard links to the version store's files; no bytes are copied");
    options.Add("--force", &force_, "replace what was changed in the folder, and what is in the way");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const EndingBySignal ending;
    const auto done = CheckOut(globals);
    if (!done && done.error().code() == ErrorCode::kInterrupted) {
      const ExitStatus status = Report(done.error().In("interrupted: the same command goes on from here"));
      EndingBySignal::EndProcess();
      return status;
    }
    if (!done && done.error().code() == ErrorCode::kNoSpace) {
      return Report(Error(ErrorCode::kNoSpace, done.error().message() + ": make room, and call it again to go on"));
    }
    if (!done) return Report(done.error());
    if (done->has_state_file) {
      Warn("the revision's file " + std::string(kCheckoutStateFile) + " was left out: a checkout has its own");
    }
    if (link_) Warn(kWhatLinksMean);
    return Answer(globals.json,
                  {{"commit", commit_}, {"files", done->files}, {"bytes", done->bytes}, {"removed", done->removed}},
                  std::to_string(done->files) + " files (" + std::to_string(done->bytes) + " bytes) of commit " +
                      commit_ + " are in " + folder_ + ", " + std::to_string(done->removed) + " removed\n");
  }

  Result<CheckedOut> CheckOut(const GlobalOptions& globals) {
    std::string name, path;
    SplitTarget(target_, &name, &path);
    STAGEFS_ASSIGN_OR_RETURN(const TargetName parsed, TargetName::Parse(name));
    const std::string repository = parsed.repository.ToString();
    if (parsed.workspace) {
      return Error(ErrorCode::kInvalidArgument, name + " is a workspace, which changes: mount it, or commit it and " +
                                                    "check out the commit, as " + repository + "@REV");
    }
    const auto target = OpenTarget(globals, name, TargetNeeds::kTree);
    if (!target && target.error().code() == ErrorCode::kNotFound && parsed.revision) {
      return Error(ErrorCode::kNotFound, target.error().message() + ": stagefs branch list, stagefs tag list and " +
                                             "stagefs log " + repository + " show those there are");
    }
    if (!target) return target.error();
    if (target->revision.workspace) {
      return Error(ErrorCode::kInvalidArgument, name + " is a workspace, which changes: commit it, and check out the " +
                                                    "commit");
    }
    STAGEFS_RETURN_IF_ERROR(CheckIsInNoMount(folder_));
    CheckoutRequest request;
    request.revision = target->revision;
    STAGEFS_ASSIGN_OR_RETURN(request.path, RepoPath::ParseDirectory(path));
    request.folder = folder_;
    request.root = globals.root;
    request.link = link_;
    request.force = force_;
    commit_ = request.revision.commit.id;
    const Waiting waiting("checkout", "files");
    return Checkout(*target->repository, request);
  }

  std::string target_, folder_, commit_;
  bool link_ = false, force_ = false;
};

}  // namespace

std::unique_ptr<Command> NewCheckout() { return std::make_unique<CheckoutCommand>(); }

}  // namespace stagefs
