// What long work says of how far it is.
#include "stagefs/commit.h"
#include "stagefs/upkeep.h"
#include "stagefs/work_progress.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {

TEST_CASE("WorkProgress: the innermost one counts, and nobody need watch", "[core][progress]") {
  ExpectSteps(3);
  NoteSteps(3);
  WorkProgress outer, inner;
  const Watching all(&outer);
  {
    const Watching part(&inner);
    ExpectSteps(5);
    NoteSteps(2);
  }
  ExpectSteps(7);
  NoteSteps(1);
  CHECK((inner.expected == 5 && inner.done == 2));
  CHECK((outer.expected == 7 && outer.done == 1));
}

TEST_CASE("WorkProgress: a commit does all that it expected", "[core][progress]") {
  Scene scene;
  for (int i = 0; i < 20; ++i) scene.Stage("d" + std::to_string(i % 3) + "/f" + std::to_string(i), std::to_string(i));
  WorkProgress progress;
  const Watching watching(&progress);
  scene.Commit();
  CHECK(progress.expected == 60);
  CHECK(progress.done >= 60);
}

TEST_CASE("WorkProgress: so does a rebase that lays each row anew", "[core][progress]") {
  Scene scene;
  scene.Stage("d/old", "1");
  scene.Commit();
  const auto other = scene.Other();
  for (int i = 0; i < 9; ++i) scene.Stage("d/f" + std::to_string(i), std::to_string(i));
  Value(other->StagePath(Value(RepoPath::Parse("d/f0")), scene.Put("0"), {}));
  Value(CommitStaged(*other, "theirs", {"Ann", "ann@example.org"}, std::nullopt));
  WorkProgress progress;
  const Watching watching(&progress);
  CHECK(Value(Rebase(scene.workspace())) == 1);
  CHECK(progress.expected >= 27);
  CHECK(progress.done >= progress.expected);
}

TEST_CASE("WorkProgress: gc counts the versions it looks at", "[core][progress]") {
  Scene scene;
  for (int i = 0; i < 40; ++i) scene.Put(std::to_string(i));
  WorkProgress progress;
  const Watching watching(&progress);
  CHECK(Value(Gc(scene.repository(), 0)).versions == 40);
  CHECK(progress.expected >= 40);
  CHECK(progress.done == progress.expected);
}

}  // namespace stagefs::test
