// StagingWorker: manifests that were renamed into place.
#include "mount/staging_worker.h"

#include <chrono>
#include <condition_variable>

#include "stagefs/guarded.h"
#include "tests/fs/fs_scene.h"

namespace stagefs::test {
namespace {

using namespace std::chrono_literals;

// Counts how often a worker began; a run can be held.
class Runs {
 public:
  void Note() {
    auto state = state_.Lock();
    ++state->begun;
    changed_.notify_all();
    changed_.wait(state.lock(), [&] { return !state->held; });
  }
  void Hold(bool held) {
    state_.Lock()->held = held;
    changed_.notify_all();
  }
  bool Reach(int runs) {
    auto state = state_.Lock();
    return changed_.wait_for(state.lock(), 10s, [&] { return state->begun >= runs; });
  }
  int begun() { return state_.Lock()->begun; }

 private:
  struct State {
    int begun = 0;
    bool held = false;
  };
  Guarded<State> state_;
  std::condition_variable changed_;
};

}  // namespace

TEST_CASE("StagingWorker: what a crash left is staged without being asked", "[fs][staging_worker]") {
  Runs runs;
  StagingWorker worker([&] { return runs.Note(), true; });
  CHECK(runs.Reach(1));
}

TEST_CASE("StagingWorker: what is queued while it works is staged afterwards", "[fs][staging_worker]") {
  Runs runs;
  runs.Hold(true);
  StagingWorker worker([&] { return runs.Note(), true; });
  REQUIRE(runs.Reach(1));
  worker.Wake();
  worker.Wake();
  runs.Hold(false);
  CHECK(runs.Reach(2));
}

TEST_CASE("StagingWorker: what could not be staged is tried again", "[fs][staging_worker]") {
  Runs runs;
  std::atomic<bool> passed{false};
  StagingWorker worker([&] {
    runs.Note();
    return passed.exchange(true);
  });
  CHECK(runs.Reach(2));
}

TEST_CASE("StagingWorker: nothing is begun once it is stopped", "[fs][staging_worker]") {
  Runs runs;
  {
    StagingWorker worker([&] { return runs.Note(), true; });
    REQUIRE(runs.Reach(1));
    worker.Stop();
    worker.Wake();
  }
  CHECK(runs.begun() == 1);
}

TEST_CASE("StagingWorker: a manifest renamed into place is staged", "[fs][staging_worker]") {
  FsScene scene;
  const std::string hash = scene.Put("from a manifest");
  scene.Save("list.tmp", hash + "  staged.txt\n");
  scene.Move("list.tmp", "list.stage.sum");
  for (int i = 0; i < 500 && !scene.Exists("staged.txt"); ++i) std::this_thread::sleep_for(10ms);
  CHECK(scene.Read("staged.txt") == "from a manifest");
}

}  // namespace stagefs::test
