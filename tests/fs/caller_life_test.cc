// Which programs are about to end.
#include "fs/mount/caller_life.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <atomic>
#include <functional>
#include <thread>

#include "stagefs/posix_env.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

// A process that prepares and then sleeps; stopped, where signals shall wait for it.
class Sleeper {
 public:
  explicit Sleeper(const std::function<void()>& prepare = [] {}) : pid_(fork()) {
    if (pid_ == 0) {
      prepare();
      (void)raise(SIGSTOP);
      for (;;) pause();
    }
    REQUIRE(pid_ > 0);
    REQUIRE(waitpid(pid_, nullptr, WUNTRACED) == pid_);
  }
  ~Sleeper() {
    (void)kill(pid_, SIGKILL);
    (void)waitpid(pid_, nullptr, 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  pid_t pid() const { return pid_; }
  void Send(int signal) const { REQUIRE(kill(pid_, signal) == 0); }

 private:
  const pid_t pid_;
};

}  // namespace

TEST_CASE("CallerLife: a program that runs, stands still or handles a signal goes on", "[fs][life]") {
  CHECK(CallerLife(getpid()).Look() == Life::kGoesOn);
  const Sleeper handles([] { (void)std::signal(SIGQUIT, [](int) {}); });
  const Sleeper ignores([] { (void)std::signal(SIGQUIT, SIG_IGN); });
  const Sleeper blocks([] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGQUIT);
    (void)sigprocmask(SIG_BLOCK, &set, nullptr);
  });
  for (const Sleeper* sleeper : {&handles, &ignores, &blocks}) {
    CHECK(CallerLife(sleeper->pid()).Look() == Life::kGoesOn);
    sleeper->Send(SIGQUIT);
    sleeper->Send(SIGWINCH);
    CHECK(CallerLife(sleeper->pid()).Look() == Life::kGoesOn);
  }
}

TEST_CASE("CallerLife: a program that a signal waits for, or that is dead or gone, ends", "[fs][life]") {
  {
    const Sleeper dumps_core([] {
      const rlimit none{};
      (void)setrlimit(RLIMIT_CORE, &none);
    });
    dumps_core.Send(SIGQUIT);
    CHECK(CallerLife(dumps_core.pid()).Look() == Life::kEnds);
  }
  const pid_t pid = fork();
  if (pid == 0) {
    (void)raise(SIGSTOP);
    _exit(0);
  }
  REQUIRE(waitpid(pid, nullptr, WUNTRACED) == pid);
  CallerLife life(pid);
  CHECK(life.Look() == Life::kGoesOn);
  REQUIRE(kill(pid, SIGKILL) == 0);
  siginfo_t info;
  REQUIRE(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
  CHECK(life.Look() == Life::kEnds);
  REQUIRE(waitpid(pid, nullptr, 0) == pid);
  CHECK(life.Look() == Life::kEnds);
}

TEST_CASE("CallerLife: a thread that is gone may have asked for another one", "[fs][life]") {
  std::atomic<pid_t> id = 0;
  std::atomic<bool> seen = false;
  std::thread thread([&] {
    id = gettid();
    while (!seen) std::this_thread::yield();
  });
  while (id == 0) std::this_thread::yield();
  CallerLife life(id), late(id);
  CHECK(life.Look() == Life::kGoesOn);
  seen = true;
  thread.join();
  while (access(("/proc/" + std::to_string(id)).c_str(), F_OK) == 0) std::this_thread::yield();
  CHECK(life.Look() == Life::kGoesOn);
  CHECK(late.Look() == Life::kUnknown);
}

TEST_CASE("CallerLife: nothing is known of a program of another PID namespace", "[fs][life]") {
  CHECK(CallerLife(0).Look() == Life::kUnknown);
}

}  // namespace stagefs::test
