// mount, unmount.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

#include "author.h"
#include "mount/fuse_mount.h"
#include "mount/mountpoint.h"
#include "mount_options.h"
#include "server_hooks.h"
#include "stagefs/posix_env.h"
#include "stagefs/history.h"
#include "stagefs/daemon_log.h"
#include "stagefs/repositories.h"
#include "stagefs/status_text.h"
#include "stagefs/text.h"
#include "stagefs/upkeep.h"
#include "stagefs/workspaces.h"
#include "systemd.h"
#include "target.h"

namespace stagefs {
namespace {

void TellOfRecovery(const RecoveryReport& recovery) {
  if (recovery.restaged + recovery.recovered + recovery.lost_versions + recovery.left_for_later == 0) return;
  Warn("after a crash: " + std::to_string(recovery.restaged) + " files staged again, " +
       std::to_string(recovery.recovered) + " in .stagefs/recovered, " + std::to_string(recovery.lost_versions) +
       " versions lost with the power, " + std::to_string(recovery.left_for_later) + " left for the next start");
}

class MountCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.AddTree(&target_, "NS/REPO:WORKSPACE, or NS/REPO@REV for a commit, read-only");
    options.Add("mountpoint", &mountpoint_, "an empty folder").Required().Completing(Completes::kFolder);
    options.Add("--create", &create_, "make the repository, workspace and folder where they are missing");
    options.Add("--branch", &branch_, "branch of a workspace that --create makes").Completing(Completes::kBranch);
    options.Add("--foreground", &foreground_, "stay in the foreground");
    options.Add("-o,--options", &options_,
                "ro, allow_other, uid=N, gid=N, umask=OCTAL, show_control, nonempty, noexec, nosuid, nodev, noatime");
    options.Add("--debug", &debug_, "fuse,http: one line on stderr for what is refused");
    server_.Declare(options, false);
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const auto name = TargetName::Parse(target_);
    if (!name) return Report(name.error());
    const auto request = Prepare(globals, *name);
    if (!request) return Report(request.error());
    server_.debug = debug_.find("http") != std::string::npos;
    return foreground_ ? Done(Serve(globals, name->repository, *request, [] { TellSystemd("READY=1"); }))
                       : ServeBehind(globals, name->repository, *request);
  }

  Result<MountRequest> Prepare(const GlobalOptions& globals, const TargetName& name) {
    STAGEFS_ASSIGN_OR_RETURN(const ParsedMountOptions options, ParseMountOptions(options_));
    MountRequest request;
    if (name.revision) {
      STAGEFS_ASSIGN_OR_RETURN(request.commit, FindCommit(globals));
    } else {
      if (!name.workspace) {
        return Error(ErrorCode::kInvalidArgument, "name what to mount: " + target_ + ":WORKSPACE, or " + target_ +
                                                      "@main to look at a branch as it is now");
      }
      if (create_) {
        STAGEFS_RETURN_IF_ERROR(CreateMissing(globals, name));
      } else if (const auto target = OpenTarget(globals, target_, TargetNeeds::kWorkspace); !target) {
        return target.error();
      }
      request.workspace = *name.workspace;
    }
    STAGEFS_ASSIGN_OR_RETURN(const std::string path, PrepareMountpoint(mountpoint_, globals.root, options.nonempty));
    request.options = options.mount;
    request.options.read_only |= request.commit.has_value();
    request.options.mountpoint = path;
    request.options.actor = DefaultAuthor().name;
    request.allow_other = options.allow_other;
    request.kernel_options = options.kernel_options;
    request.debug = debug_.find("fuse") != std::string::npos;
    return request;
  }

  Result<CommitInfo> FindCommit(const GlobalOptions& globals) const {
    if (create_) {
      return Error(ErrorCode::kInvalidArgument, target_ + " is a commit, which is there or not: leave --create out");
    }
    STAGEFS_ASSIGN_OR_RETURN(const Target target, OpenTarget(globals, target_, TargetNeeds::kTree));
    return target.revision.commit;
  }

  Status CreateMissing(const GlobalOptions& globals, const TargetName& name) {
    const Status created = CreateRepository(globals.root, name.repository, globals.places);
    if (!created && created.error().code() != ErrorCode::kExists) return created;
    if (mkdir(mountpoint_.c_str(), 0755) != 0 && errno != EEXIST && errno != ENOTCONN) {
      return ErrnoError("make folder " + mountpoint_);
    }
    STAGEFS_ASSIGN_OR_RETURN(const auto repository, OpenRepository(globals.root, name.repository, globals.places));
    Workspaces workspaces(*repository);
    STAGEFS_ASSIGN_OR_RETURN(const auto known, workspaces.Find(*name.workspace));
    if (known) return {};
    return workspaces.Create(branch_, name.workspace, std::nullopt).WithoutValue();
  }

  Status Serve(const GlobalOptions& globals, const RepositoryName& name, MountRequest request,
               const std::function<void()>& on_ready) {
    Root root(globals.root, globals.places);
    STAGEFS_ASSIGN_OR_RETURN(const auto repository, root.Open(name));
    TellOfRecovery(repository->recovery());
    std::shared_ptr<void> server;
    if (!server_.listen.empty()) {
      STAGEFS_ASSIGN_OR_RETURN(server, globals.server->Start(root, server_));
    }
    const BackgroundCheck check([&root] { return root.Opened(); });
    request.on_ready = on_ready;
    const Status served = ServeMount(*repository, request);
    TellSystemd("STOPPING=1");
    return served;
  }

  // The parent goes once the mount answers; until then the child's complaints reach the terminal.
  ExitStatus ServeBehind(const GlobalOptions& globals, const RepositoryName& name, const MountRequest& request) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Report(ErrnoError("make a pipe"));
    const pid_t child = fork();
    if (child < 0) return Report(ErrnoError("fork"));
    if (child > 0) {
      close(ends[1]);
      const UniqueFd ready(ends[0]);
      char told = 0;
      if (read(ready.get(), &told, 1) == 1) return AnswerMounted(globals.json, request);
      int status = 0;
      waitpid(child, &status, 0);
      return WIFEXITED(status) ? static_cast<ExitStatus>(WEXITSTATUS(status)) : kExitTrouble;
    }
    // What the shell had open is none of a daemon's business: a lock would be held as long as the mount lasts.
    constexpr int kTell = STDERR_FILENO + 1;
    if (ends[1] != kTell) dup3(ends[1], kTell, O_CLOEXEC);
    closefrom(kTell + 1);
    setsid();
    const std::string log = globals.root + '/' + name.ToString() + "/mount.log";
    const ExitStatus status = Done(Serve(globals, name, request, [&] {
      LeaveTerminal(log);
      (void)!write(kTell, "1", 1);
      close(kTell);
    }));
    std::fflush(nullptr);
    return status;
  }

  static ExitStatus AnswerMounted(bool json, const MountRequest& request) {
    const std::string& mountpoint = request.options.mountpoint;
    if (!request.commit) return Answer(json, {{"mountpoint", mountpoint}});
    const CommitInfo& commit = *request.commit;
    return Answer(json, {{"mountpoint", mountpoint}, {"commit", commit.id}},
                  mountpoint + " shows commit " + commit.id + " of " + FormatTime(commit.time_ns) + ", \"" +
                      ShowText(commit.message.substr(0, commit.message.find('\n'))) + "\"\n");
  }

  static void LeaveTerminal(const std::string& log) {
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    const UniqueFd complaints(open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    dup2(null.get(), STDIN_FILENO);
    dup2(null.get(), STDOUT_FILENO);
    dup2(complaints.valid() ? complaints.get() : null.get(), STDERR_FILENO);
    if (const Status logs = LogTo(log); !logs) Log(LogLevel::kWarning, logs.error().message());
    (void)chdir("/");
  }

  std::string target_, mountpoint_, branch_{kDefaultBranch}, debug_;
  std::vector<std::string> options_;
  bool create_ = false, foreground_ = false;
  ServerSettings server_;
};

class UnmountCommand : public Command {
  void Declare(CommandOptions& options) override {
    options.Add("mountpoint", &mountpoint_, "where it is mounted").Required().Completing(Completes::kMountpoint);
    options.Add("--lazy", &lazy_, "also while files are open there");
  }

  ExitStatus Run(const GlobalOptions& globals) override {
    const Status unmounted = Unmount(mountpoint_, lazy_);
    return unmounted ? Answer(globals.json, {{"mountpoint", mountpoint_}}) : Report(unmounted.error());
  }

  std::string mountpoint_;
  bool lazy_ = false;
};

}  // namespace

std::unique_ptr<Command> NewMount() { return std::make_unique<MountCommand>(); }
std::unique_ptr<Command> NewUnmount() { return std::make_unique<UnmountCommand>(); }

}  // namespace stagefs
