// Callers who give up: what works or waits for them ends, and leaves things as they were.
#include "stagefs/interruption.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "core/versions/http_client.h"
#include "core/versions/version_cache.h"
#include "index/sqlite/sqlite.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "index/sqlite/writer_turn.h"
#include "stagefs/parallel.h"
#include "tests/core/version_store_scene.h"

namespace stagefs::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

// A test that nobody interrupts would take for ever, or fail otherwise.
constexpr auto kSoon = 10s;

// This thread works for somebody who has given up.
struct Abandoned {
  Caller caller{[] { return true; }};
  WorkingFor scope{&caller};
};

bool IsInterrupted(const Status& status) { return !status && status.error().code() == ErrorCode::kInterrupted; }

std::string SparseFile(const TempFolder& folder, off_t size_bytes) {
  const std::string path = folder / "sparse";
  WriteFile(path, "");
  REQUIRE(truncate(path.c_str(), size_bytes) == 0);
  return path;
}

// Nearly: as many lines as are asked for.
class EndlessManifest : public RewindableSource {
 public:
  explicit EndlessManifest(std::string hash) : hash_(std::move(hash)) {}
  Status Rewind() override {
    text_.clear();
    line_ = 0;
    return {};
  }
  Result<size_t> Read(void* data, size_t size_bytes) override {
    constexpr int kLinesMax = 2'000'000;
    while (text_.size() < size_bytes) text_ += hash_ + "  d/" + std::to_string(line_++) + '\n';
    text_.copy(static_cast<char*>(data), size_bytes);
    text_.erase(0, size_bytes);
    return line_ < kLinesMax ? size_bytes : 0;
  }

 private:
  const std::string hash_;
  std::string text_;
  int line_ = 0;
};

// A server that takes connections and never answers.
struct SilentServer {
  SilentServer() {
    REQUIRE(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(socket.get(), 16) == 0);
    socklen_t size = sizeof address;
    REQUIRE(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + '/'; }

  const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
};

}  // namespace

TEST_CASE("Interruption: a caller is looked after seldom, and what was found stays", "[core][interruption]") {
  CHECK_FALSE(Interrupted());
  int looks = 0;
  bool gone = false;
  Caller caller([&] {
    ++looks;
    return gone;
  });
  const WorkingFor scope(&caller);
  const auto begun = steady_clock::now();
  while (looks < 2) {
    REQUIRE_FALSE(Interrupted());
    std::this_thread::sleep_for(1ms);
  }
  CHECK(steady_clock::now() - begun >= kFirstLookAfter + kLookAfterCallerEvery);
  gone = true;
  while (!Interrupted()) std::this_thread::sleep_for(1ms);
  gone = false;
  CHECK(Interrupted());
  CHECK(CheckInterrupted().error().code() == ErrorCode::kInterrupted);
}

TEST_CASE("Interruption: what is committed, or put back, is carried through", "[core][interruption]") {
  const Abandoned abandoned;
  while (!Interrupted()) std::this_thread::sleep_for(1ms);
  {
    const WorkingFor nobody(nullptr);
    CHECK_FALSE(Interrupted());
  }
  CHECK(Interrupted());
  CarryThrough();
  CHECK_FALSE(Interrupted());
}

TEST_CASE("Interruption: threads that help work for the same caller", "[core][interruption]") {
  const Abandoned abandoned;
  std::atomic<int> began = 0;
  const Status done = InParallel(4, 4, [&](uint64_t) -> Status {
    began.fetch_add(1);
    while (began < 4) std::this_thread::yield();
    const auto end = steady_clock::now() + kSoon;
    while (!Interrupted() && steady_clock::now() < end) std::this_thread::sleep_for(1ms);
    return CheckInterrupted();
  });
  CHECK(IsInterrupted(done));
}

TEST_CASE("Interruption: a lock is not waited for any more", "[core][interruption]") {
  std::timed_mutex mutex;
  {
    const std::lock_guard held(mutex);
    std::thread([&] {
      const Abandoned abandoned;
      CHECK(IsInterrupted(LockInterruptibly(mutex).WithoutValue()));
    }).join();
  }
  CHECK(LockInterruptibly(mutex));
}

TEST_CASE("Interruption: hashing and copying end", "[core][interruption]") {
  TempFolder folder;
  const UniqueFd huge = Value(OpenFd(SparseFile(folder, off_t{1} << 40), O_RDONLY));
  const UniqueFd to = Value(OpenFd(folder / "copy", O_RDWR | O_CREAT));
  {
    const Abandoned abandoned;
    CHECK(IsInterrupted(HashFile(huge.get()).WithoutValue()));
  }
  // A hole is copied at once; many pieces take their time. Not the whole file, which a disk might share.
  constexpr uint64_t kPieces = 10'000;
  const UniqueFd pieces = Value(OpenFd(folder / "pieces", O_RDWR | O_CREAT));
  for (uint64_t i = 0; i <= kPieces; ++i) Ok(WriteAllAt(pieces.get(), "x", 1, i << 16));
  const Abandoned abandoned;
  CHECK(IsInterrupted(CopyBytes(pieces.get(), to.get(), kPieces << 16)));
}

TEST_CASE("Interruption: a turn to write is not waited for any more, whoever has it", "[core][interruption]") {
  TempFolder folder;
  const std::string path = folder / "stagefs.db";
  const auto index = Value(OpenSqliteStagingIndex(path)), other = Value(OpenSqliteStagingIndex(path));
  const auto begin_abandoned = [](StagingIndex& of) {
    const Abandoned abandoned;
    return of.Begin(Durability::kProcessDeath).WithoutValue();
  };
  const auto begun = steady_clock::now();
  {
    const auto held = Value(other->Begin(Durability::kProcessDeath));
    CHECK(IsInterrupted(begin_abandoned(*other)));  // A thread of this process.
    CHECK(IsInterrupted(begin_abandoned(*index)));  // Another process.
  }
  {
    // A stagefs from before there were turns.
    const auto old = Value(SqliteConnection::Open(path, {}));
    Ok(old->Run("BEGIN IMMEDIATE"));
    CHECK(IsInterrupted(begin_abandoned(*index)));
  }
  CHECK(steady_clock::now() - begun < kSoon);
  Ok(index->Begin(Durability::kProcessDeath, Turn::Everything().Within(5ms)).WithoutValue());
}

TEST_CASE("Interruption: what is committed is synced, though nobody waits for it", "[core][interruption]") {
  TempFolder folder;
  const auto index = Value(OpenSqliteStagingIndex(folder / "stagefs.db"));
  const Abandoned abandoned;
  const auto change = Value(index->Begin(Durability::kPowerLoss));
  Ok(change->PutMeta("key", "value"));
  while (!Interrupted()) std::this_thread::sleep_for(1ms);
  Ok(change->Commit());
  CHECK_FALSE(Interrupted());
}

TEST_CASE("Interruption: a request is not waited for any more", "[core][interruption]") {
  const SilentServer server;
  HttpClient client(1, 60s);
  ClientRequest request;
  request.method = "GET";
  request.url = server.url();
  const auto begun = steady_clock::now();
  const auto send = [&] {
    const Abandoned abandoned;
    return client.Send(request).WithoutValue();
  };
  auto first = std::async(std::launch::async, send);
  auto second = std::async(std::launch::async, send);  // It waits for the only connection, or on it.
  CHECK(IsInterrupted(first.get()));
  CHECK(IsInterrupted(second.get()));
  CHECK(steady_clock::now() - begun < kSoon);
}

TEST_CASE("Interruption: a stored version is not taken for damaged", "[core][interruption]") {
  TempFolder folder;
  const auto store = Value(OpenLocalVersionStore(folder / "versions", folder / "incoming"));
  const std::string path = SparseFile(folder, 4 << 20);
  const std::string zeros(4 << 20, '\0');
  const Sha256 hash = HashOf(zeros).sha256;
  Ok(store->Put(hash, *NewStringSource(zeros), zeros.size()));
  {
    const Abandoned abandoned;
    while (!Interrupted()) std::this_thread::sleep_for(1ms);
    CHECK(IsInterrupted(store->Send(hash, path)));
  }
  CHECK(Value(store->Locate(hash)) == Presence::kHere);
}

TEST_CASE("Interruption: a copy of another boot stays in the cache", "[core][interruption]") {
  TempFolder folder;
  const auto cache = Value(VersionCache::Open(folder / "cache", 1 << 20));
  const Sha256 hash = HashOf("kept").sha256;
  WriteFile(cache->incoming() + "/kept", "kept");
  Ok(cache->Keep(hash, cache->incoming() + "/kept"));
  const std::string hex = ToHex(hash);
  const timespec long_ago[2] = {{1, 0}, {1, 0}};
  const std::string path = folder / ("cache/" + hex.substr(0, 2) + '/' + hex.substr(2));
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), long_ago, 0) == 0);
  {
    const Abandoned abandoned;
    while (!Interrupted()) std::this_thread::sleep_for(1ms);
    CHECK(IsInterrupted(cache->Find(hash).WithoutValue()));
  }
  CHECK(cache->Has(hash));
  CHECK(Value(cache->Find(hash)).valid());
}

TEST_CASE("Interruption: of a batch nothing is staged, and no entry is refused for it", "[core][interruption]") {
  Scene scene;
  const std::string hash = scene.Put("cat");
  EndlessManifest manifest(hash);
  Workspace::ManifestRequest request;
  request.source = &manifest;
  {
    const Abandoned abandoned;
    CHECK(IsInterrupted(scene.workspace().StageManifest(request).WithoutValue()));
  }
  CHECK(scene.StatusLines().empty());
  CHECK(scene.Stage("d/0", "cat") == StageOutcome::kAdded);
}

}  // namespace stagefs::test
