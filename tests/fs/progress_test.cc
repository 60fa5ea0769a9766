#include "fs/commands/progress.h"

#include "tests/catch.h"

namespace stagefs::test {

TEST_CASE("Progress: how far, how fast, how long", "[fs][progress]") {
  using std::chrono::milliseconds;
  CHECK(ProgressText("put", "files", 0, 0, milliseconds(2000)) == "put: 0 files");
  CHECK(ProgressText("put", "files", 0, 9, milliseconds(2000)) == "put: 0 of 9 files");
  CHECK(ProgressText("put", "files", 3, 0, milliseconds(2000)) == "put: 3 files, 1.5 a second");
  CHECK(ProgressText("put", "files", 1000, 10'000, milliseconds(10'000)) ==
        "put: 1000 of 10000 files, 100 a second, 1:30 left");
  CHECK(ProgressText("put", "files", 100, 1'000'000, milliseconds(10'000)) ==
        "put: 100 of 1000000 files, 10 a second, 27 h 46 min left");
  CHECK(ProgressText("put", "files", 9, 9, milliseconds(0)) == "put: 9 of 9 files, 9000 a second");
}

}  // namespace stagefs::test
