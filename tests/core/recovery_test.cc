// What a crash, a power cut and damage leave, and what gc and fsck make of it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "tests/catch.h"
#include "tests/scene.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"
#include "stagefs/working_copy.h"
#include "stagefs/repositories.h"
#include "stagefs/status.h"
#include "stagefs/upkeep.h"

namespace stagefs::test {
namespace {

std::string PathOfVersion(Scene& scene, const std::string& hash) {
  return scene.repository().folder() + "/versions/" + hash.substr(0, 2) + '/' + hash.substr(2);
}

// A disk that never gets to the sync: the twin that fails on demand.
class UnsyncedStore : public VersionStore {
 public:
  explicit UnsyncedStore(std::unique_ptr<VersionStore> below) : below_(std::move(below)) {}
  Status Sync(const std::vector<Sha256>&) override { return Error(ErrorCode::kIo, "not now"); }

  Status Put(const Sha256& hash, ByteSource& source, uint64_t size_bytes) override {
    return below_->Put(hash, source, size_bytes);
  }
  Status Take(const Sha256& hash, const std::string& path) override { return below_->Take(hash, path); }
  Status GiveBack(const Sha256& hash, const std::string& path) override {
    return below_->GiveBack(hash, path);
  }
  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override {
    return below_->Open(hash);
  }
  Result<Presence> Locate(const Sha256& hash) const override { return below_->Locate(hash); }
  Result<int64_t> ArrivedNs(const Sha256& hash) const override { return below_->ArrivedNs(hash); }
  Status Remove(const Sha256& hash) override { return below_->Remove(hash); }
  Status List(const std::function<bool(const Sha256&)>& visit) const override { return below_->List(visit); }
  Result<DiskSpace> GetSpace() const override { return below_->GetSpace(); }

 private:
  const std::unique_ptr<VersionStore> below_;
};

// Runs `body` in a process of its own that ends as if killed: no destructor runs.
void InKilledProcess(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

// A working copy of another process, which then dies.
void LeaveWorkingCopy(const std::string& root, const std::string& path, const std::string& text, bool kept) {
  InKilledProcess([&] {
    auto repository = OpenRepository(root, {"t", "r"});
    if (!repository) _exit(1);
    auto workspace = Workspace::Open(**repository, "w");
    auto copies = WorkingCopies::Open(**repository);
    if (!workspace || !copies) _exit(2);
    WorkingCopyPlace place;
    place.workspace = (*workspace)->id();
    place.slot = {kRootFolder, path};
    place.path = path;
    const auto base = (*workspace)->tree().LookUp({kRootFolder, path});
    if (!(*copies)->Create(&place)) _exit(3);
    const auto fd = OpenFd(place.file, O_WRONLY);
    if (!fd || !WriteAll(fd->get(), text.data(), text.size())) _exit(4);
    if (kept && !(*copies)->Keep(place, *base ? std::optional((*base)->version) : std::nullopt)) _exit(5);
    _exit(0);
  });
}

}  // namespace

TEST_CASE("Recovery: an fsynced copy is staged if its path did not change meanwhile", "[core][recovery]") {
  Scene scene;
  scene.Stage("a", "old");
  LeaveWorkingCopy(scene.root(), "a", "fsynced", true);
  SECTION("unchanged") {
    scene.Reopen();
    CHECK(scene.repository().recovery().restaged == 1);
    CHECK(scene.Read("a") == "fsynced");
  }
  SECTION("changed") {
    scene.Stage("a", "newer");
    scene.Reopen();
    CHECK(scene.repository().recovery().recovered == 1);
    CHECK(scene.Read("a") == "newer");
    CHECK(scene.StatusLines() == Lines{"A  a", "!  a (recovered after a crash: retry or dismiss)"});
  }
}

TEST_CASE("Recovery: a copy that was not fsynced goes to recovered, until retried or dismissed",
          "[core][recovery]") {
  Scene scene;
  LeaveWorkingCopy(scene.root(), "b", "unfinished", false);
  scene.Reopen();
  CHECK(scene.StatusLines() == Lines{"!  b (recovered after a crash: retry or dismiss)"});
  const WorkspaceInfo info = Value(scene.workspace().Info());
  SECTION("retry") {
    Ok(RetryRecovered(scene.repository(), info, "b"));
    CHECK(scene.Read("b") == "unfinished");
    CHECK(scene.StatusLines() == Lines{"A  b"});
  }
  SECTION("dismiss") {
    Ok(DismissRecovered(scene.repository(), info, "b"));
    CHECK(scene.StatusLines().empty());
    CHECK(DismissRecovered(scene.repository(), info, "b").error().code() == ErrorCode::kNotFound);
  }
  CHECK(DismissRecovered(scene.repository(), info, "../../secret").error().code() ==
        ErrorCode::kInvalidArgument);
}

TEST_CASE("Recovery: a living process's copies are left alone and shown", "[core][recovery]") {
  Scene scene;
  const auto copies = Value(WorkingCopies::Open(scene.repository()));
  WorkingCopyPlace place;
  place.workspace = scene.workspace().id();
  place.slot = {kRootFolder, "busy"};
  place.path = "busy";
  Ok(copies->Create(&place).WithoutValue());
  const auto second = Value(OpenRepository(scene.root(), scene.name()));
  CHECK(second->recovery().recovered == 0);
  CHECK(std::filesystem::exists(place.file));
  CHECK(scene.StatusLines() == Lines{"W  busy (being written)"});
  std::string json;
  Ok(WriteStatusJson(scene.workspace(), false, [&](std::string_view piece) -> Status {
    json += piece;
    return {};
  }));
  CHECK(json.find("\"being_written\":[\n{\"path\":\"busy\"}]") != std::string::npos);
  CHECK(json.find("\"being_written\":1") != std::string::npos);
  std::filesystem::remove(place.file);
  Ok(copies->Forget(place, false));
}

TEST_CASE("Recovery: after a power cut, lost contents fall back to what was there before",
          "[core][embedded][recovery]") {
  Scene scene;
  scene.Write("kept", "good");
  const std::string folder = scene.repository().folder();
  scene.Close();
  InKilledProcess([&] {
    auto store = OpenLocalVersionStore(folder + "/versions", folder + "/incoming");
    auto index = OpenSqliteStagingIndex(folder + "/stagefs.db");
    auto repository = AssembleRepository(folder, {"t", "r"}, std::move(*index),
                                           std::make_unique<UnsyncedStore>(std::move(*store)));
    auto workspace = Workspace::Open(**repository, "w");
    for (const auto& [name, text] :
         {std::pair("kept", "lost"), std::pair("new", "lost too"), std::pair("other", "damaged"),
          std::pair("whole", "whole"), std::pair("twice", "lost first"), std::pair("twice", "lost again"),
          std::pair("back", "whole"), std::pair("back", "lost at last")}) {
      const std::string file = (*repository)->incoming() + "/x";
      const auto fd = OpenFd(file, O_WRONLY | O_CREAT);
      (void)WriteAll(fd->get(), text, strlen(text));
      ContentHasher hasher;
      hasher.Update(text, strlen(text));
      if (!(*workspace)->StageFile({kRootFolder, name}, file, hasher.Finish(), strlen(text), {})) _exit(1);
    }
    _exit(0);
  });
  {
    // Looked at without opening the repository, which would sync what the cut must find unsynced.
    const auto index = Value(OpenSqliteStagingIndex(folder + "/stagefs.db"));
    const auto t = Value(index->Begin(Durability::kPowerLoss));
    const auto unsynced = Value(t->ListUnsynced(10));
    REQUIRE(unsynced.size() == 7);
    for (const VersionInfo& version : unsynced) {
      const std::string hex = ToHex(version.content.sha256);
      const std::string path = folder + "/versions/" + hex.substr(0, 2) + '/' + hex.substr(2);
      REQUIRE(chmod(path.c_str(), 0600) == 0);
      const std::string text = ReadFile(path);
      if (text == "damaged") WriteFile(path, "DAMAGED");  // Of the right size.
      else if (text != "whole") REQUIRE(truncate(path.c_str(), 1) == 0);
    }
    Ok(t->PutMeta("boot", "another boot"));
    Ok(t->Commit());
  }
  scene.Reopen();
  CHECK(scene.repository().recovery().lost_versions == 6);
  CHECK(scene.Read("kept") == "good");
  CHECK_FALSE(scene.Exists("new"));
  CHECK_FALSE(scene.Exists("other"));
  CHECK(scene.Read("whole") == "whole");
  CHECK_FALSE(scene.Exists("twice"));
  CHECK(scene.Read("back") == "whole");
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
}

TEST_CASE("Fsck: finds missing, damaged and orphaned versions", "[core][embedded][recovery]") {
  Scene scene;
  const std::string missing = scene.Put("missing"), damaged = scene.Put("damaged");
  scene.Put("good");
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
  std::filesystem::remove(PathOfVersion(scene, missing));
  chmod(PathOfVersion(scene, damaged).c_str(), 0600);
  WriteFile(PathOfVersion(scene, damaged), "demaged");
  const std::string orphan(62, 'a');
  WriteFile(scene.repository().folder() + "/versions/aa/" + orphan, "orphan");
  const auto report = Value(Fsck(scene.repository(), {}));
  CHECK_FALSE(report.Clean());
  REQUIRE(report.missing.size() == 1);
  CHECK(ToHex(report.missing[0]) == missing);
  REQUIRE(report.damaged.size() == 1);
  CHECK(ToHex(report.damaged[0]) == damaged);
  REQUIRE(report.orphaned.size() == 1);
  CHECK(ToHex(report.orphaned[0]) == "aa" + orphan);
  // Putting the content again heals what is missing.
  scene.Put("missing");
  CHECK(Value(Fsck(scene.repository(), {})).missing.empty());
}

TEST_CASE("Gc: removes what nothing names and nothing else", "[core][embedded][recovery]") {
  Scene scene;
  scene.Stage("committed", "committed");
  scene.Commit();
  scene.Stage("committed", "staged");
  scene.Write(".scratch.swp", "scratch");
  const std::string unused = scene.Put("unused");
  WriteFile(scene.repository().folder() + "/versions/aa/" + std::string(62, 'a'), "orphan");
  CHECK(Value(Gc(scene.repository(), 14)).versions == 0);
  CHECK(std::filesystem::exists(PathOfVersion(scene, unused)));
  const auto report = Value(Gc(scene.repository(), 0));
  CHECK(report.versions == 1);
  CHECK_FALSE(std::filesystem::exists(PathOfVersion(scene, unused)));
  CHECK(scene.repository().FindVersion(unused).error().code() == ErrorCode::kNotFound);
  const auto after = Value(Fsck(scene.repository(), {}));
  CHECK(after.Clean());
  CHECK(after.orphaned.empty());
  CHECK(scene.Read("committed") == "staged");
  CHECK(scene.ReadFrom(scene.workspace().base(), "committed") == "committed");
  CHECK(Value(scene.repository().FindVersion(ToHex(EmptyContent().sha256))).size_bytes == 0);
  CHECK(Gc(scene.repository(), -1).error().code() == ErrorCode::kInvalidArgument);
}

TEST_CASE("Staging: a file whose staging fails stays where it was", "[core][recovery]") {
  Scene scene;
  const std::string file = scene.repository().incoming() + "/precious";
  WriteFile(file, "precious");
  ContentHasher hasher;
  hasher.Update("precious", 8);
  const ContentId content = hasher.Finish();
  // A name that is too long is refused after the bytes were taken.
  const auto staged = scene.workspace().StageFile({kRootFolder, std::string(300, 'n')}, file, content, 8, {});
  REQUIRE_FALSE(staged);
  CHECK(ReadFile(file) == "precious");
  CHECK(Value(Fsck(scene.repository(), {})).orphaned.empty());
  std::filesystem::remove(file);
}

TEST_CASE("Put: content that is there is found, not written again", "[core][embedded][recovery]") {
  Scene scene;
  const auto first = Value(scene.repository().PutBytes("same"));
  struct stat before {
  }, after{};
  const std::string path = PathOfVersion(scene, ToHex(first.content.sha256));
  REQUIRE(stat(path.c_str(), &before) == 0);
  const auto second = Value(scene.repository().PutBytes("same"));
  REQUIRE(stat(path.c_str(), &after) == 0);
  CHECK(first.id == second.id);
  CHECK(before.st_ino == after.st_ino);
  CHECK(Value(scene.repository().FindVersion(ToHex(first.content.xxh3))).id == first.id);
}

TEST_CASE("Repository: names, creation and deletion", "[core][repository]") {
  TempFolder root;
  for (const char* bad : {"", "a", "a/", "/b", "a/b/c", "../x", "a/..", "-a/b", "a b/c", "a/.b"}) {
    INFO(bad);
    CHECK(RepositoryName::Parse(bad).error().code() == ErrorCode::kInvalidArgument);
  }
  CHECK(RepositoryName::Parse(std::string(101, 'a') + "/b").error().code() == ErrorCode::kInvalidArgument);
  const RepositoryName name = Value(RepositoryName::Parse("team/images-1.0"));
  CHECK(OpenRepository(root.path(), name).error().code() == ErrorCode::kNotFound);
  Ok(CreateRepository(root.path(), name));
  CHECK(CreateRepository(root.path(), name).error().code() == ErrorCode::kExists);
  REQUIRE(Value(ListRepositories(root.path())).size() == 1);
  CHECK(Value(ListRepositories(root.path()))[0].ToString() == "team/images-1.0");
  Ok(DeleteRepository(root.path(), name));
  CHECK(Value(ListRepositories(root.path())).empty());
}

TEST_CASE("Repository: a clean end leaves nothing in incoming", "[core][repository]") {
  Scene scene;
  scene.Write("a", "1");
  scene.Reopen();
  size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scene.repository().folder() + "/incoming")) {
    if (entry.path().string().find(scene.repository().incoming()) != 0) ++entries;
  }
  CHECK(entries == 0);
}

}  // namespace stagefs::test
