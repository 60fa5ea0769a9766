// stagefs: the one file that sees core, the mount and the HTTP server.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "commands/commands.h"
#include "mount/fuse_mount.h"
#include "mount/mountpoint.h"
#include "stagefs/posix_env.h"
#include "stagefs/process.h"
#include "stagefs/history.h"
#include "stagefs/repositories.h"
#include "stagefs/scratch_names.h"
#include "stagefs/workspaces.h"
#if STAGEFS_HTTP
#include "api/server/http_server.h"
#include "api/server/token.h"
#endif

namespace stagefs {
namespace {

struct MountArguments {
  std::string target, mountpoint;
  std::vector<std::string> options;
  bool create = false, foreground = false, lazy = false;
  std::string branch = std::string(kDefaultBranch);
  std::string debug;
};

struct ServeArguments {
  std::string listen;
  bool insecure_no_auth = false;
  std::string tls_certificate, tls_key;
  uint64_t body_bytes_max = 1ULL << 30;
};

// What systemd waits for with Type=notify (sd_notify(3)).
void TellSystemd(const char* state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || std::strlen(path) >= sizeof(sockaddr_un::sun_path)) return;
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, std::strlen(path));
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  (void)sendto(fd.get(), state, std::strlen(state), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
               static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path)));
}

// `-o a,b=c` as mount(8) gives it.
struct ParsedOptions {
  MountOptions mount;
  bool allow_other = false, nonempty = false;
};

Result<uint32_t> ParseNumber(const std::string& name, const std::string& text, int base) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text.c_str(), &end, base);
  if (text.empty() || *end != '\0' || value > UINT32_MAX) {
    return Error(ErrorCode::kInvalidArgument, "-o " + name + "=" + text + ": not a number");
  }
  return static_cast<uint32_t>(value);
}

Result<ParsedOptions> ParseOptions(const std::vector<std::string>& lists) {
  ParsedOptions parsed;
  parsed.mount.uid = getuid();
  parsed.mount.gid = getgid();
  parsed.mount.umask = umask(0);
  umask(parsed.mount.umask);
  for (const std::string& list : lists) {
    std::istringstream pieces(list);
    for (std::string piece; std::getline(pieces, piece, ',');) {
      const std::string name = piece.substr(0, piece.find('='));
      const std::string value = name.size() < piece.size() ? piece.substr(name.size() + 1) : "";
      if (name == "ro") parsed.mount.read_only = true;
      else if (name == "rw") parsed.mount.read_only = false;
      else if (name == "allow_other") parsed.allow_other = true;
      else if (name == "show_control") parsed.mount.show_control = true;
      else if (name == "nonempty") parsed.nonempty = true;
      else if (name == "uid") {
        STAGEFS_ASSIGN_OR_RETURN(parsed.mount.uid, ParseNumber(name, value, 10));
      } else if (name == "gid") {
        STAGEFS_ASSIGN_OR_RETURN(parsed.mount.gid, ParseNumber(name, value, 10));
      } else if (name == "umask") {
        STAGEFS_ASSIGN_OR_RETURN(parsed.mount.umask, ParseNumber(name, value, 8));
      } else if (!name.empty()) {
        return Error(
            ErrorCode::kInvalidArgument,
            "-o " + name + ": unknown; use ro, allow_other, uid=, gid=, umask=, show_control, nonempty");
      }
    }
  }
  return parsed;
}

class Program {
 public:
  int Run(int argc, char** argv) {
    app_.description("Mounts a dataset workspace as a folder; what you do in it is staged by content hash.");
    app_.set_version_flag("--version", "stagefs " STAGEFS_VERSION);
    app_.add_option("--root", options_.root, "where repositories live ($STAGEFS_ROOT)")
        ->capture_default_str()
        ->transform([](const std::string& root) { return std::filesystem::absolute(root).string(); });
    app_.add_option("--index", options_.places.index,
                    "postgresql://HOST/DATABASE for repositories that many machines share ($STAGEFS_INDEX)")
        ->envname("STAGEFS_INDEX");
    app_.add_option("--versions", options_.places.versions,
                    "s3://BUCKET/PREFIX?endpoint=URL for versions that many machines share ($STAGEFS_VERSIONS)")
        ->envname("STAGEFS_VERSIONS");
    app_.add_flag("--json", options_.json, "print JSON where there is something to parse");
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer(
        std::string(
            "Examples:\n"
            "  stagefs mount team/images:relabel mnt --create\n"
            "  stagefs put team/images photos/ | stagefs stage team/images:relabel -d train -\n"
            "  stagefs status team/images:relabel\n"
            "  stagefs commit team/images:relabel -m 'Add photos'\n"
            "  stagefs unmount mnt\n\n"
            "Exit status: 0 done; 1 done, but something was refused or fsck found damage; 2 bad usage\n"
            "or input; 3 not found; 4 conflict, busy or there already; 5 disk, kernel or index trouble.\n\n"
            "Names that are scratch when written through a mount (never staged):\n") +
        std::string(ScratchNamesHelp()));
    AddCommands(app_, options_, &status_);
    AddMount();
    AddServe();
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? kExitOk : kExitUsage;
    }
    if (std::fflush(stdout) != 0 && status_ == kExitOk) return Report(ErrnoError("write to standard output"));
    return status_;
  }

 private:
  void AddMount() {
    CLI::App* mount = app_.add_subcommand("mount", "Mount a workspace as a folder");
    mount->add_option("target", mount_.target, "NS/REPO:WORKSPACE")->required()->type_name("");
    mount->add_option("mountpoint", mount_.mountpoint, "an empty folder")->required();
    mount->add_flag("--create", mount_.create,
                    "make the repository, workspace and folder where they are missing");
    mount->add_option("--branch", mount_.branch, "branch of a workspace that --create makes")
        ->capture_default_str();
    mount->add_flag("--foreground", mount_.foreground, "stay in the foreground");
    mount->add_option("-o,--options", mount_.options,
                      "ro, allow_other, uid=N, gid=N, umask=OCTAL, show_control, nonempty");
    mount->add_option("--debug", mount_.debug, "fuse,http: one line on stderr for what is refused");
    AddListen(mount);
    mount->footer("Example:\n  stagefs mount team/images:relabel mnt --create");
    mount->callback([this] { status_ = Mount(); });

    CLI::App* unmount = app_.add_subcommand("unmount", "Unmount a workspace");
    unmount->add_option("mountpoint", mount_.mountpoint, "where it is mounted")->required();
    unmount->add_flag("--lazy", mount_.lazy, "also while files are open there");
    unmount->footer("Example:\n  stagefs unmount mnt");
    unmount->callback([this] {
      const Status done = Unmount(mount_.mountpoint, mount_.lazy);
      status_ = done ? kExitOk : Report(done.error());
    });
  }

  void AddListen(CLI::App* command) {
#if STAGEFS_HTTP
    command->add_option("--listen", serve_.listen, "serve HTTP at ADDRESS:PORT (:PORT means loopback)");
    command->add_flag("--insecure-no-auth", serve_.insecure_no_auth, "serve anybody who can connect");
    command->add_option("--tls-cert", serve_.tls_certificate, "certificate chain, PEM");
    command->add_option("--tls-key", serve_.tls_key, "its private key, PEM");
    command->add_option("--max-body", serve_.body_bytes_max, "largest request body in bytes")
        ->capture_default_str();
#else
    (void)command;
#endif
  }

  void AddServe() {
#if STAGEFS_HTTP
    CLI::App* serve = app_.add_subcommand("serve", "Serve HTTP without a mount");
    AddListen(serve);
    serve->get_option("--listen")->required();
    serve->add_option("--debug", mount_.debug, "http: one line on stderr a request");
    serve->footer("Example:\n  stagefs serve --listen :3000");
    serve->callback([this] { status_ = Serve(); });

    CLI::App* token = app_.add_subcommand("token", "Tokens for HTTP clients");
    token->require_subcommand(1);
    CLI::App* create = token->add_subcommand("create", "Print a new token");
    create->add_option("--user", user_, "whose token it is")->required();
    create->add_option("--email", email_, "the user's address, for commits");
    create->add_option("--expires", expires_, "how long it is good for: 30d, 12h, 15m")
        ->capture_default_str();
    create->footer("Example:\n  stagefs token create --user ann --expires 30d");
    create->callback([this] { status_ = CreateToken(); });
#endif
  }

#if STAGEFS_HTTP
  ExitStatus CreateToken() {
    const auto expires = ParseDuration(expires_);
    if (!expires) return Report(expires.error());
    const auto tokens = Tokens::Open(options_.root);
    if (!tokens) return Report(tokens.error());
    const auto token = tokens->Create({user_, email_.empty() ? user_ + "@localhost" : email_}, *expires);
    if (!token) return Report(token.error());
    std::printf("%s\n", token->c_str());
    return kExitOk;
  }

  Result<std::unique_ptr<HttpServer>> StartServer(Root& root) {
    STAGEFS_ASSIGN_OR_RETURN(HttpOptions options, HttpOptions::ParseListen(serve_.listen));
    options.authenticate = !serve_.insecure_no_auth;
    options.tls_certificate = serve_.tls_certificate;
    options.tls_key = serve_.tls_key;
    options.body_bytes_max = serve_.body_bytes_max;
    options.debug = mount_.debug.find("http") != std::string::npos;
    STAGEFS_ASSIGN_OR_RETURN(auto server, HttpServer::Start(root, options));
    std::fprintf(stderr, "stagefs: serving %s://%s:%u\n", options.tls_key.empty() ? "http" : "https",
                 options.address.c_str(), server->port());
    return server;
  }

  ExitStatus Serve() {
    // Blocked before any thread starts, so that only we take them.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    Root root(options_.root, options_.places);
    const auto server = StartServer(root);
    if (!server) return Report(server.error());
    TellSystemd("READY=1");
    int signal = 0;
    sigwait(&signals, &signal);
    TellSystemd("STOPPING=1");
    return kExitOk;
  }
#endif

  Status CreateMissing(const TargetName& name) {
    const Status created = CreateRepository(options_.root, name.repository, options_.places);
    if (!created && created.error().code() != ErrorCode::kExists) return created;
    if (mkdir(mount_.mountpoint.c_str(), 0755) != 0 && errno != EEXIST && errno != ENOTCONN) {
      return ErrnoError("make folder " + mount_.mountpoint);
    }
    STAGEFS_ASSIGN_OR_RETURN(const auto repository, OpenRepository(options_.root, name.repository, options_.places));
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository->index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const auto known, reader->FindWorkspace(*name.workspace));
    if (known) return {};
    return Workspaces(*repository).Create(mount_.branch, name.workspace, std::nullopt).WithoutValue();
  }

  ExitStatus Mount() {
    const auto name = TargetName::Parse(mount_.target);
    if (!name) return Report(name.error());
    if (!name->workspace)
      return Report({ErrorCode::kInvalidArgument, "name the workspace: NS/REPO:WORKSPACE"});
    const auto options = ParseOptions(mount_.options);
    if (!options) return Report(options.error());
    if (mount_.create) {
      if (const Status created = CreateMissing(*name); !created) return Report(created.error());
    } else if (const auto target = OpenTarget(options_, mount_.target, true); !target) {
      return Report(target.error());
    }
    const auto path = PrepareMountpoint(mount_.mountpoint, options_.root, options->nonempty);
    if (!path) return Report(path.error());
    MountRequest request;
    request.workspace = *name->workspace;
    request.options = options->mount;
    request.options.mountpoint = *path;
    request.allow_other = options->allow_other;
    request.debug = mount_.debug.find("fuse") != std::string::npos;
    return mount_.foreground ? ServeMountHere(*name, request, [] { TellSystemd("READY=1"); })
                             : ServeMountBehind(*name, request);
  }

  ExitStatus ServeMountHere(const TargetName& name, MountRequest request,
                            const std::function<void()>& on_ready) {
    Root root(options_.root, options_.places);
    const auto repository = root.Open(name.repository);
    if (!repository) return Report(repository.error());
    const RecoveryReport& recovery = (*repository)->recovery();
    if (recovery.restaged + recovery.recovered + recovery.lost_versions > 0) {
      std::fprintf(
          stderr,
          "stagefs: after a crash: %lld files staged again, %lld in .stagefs/recovered, %lld versions "
          "lost with the power\n",
          static_cast<long long>(recovery.restaged), static_cast<long long>(recovery.recovered),
          static_cast<long long>(recovery.lost_versions));
    }
#if STAGEFS_HTTP
    std::unique_ptr<HttpServer> server;
    if (!serve_.listen.empty()) {
      auto started = StartServer(root);
      if (!started) return Report(started.error());
      server = std::move(*started);
    }
#endif
    request.on_ready = on_ready;
    const Status served = ServeMount(**repository, request);
    TellSystemd("STOPPING=1");
    return served ? kExitOk : Report(served.error());
  }

  // The parent goes once the mount answers; until then the child's complaints reach the terminal.
  ExitStatus ServeMountBehind(const TargetName& name, const MountRequest& request) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Report(ErrnoError("make a pipe"));
    const pid_t child = fork();
    if (child < 0) return Report(ErrnoError("fork"));
    if (child > 0) {
      close(ends[1]);
      const UniqueFd ready(ends[0]);
      char told = 0;
      if (read(ready.get(), &told, 1) == 1) return kExitOk;
      int status = 0;
      waitpid(child, &status, 0);
      return WIFEXITED(status) ? static_cast<ExitStatus>(WEXITSTATUS(status)) : kExitTrouble;
    }
    close(ends[0]);
    setsid();
    const std::string log = options_.root + '/' + name.repository.ToString() + "/mount.log";
    const ExitStatus status = ServeMountHere(name, request, [&] {
      const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
      const UniqueFd complaints(open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
      dup2(null.get(), STDIN_FILENO);
      dup2(null.get(), STDOUT_FILENO);
      dup2(complaints.valid() ? complaints.get() : null.get(), STDERR_FILENO);
      (void)chdir("/");
      (void)!write(ends[1], "1", 1);
      close(ends[1]);
    });
    std::fflush(nullptr);
    return status;
  }

  CLI::App app_;
  GlobalOptions options_{.root = std::filesystem::absolute(DefaultRoot()).string(), .places = {}, .json = false};
  ExitStatus status_ = kExitOk;
  MountArguments mount_;
  ServeArguments serve_;
  std::string user_, email_, expires_ = "30d";
};

}  // namespace
}  // namespace stagefs

int main(int argc, char** argv) {
  stagefs::RaiseOpenFilesLimit();
  return stagefs::Program().Run(argc, argv);
}
