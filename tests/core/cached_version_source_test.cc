// This machine's copies of versions, above a source that fails on demand.
#include "core/versions/cached_version_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <latch>
#include <thread>

#include "stagefs/interruption.h"
#include "tests/core/version_store_scene.h"

namespace stagefs::test {
namespace {

// What it does when it is next asked, and how often it was.
struct Demand {
  // Instead of copying; called by several threads at once.
  std::function<Status(const Sha256& hash, int fd)> copy;
  std::atomic<int> copied = 0;
};

class DemandedSource : public VersionSource {
 public:
  explicit DemandedSource(Demand* demand) : demand_(*demand) {}
  Result<std::unique_ptr<VersionReader>> Open(const Sha256&) const override {
    return Error(ErrorCode::kUnsupported, "whole or not at all");
  }
  Status CopyTo(const Sha256& hash, int fd) const override {
    demand_.copied.fetch_add(1);
    return demand_.copy(hash, fd);
  }
  Result<Presence> Locate(const Sha256&) const override { return Presence::kElsewhere; }
  bool IsElsewhere() const override { return true; }

 private:
  Demand& demand_;
};

struct CacheScene {
  explicit CacheScene(uint64_t bytes_max = 1 << 20) : bytes_max(bytes_max) { Reopen(); }

  void Reopen() {
    source = std::make_unique<CachedVersionSource>(std::make_unique<DemandedSource>(&demand), "the twin",
                                                   Value(VersionCache::Open(folder / "cache", bytes_max)));
  }
  // From now on the source below has `text`, whatever it is asked for.
  Sha256 Serve(const std::string& text) {
    demand.copy = [text](const Sha256&, int fd) { return WriteAll(fd, text.data(), text.size()); };
    return HashOf(text).sha256;
  }
  std::string PathOf(const Sha256& hash) const {
    const std::string hex = ToHex(hash);
    return folder / ("cache/" + hex.substr(0, 2) + '/' + hex.substr(2));
  }
  bool Keeps(const Sha256& hash) const { return std::filesystem::exists(PathOf(hash)); }
  bool LeftNothing() const { return std::filesystem::is_empty(folder / "cache/incoming"); }
  // As if it had been used for the last time then, and the machine had started since it was made.
  void MakeOld(const Sha256& hash, time_t used_seconds) const {
    const timespec times[2] = {{used_seconds, 0}, {1, 0}};
    REQUIRE(utimensat(AT_FDCWD, PathOf(hash).c_str(), times, 0) == 0);
  }
  void Damage(const Sha256& hash) const {
    REQUIRE(chmod(PathOf(hash).c_str(), 0600) == 0);
    WriteFile(PathOf(hash), "damaged");
    REQUIRE(chmod(PathOf(hash).c_str(), 0400) == 0);
  }

  const uint64_t bytes_max;
  TempFolder folder;
  Demand demand;
  std::unique_ptr<CachedVersionSource> source;
};

}  // namespace

TEST_CASE("CachedVersionSource: eight threads that ask together are answered by one fetch", "[core][version_cache]") {
  CacheScene scene;
  const Sha256 hash = HashOf("wanted").sha256;
  std::latch asked(8);
  scene.demand.copy = [&](const Sha256&, int fd) {
    asked.wait();
    return WriteAll(fd, "wanted", 6);
  };
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      asked.count_down();
      const auto reader = scene.source->Open(hash);
      if (reader && (*reader)->size_bytes() == 6) answered.fetch_add(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(answered == 8);
  CHECK(scene.demand.copied == 1);
}

TEST_CASE("CachedVersionSource: who fetches gives up, and the next one begins anew", "[core][version_cache]") {
  CacheScene scene;
  const Sha256 hash = HashOf("wanted").sha256;
  std::atomic<bool> waits = false;
  scene.demand.copy = [&](const Sha256&, int fd) -> Status {
    if (scene.demand.copied > 1) return WriteAll(fd, "wanted", 6);
    Ok(WriteAll(fd, "wa", 2));
    for (;;) {
      std::this_thread::yield();
      STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    }
  };
  auto gives_up = std::async(std::launch::async, [&] {
    Caller caller([&] { return waits.load(); });
    const WorkingFor scope(&caller);
    return scene.source->Open(hash).error().code();
  });
  while (scene.demand.copied == 0) std::this_thread::yield();
  // It is looked after before it waits, and while it does.
  int looks = 0;
  Caller caller([&] {
    waits = ++looks > 1;
    return false;
  });
  const WorkingFor scope(&caller);
  CHECK(Read(*scene.source, hash) == "wanted");
  CHECK(gives_up.get() == ErrorCode::kInterrupted);
  CHECK(scene.demand.copied == 2);
  CHECK(scene.LeftNothing());
}

TEST_CASE("CachedVersionSource: what fails for one fails for all who wait for it", "[core][version_cache]") {
  CacheScene scene;
  const Sha256 hash = HashOf("wanted").sha256;
  std::atomic<bool> waits = false;
  scene.demand.copy = [&](const Sha256&, int) -> Status {
    while (!waits) std::this_thread::yield();
    return Error(ErrorCode::kIo, "cut off");
  };
  auto first = std::async(std::launch::async, [&] { return scene.source->Open(hash).error().code(); });
  while (scene.demand.copied == 0) std::this_thread::yield();
  int looks = 0;
  Caller caller([&] {
    waits = ++looks > 1;
    return false;
  });
  const WorkingFor scope(&caller);
  CHECK(scene.source->Open(hash).error().code() == ErrorCode::kIo);
  CHECK(first.get() == ErrorCode::kIo);
  CHECK(scene.demand.copied == 1);
}

TEST_CASE("CachedVersionSource: who waits for another one's fetch may give up", "[core][version_cache]") {
  CacheScene scene;
  const Sha256 hash = HashOf("wanted").sha256;
  std::atomic<bool> gave_up = false;
  scene.demand.copy = [&](const Sha256&, int fd) {
    while (!gave_up) std::this_thread::yield();
    return WriteAll(fd, "wanted", 6);
  };
  auto first = std::async(std::launch::async, [&] { return scene.source->Open(hash); });
  while (scene.demand.copied == 0) std::this_thread::yield();
  int looks = 0;
  Caller caller([&] { return ++looks > 1; });
  const WorkingFor scope(&caller);
  CHECK(scene.source->Open(hash).error().code() == ErrorCode::kInterrupted);
  gave_up = true;
  CHECK(TextOf(*Value(first.get())) == "wanted");
  CHECK(scene.demand.copied == 1);
}

TEST_CASE("CachedVersionSource: what was read is read again without the source", "[core][version_cache]") {
  CacheScene scene;
  const Sha256 hash = scene.Serve("kept");
  CHECK(Value(scene.source->Locate(hash)) == Presence::kElsewhere);
  CHECK(Read(*scene.source, hash) == "kept");
  scene.demand.copy = [](const Sha256&, int) { return Error(ErrorCode::kIo, "cut off"); };
  scene.Reopen();
  CHECK(Value(scene.source->Locate(hash)) == Presence::kHere);
  CHECK(Read(*scene.source, hash) == "kept");
}

TEST_CASE("CachedVersionSource: a fetch that fails leaves nothing", "[core][version_cache]") {
  CacheScene scene;
  const Sha256 hash = HashOf("whole").sha256;
  scene.demand.copy = [](const Sha256&, int fd) -> Status {
    Ok(WriteAll(fd, "wh", 2));
    return Error(ErrorCode::kIo, "cut off");
  };
  CHECK(scene.source->Open(hash).error().code() == ErrorCode::kIo);
  CHECK(scene.demand.copied == 1);
  CHECK_FALSE(scene.Keeps(hash));
  CHECK(scene.LeftNothing());
  scene.Serve("whole");
  CHECK(Read(*scene.source, hash) == "whole");
}

TEST_CASE("CachedVersionSource: other bytes are asked for again, and never kept", "[core][version_cache]") {
  CacheScene scene;
  const Sha256 hash = HashOf("right").sha256;
  scene.Serve("the wrong bytes");
  const Error error = scene.source->Open(hash).error();
  CHECK(error.code() == ErrorCode::kCorrupt);
  CHECK(error.message() == "version " + ToHex(hash) + ": the twin answers other bytes");
  CHECK(scene.demand.copied == 3);
  CHECK_FALSE(scene.Keeps(hash));
  CHECK(scene.LeftNothing());
  int wrong = 2;
  scene.demand.copy = [&](const Sha256&, int fd) {
    return wrong-- > 0 ? WriteAll(fd, "the wrong bytes", 15) : WriteAll(fd, "right", 5);
  };
  CHECK(Read(*scene.source, hash) == "right");
}

TEST_CASE("CachedVersionSource: a copy damaged before the machine started is fetched again", "[core][version_cache]") {
  CacheScene scene;
  const Sha256 hash = scene.Serve("good bytes");
  CHECK(Read(*scene.source, hash) == "good bytes");
  scene.Damage(hash);
  scene.MakeOld(hash, 1);
  scene.Reopen();
  CHECK(Read(*scene.source, hash) == "good bytes");
  CHECK(scene.demand.copied == 2);
}

TEST_CASE("CachedVersionSource: a copy from before the machine started is hashed once", "[core][version_cache]") {
  CacheScene scene;
  const Sha256 hash = scene.Serve("good bytes");
  CHECK(Read(*scene.source, hash) == "good bytes");
  scene.MakeOld(hash, 1);
  CHECK(Read(*scene.source, hash) == "good bytes");
  CHECK(scene.demand.copied == 1);
  struct stat info {};
  REQUIRE(stat(scene.PathOf(hash).c_str(), &info) == 0);
  CHECK(info.st_mtim.tv_sec > 1);  // Known to be right, since now.
}

TEST_CASE("CachedVersionSource: what is dropped for room stays readable while it is open", "[core][version_cache]") {
  CacheScene scene(1000);
  const Sha256 first = scene.Serve(std::string(400, '1'));
  const auto reader = Value(scene.source->Open(first));
  for (const char text : {'2', '3'}) Ok(scene.source->Prefetch(scene.Serve(std::string(400, text))));
  CHECK_FALSE(scene.Keeps(first));
  CHECK(TextOf(*reader) == std::string(400, '1'));
  CHECK(scene.Keeps(HashOf(std::string(400, '3')).sha256));
}

TEST_CASE("CachedVersionSource: what was used last stays", "[core][version_cache]") {
  CacheScene scene(1000);
  const Sha256 first = scene.Serve(std::string(400, '1'));
  Ok(scene.source->Prefetch(first));
  const Sha256 second = scene.Serve(std::string(400, '2'));
  Ok(scene.source->Prefetch(second));
  scene.MakeOld(first, 1);
  scene.MakeOld(second, 2);
  Ok(scene.source->Prefetch(first));
  Ok(scene.source->Prefetch(scene.Serve(std::string(400, '3'))));
  CHECK(scene.Keeps(first));
  CHECK_FALSE(scene.Keeps(second));
}

}  // namespace stagefs::test
