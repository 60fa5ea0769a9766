#define FUSE_USE_VERSION 312
#include "fuse_mount.h"

#include <fuse_lowlevel.h>
#include <unistd.h>

#include <thread>

#include "fuse_ops.h"
#include "fuse_killpriv.h"
#include "window_poker.h"
#include "stagefs/counters.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr unsigned kIdleThreadsMax = 10;

// A workspace's name may have what separates options.
std::string EscapeOption(const std::string& value) {
  std::string escaped;
  for (const char c : value) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

class FuseArgs {
 public:
  explicit FuseArgs(const std::string& options) {
    fuse_opt_add_arg(&args_, "stagefs");
    fuse_opt_add_arg(&args_, "-o");
    fuse_opt_add_arg(&args_, options.c_str());
  }
  ~FuseArgs() { fuse_opt_free_args(&args_); }
  FuseArgs(const FuseArgs&) = delete;
  FuseArgs& operator=(const FuseArgs&) = delete;
  fuse_args* get() { return &args_; }

 private:
  fuse_args args_ = FUSE_ARGS_INIT(0, nullptr);
};

// A session, mounted while this lives.
class Session {
 public:
  Session(fuse_args* args, FuseContext* context)
      : session_(fuse_session_new(args, &FuseOperations(), sizeof(fuse_lowlevel_ops), context)) {}
  ~Session() {
    if (session_ == nullptr) return;
    if (mounted_) {
      fuse_remove_signal_handlers(session_);
      fuse_session_unmount(session_);
    }
    fuse_session_destroy(session_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Status Mount(const std::string& mountpoint) {
    if (access("/dev/fuse", F_OK) != 0) {
      return Error(ErrorCode::kNotFound,
                   "/dev/fuse is missing: load the fuse module, or give the container the device");
    }
    if (session_ == nullptr) return Error(ErrorCode::kInvalidArgument, "FUSE refused the mount options");
    if (fuse_session_mount(session_, mountpoint.c_str()) != 0) {
      return Error(ErrorCode::kIo, "mount at " + mountpoint +
                                       " failed: see above; -o allow_other as an ordinary user needs "
                                       "user_allow_other in /etc/fuse.conf");
    }
    mounted_ = true;
    OfferKillpriv(session_);
    if (fuse_set_signal_handlers(session_) != 0) return Error(ErrorCode::kIo, "cannot set signal handlers");
    return {};
  }

  void Loop() {
    fuse_loop_config* config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(config, kFuseThreadsMax);
    fuse_loop_cfg_set_idle_threads(config, kIdleThreadsMax);
    fuse_session_loop_mt(session_, config);
    fuse_loop_cfg_destroy(config);
  }

  fuse_session* get() const { return session_; }

 private:
  fuse_session* const session_;
  bool mounted_ = false;
};

}  // namespace

Status ServeMount(Repository& repository, const MountRequest& request) {
  if (const Status writable = repository.CheckWritable(); !writable && !request.options.read_only) {
    return Error(writable.error().code(), writable.error().message() + ". To read: mount it with -o ro");
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto fs,
                           request.commit ? StageFs::OfCommit(repository, *request.commit, request.options)
                                          : StageFs::OfWorkspace(repository, request.workspace, request.options));
  const std::string shown = request.commit ? '@' + request.commit->id : ':' + request.workspace;
  std::string options = "fsname=" + EscapeOption("stagefs#" + repository.name().ToString() + shown) +
                        ",subtype=stagefs,default_permissions" + request.kernel_options;
  if (request.options.read_only) options += ",ro";
  if (request.allow_other) options += ",allow_other";
  FuseArgs args(options);
  WindowPoker poker(fs->nodes(), fs->tree(), request.options.mountpoint);  // Outlives the session.
  FuseContext context{*fs, request.debug, poker, request.on_ready};
  Status noted;
  {
    Session session(args.get(), &context);
    context.session = session.get();
    STAGEFS_RETURN_IF_ERROR(session.Mount(request.options.mountpoint));
    STAGEFS_RETURN_IF_ERROR(fs->registration().Note());
    fs->AwaitClosed();
    // The only thread that tells the kernel anything: a request that did so could wait for itself.
    std::thread notifier([&] {
      while (fs->notifier().WaitForChange()) {
        const auto begun = std::chrono::steady_clock::now();
        fs->notifier().Refresh(
            {[&](NodeId parent, const std::string& name) {
               fuse_lowlevel_notify_inval_entry(session.get(), parent, name.data(), name.size());
             },
             [&](NodeId id) { fuse_lowlevel_notify_inval_inode(session.get(), id, -1, 0); },
             [&](std::vector<ChangedFolder> changed) { poker.Add(std::move(changed)); }});
        const auto took = std::chrono::steady_clock::now() - begun;
        Counters().notifier_lag_ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
      }
    });
    session.Loop();
    poker.Stop();
    fs->Stop();
    notifier.join();
    fs->KeepUnstaged();
    noted = fs->registration().Erase();
  }
  STAGEFS_RETURN_IF_ERROR(repository.SyncAll());
  return noted;
}

}  // namespace stagefs
