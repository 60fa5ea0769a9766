// Turns to write, and the log that writers leave.
#include "index/sqlite/writer_turn.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "index/sqlite/sqlite.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

using namespace std::chrono_literals;

TurnClock::time_point In(std::chrono::milliseconds time) { return TurnClock::now() + time; }

// Somebody waits long enough to be next.
void AwaitNext(const std::string& turn_file) {
  const UniqueFd fd = Value(OpenFd(turn_file, O_RDWR));
  struct flock lock {};
  do {
    lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1, .l_pid = 0};
    REQUIRE(fcntl(fd.get(), F_OFD_GETLK, &lock) == 0);
  } while (lock.l_type == F_UNLCK);
}

}  // namespace

TEST_CASE("FairMutex: who waits comes before who just ended", "[core][turn]") {
  FairMutex mutex;
  std::atomic<bool> waits = false, had = false;
  mutex.lock();
  std::thread other([&] {
    waits = true;
    const std::lock_guard lock(mutex);
    had = true;
  });
  int turns = 0;
  while (!had && turns < 500) {
    std::this_thread::sleep_for(2ms);
    turns += waits;
    mutex.unlock();
    mutex.lock();
  }
  mutex.unlock();
  other.join();
  CHECK(turns < 500);
}

TEST_CASE("FairMutex: waiting ends in time, and whoever waits behind goes on", "[core][turn]") {
  FairMutex mutex;
  mutex.lock();
  CHECK_FALSE(mutex.try_lock());
  std::atomic<int> in_time = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      if (!mutex.try_lock_until(In(i % 2 == 0 ? 5ms : 60'000ms))) return;
      ++in_time;
      mutex.unlock();
    });
  }
  threads[0].join();
  threads[2].join();
  CHECK(in_time == 0);
  mutex.unlock();
  threads[1].join();
  threads[3].join();
  CHECK(in_time == 2);
  CHECK(mutex.try_lock());
}

TEST_CASE("TurnFile: who waits comes before who just ended", "[core][turn]") {
  TempFolder folder;
  TurnFile ours(folder / "turn"), theirs(folder / "turn");
  REQUIRE(ours.Lock(In(0ms)));
  CHECK_FALSE(theirs.Lock(In(5ms)));
  std::atomic<bool> had = false;
  std::thread waits([&] {
    had = theirs.Lock(In(60'000ms));
    if (had) theirs.Unlock();
  });
  AwaitNext(folder / "turn");
  ours.Unlock();
  CHECK(ours.Lock(In(60'000ms)));
  CHECK(had);
  waits.join();
}

TEST_CASE("TurnFile: who is next and was stopped is passed over", "[core][turn]") {
  TempFolder folder;
  TurnFile ours(folder / "turn");
  const UniqueFd stopped = Value(OpenFd(folder / "turn", O_RDWR));
  struct flock next = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1, .l_pid = 0};
  REQUIRE(fcntl(stopped.get(), F_OFD_SETLK, &next) == 0);
  CHECK_FALSE(ours.Lock(In(5ms)));
  CHECK(ours.Lock(In(60'000ms)));
}

TEST_CASE("Turns: a turn is waited for as long as was asked, whoever has it", "[core][turn]") {
  TempFolder folder;
  const std::string path = folder / "stagefs.db";
  const auto index = Value(OpenSqliteStagingIndex(path)), other = Value(OpenSqliteStagingIndex(path));
  const auto why_not = [&](StagingIndex& of) {
    return of.Begin(Durability::kProcessDeath, Turn::Everything().Within(5ms)).error().code();
  };
  {
    const auto held = Value(other->Begin(Durability::kProcessDeath));
    CHECK(why_not(*index) == ErrorCode::kBusy);
    CHECK(why_not(*other) == ErrorCode::kBusy);
  }
  {
    // A stagefs from before there were turns.
    const auto old = Value(SqliteConnection::Open(path, {}));
    Ok(old->Run("BEGIN IMMEDIATE"));
    CHECK(why_not(*index) == ErrorCode::kBusy);
  }
  Ok(index->Begin(Durability::kProcessDeath, Turn::Everything().Within(5ms)).WithoutValue());
}

TEST_CASE("Turns: opening an index waits for nobody's", "[core][turn]") {
  TempFolder folder;
  const std::string path = folder / "stagefs.db";
  const auto index = Value(OpenSqliteStagingIndex(path));
  const auto held = Value(index->Begin(Durability::kProcessDeath));
  const auto begun = TurnClock::now();
  Ok(OpenSqliteStagingIndex(path).WithoutValue());
  CHECK(TurnClock::now() - begun < 30s);
}

TEST_CASE("Turns: the log of those who write all the time stays short", "[core][turn]") {
  TempFolder folder;
  const std::string path = folder / "stagefs.db";
  const auto index = Value(OpenSqliteStagingIndex(path));
  off_t longest = 0;
  for (int i = 0; i < 1500; ++i) {
    const auto transaction = Value(index->Begin(Durability::kProcessDeath));
    Ok(transaction->PutMeta("key", std::string(300'000, static_cast<char>('a' + i % 26))));
    Ok(transaction->Commit());
    struct stat log {};
    REQUIRE(stat((path + "-wal").c_str(), &log) == 0);
    longest = std::max(longest, log.st_size);
  }
  CHECK(longest > 64 << 20);
  CHECK(longest < 256 << 20);
}

}  // namespace stagefs::test
