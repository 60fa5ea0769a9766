// What a crash, a power cut and damage leave, and what gc and fsck make of it.
#include <future>
#include <thread>
#include <atomic>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "tests/catch.h"
#include "tests/scene.h"
#include "tests/store_over.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "stagefs/posix_env.h"
#include "stagefs/recovered.h"
#include "stagefs/version_store.h"
#include "stagefs/working_copy.h"
#include "stagefs/commit.h"
#include "stagefs/inbox.h"
#include "stagefs/repositories.h"
#include "stagefs/status.h"
#include "stagefs/upkeep.h"

namespace stagefs::test {
namespace {

std::string PathOfVersion(Scene& scene, const std::string& hash) {
  return scene.repository().folder() + "/versions/" + hash.substr(0, 2) + '/' + hash.substr(2);
}

// What the twin does.
struct Trouble {
  std::optional<ErrorCode> sync, open;
  std::set<Sha256> synced;
};

// A disk that fails on demand; by itself it never gets to the sync.
class TroubledStore : public StoreOver {
 public:
  TroubledStore(std::unique_ptr<VersionStore> below, Trouble* trouble)
      : StoreOver(std::move(below)), trouble_(trouble) {}
  Status Sync(const std::vector<Sha256>& hashes) override {
    if (trouble_->sync) return Error(*trouble_->sync, "not now");
    for (const Sha256& hash : hashes) trouble_->synced.insert(hash);
    return StoreOver::Sync(hashes);
  }
  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override {
    if (trouble_->open) return Error(*trouble_->open, "not now");
    return StoreOver::Open(hash);
  }

 private:
  Trouble* const trouble_;
};

std::unique_ptr<Repository> OpenTroubled(const std::string& folder, Trouble* trouble) {
  auto store = Value(OpenLocalVersionStore(folder + "/versions", folder + "/incoming"));
  return Value(AssembleRepository(folder, {"t", "r"}, Value(OpenSqliteStagingIndex(folder + "/stagefs.db")),
                                  std::make_unique<TroubledStore>(std::move(store), trouble)));
}

// As a mount closes files.
void CloseFile(Repository& repository, Workspace& workspace, const Slot& slot, const std::string& text) {
  const std::string file = repository.incoming() + "/x";
  WriteFile(file, text);
  Ok(workspace.StageFile(slot, file, HashOf(text), text.size(), {}).WithoutValue());
}

// Closes files and dies before anything of them is synced.
void LeaveUnsynced(const std::string& folder, const std::function<void(Repository&, Workspace&)>& body);

void CutPower(const std::string& folder) {
  const auto index = Value(OpenSqliteStagingIndex(folder + "/stagefs.db"));
  const auto t = Value(index->Begin(Durability::kPowerLoss));
  Ok(t->PutMeta("boot", "another boot"));
  Ok(t->Commit());
}

Lines RecoveredPaths(Scene& scene) {
  Lines paths;
  for (const RecoveredFile& file : Value(ListRecovered(scene.repository(), Value(scene.workspace().Info())))) {
    paths.push_back(file.path);
  }
  return paths;
}

void LeaveUnsynced(const std::string& folder, const std::function<void(Repository&, Workspace&)>& body) {
  InKilledProcess([&] {
    Trouble trouble{ErrorCode::kIo, {}, {}};
    auto repository = OpenTroubled(folder, &trouble);
    auto workspace = Workspace::Open(*repository, "w");
    body(*repository, **workspace);
    _exit(0);
  });
}

// A working copy of another process, which then dies.
void LeaveWorkingCopy(const std::string& root, const std::string& path, const std::string& text, bool kept,
                      const std::optional<std::string>& closed = std::nullopt) {
  InKilledProcess([&] {
    auto repository = OpenRepository(root, {"t", "r"});
    if (!repository) _exit(1);
    auto workspace = Workspace::Open(**repository, "w");
    auto copies = WorkingCopies::Open(**repository);
    if (!workspace || !copies) _exit(2);
    WorkingCopyPlace place = PlaceAtRoot(**workspace, path);
    const auto base = (*workspace)->tree().LookUp({kRootFolder, path});
    if (!(*copies)->Create(&place)) _exit(3);
    const auto fd = OpenFd(place.file, O_WRONLY);
    if (!fd || !WriteAll(fd->get(), text.data(), text.size())) _exit(4);
    if (kept && !(*copies)->Keep(place, *base ? std::optional((*base)->version) : std::nullopt)) _exit(5);
    if (closed) {
      place.state = WorkingCopyState::kClosed;
      place.closed = {{true, 0700}, 12'345'000'000'000, *base ? (*base)->version : 0, closed->size(), false,
                      HashOf(*closed).sha256};
      if (!(*copies)->Note(place) || !(*copies)->SyncPlace(place)) _exit(6);
    }
    _exit(0);
  });
}

// As the mount does, which waits for nothing.
void StageAsClosed(Scene& scene, const std::string& name, const std::string& text) {
  const VersionId version = Value(scene.repository().FindVersion(scene.Put(text))).id;
  Ok(scene.workspace().StageVersion({kRootFolder, name}, version, {}).WithoutValue());
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

TEST_CASE("Recovery: a closed copy is staged as it was closed, if its path did not change meanwhile",
          "[core][recovery]") {
  Scene scene;
  const bool fsynced = GENERATE(false, true), empty = GENERATE(false, true);
  const std::string text = empty ? "" : "closed";
  if (GENERATE(false, true)) scene.Stage("a", "old");
  SECTION("unchanged") {
    LeaveWorkingCopy(scene.root(), "a", text, fsynced, text);
    scene.Reopen();
    CHECK(scene.repository().recovery().restaged == 1);
    CHECK(scene.Read("a") == text);
    const Entry entry = *Value(scene.workspace().tree().LookUp({kRootFolder, "a"}));
    CHECK(entry.mode() == FileMode{true, 0700});
    CHECK(entry.mtime_ns == 12'345'000'000'000);
    CHECK(scene.StatusLines() == Lines{"A  a"});
  }
  SECTION("changed") {
    LeaveWorkingCopy(scene.root(), "a", text, fsynced, text);
    StageAsClosed(scene, "a", "newer");
    scene.Reopen();
    CHECK(scene.Read("a") == "newer");
    CHECK(RecoveredPaths(scene) == Lines{"a"});
  }
  SECTION("the power took some of it") {
    LeaveWorkingCopy(scene.root(), "a", text, fsynced, text + "more");
    scene.Reopen();
    CHECK(RecoveredPaths(scene) == Lines{"a"});
  }
}

TEST_CASE("Recovery: of a closed copy whose content nobody knows, and of one that is written again",
          "[core][recovery]") {
  Scene scene;
  const auto place_of = [](const std::string& file) { return file.substr(0, file.rfind('/')) + "/place-1"; };
  const auto leave = [&](const std::string& state, const std::string& bytes) {
    LeaveWorkingCopy(scene.root(), "a", bytes, /*kept=*/false);
    const WorkingCopyPlace place = Value(ListWorkingCopyPlaces(scene.repository())).at(0);
    for (const std::string& name : Value(ListNames(std::filesystem::path(place.file).parent_path()))) {
      if (name.starts_with("place-")) {
        std::filesystem::remove(std::filesystem::path(place.file).parent_path() / name);
      }
    }
    std::ofstream(place_of(place.file)) << "wc-1\t1\t" << state << "\t" << place.workspace << "\t"
                                        << place.slot.folder << "\t1\na";
    scene.Reopen();
  };
  const std::string here = BootId().substr(0, 8), hash = ToHex(HashOf("closed").sha256);
  std::string state, bytes = "closed";
  bool staged = true;
  SECTION("not hashed, in this boot") { state = "c,0,1,0,6," + here + ",-"; }
  SECTION("not hashed, synced") { state = "c,0,1,0,6,-,-"; }
  SECTION("not hashed, of another boot") {
    state = "c,0,1,0,6,00000000,-";
    staged = false;
  }
  SECTION("not hashed, cut short") {
    state = "c,0,1,0,7,-,-";
    staged = false;
  }
  SECTION("appended to, of another boot") {
    state = "x,0,1,0,6,00000000," + hash;
    bytes = "closed and more";
  }
  SECTION("written over, of another boot") {
    state = "x,0,1,0,6,00000000," + hash;
    bytes = "clOsed";
    staged = false;
  }
  SECTION("written before it was hashed, synced") {
    state = "x,0,1,0,6,-,-";
    bytes = "any";
  }
  leave(state, bytes);
  if (staged) CHECK(scene.Read("a") == bytes);
  CHECK(RecoveredPaths(scene) == (staged ? Lines{} : Lines{"a"}));
}

TEST_CASE("Recovery: where the newest place came without its bytes, an earlier one says what was closed",
          "[core][recovery]") {
  Scene scene;
  std::string bytes;
  bool staged = true;
  SECTION("the copy is what was closed first") { bytes = "closed"; }
  SECTION("and a part of what was closed next") { bytes = "closed and"; }
  SECTION("not even that") {
    bytes = "clos";
    staged = false;
  }
  LeaveWorkingCopy(scene.root(), "a", bytes, /*kept=*/false, "closed");
  const WorkingCopyPlace first = Value(ListWorkingCopyPlaces(scene.repository())).at(0);
  const std::string state = "c,0,1,0,15,-," + ToHex(HashOf("closed and more").sha256);
  std::ofstream(first.file.substr(0, first.file.rfind('/')) + "/place-99")
      << "wc-1\t7\t" << state << "\t" << first.workspace << "\t" << first.slot.folder << "\t1\na";
  CHECK(Value(ListWorkingCopyPlaces(scene.repository())).at(0).closed.size_bytes == 15);
  scene.Reopen();
  if (staged) CHECK(scene.Read("a") == bytes);
  CHECK(RecoveredPaths(scene) == (staged ? Lines{} : Lines{"a"}));
}

TEST_CASE("WorkingCopies: a place that was synced is not written over before a later one is", "[core][recovery]") {
  Scene scene;
  const auto copies = Value(WorkingCopies::Open(scene.repository()));
  WorkingCopyPlace log = PlaceAtRoot(scene.workspace(), "log"), other = PlaceAtRoot(scene.workspace(), "other");
  Ok(copies->Create(&log).WithoutValue());
  Ok(copies->Create(&other).WithoutValue());
  const auto is_there = [&](const std::string& file, const std::string& what) {
    const auto text = ReadWholeFile(file);
    return text && text->starts_with("wc-1\t") && text->find(what) != std::string::npos;
  };
  const auto note = [&](WorkingCopyState state, const std::string& text) {
    log.state = state;
    log.closed = {{}, 1, 0, text.size(), false, HashOf(text).sha256};
    Ok(copies->Note(log));
    return Value(ListWorkingCopyPlaces(scene.repository()));
  };
  const auto place_of_log = [](const std::vector<WorkingCopyPlace>& places) {
    for (const WorkingCopyPlace& place : places) {
      if (place.path == "log") return place.noted_in;
    }
    return std::string();
  };
  const std::string synced = place_of_log(note(WorkingCopyState::kClosed, "one"));
  CHECK_FALSE(copies->MayBeDurable(log));
  SECTION("by this process") { Ok(copies->SyncPlace(log)); }
  SECTION("by another one, maybe") { Ok(SyncClosedCopies(scene.repository())); }
  CHECK(copies->MayBeDurable(log));
  note(WorkingCopyState::kRewritten, "one");
  const std::string newest = place_of_log(note(WorkingCopyState::kClosed, "one and two"));
  for (int i = 0; i < 100; ++i) Ok(copies->Note(other));
  CHECK(is_there(synced, ToHex(HashOf("one").sha256)));
  CHECK(is_there(newest, ToHex(HashOf("one and two").sha256)));
  Ok(copies->SyncPlace(log));
  for (int i = 0; i < 100; ++i) Ok(copies->Note(other));
  CHECK(is_there(newest, ToHex(HashOf("one and two").sha256)));
  CHECK_FALSE(is_there(synced, ""));
  for (const WorkingCopyPlace& place : {log, other}) {
    std::filesystem::remove(place.file);
    Ok(copies->Forget(place, false));
  }
}

TEST_CASE("Changes by path wait for what was closed before them", "[core][recovery]") {
  Scene scene;
  scene.Stage("b", "b");
  const auto copies = Value(WorkingCopies::Open(scene.repository()));
  WorkingCopyPlace place = PlaceAtRoot(scene.workspace(), "a");
  Ok(copies->Create(&place).WithoutValue());
  if (GENERATE(false, true)) {
    place.state = WorkingCopyState::kRewritten;
    place.closed.content = HashOf("a").sha256;
    Ok(copies->Note(place));
    CHECK(scene.StatusLines() == Lines{"A  b", "W  a (being written)"});
  } else {
    place.state = WorkingCopyState::kClosed;
    Ok(copies->Note(place));
    CHECK(scene.StatusLines() == Lines{"A  b", "W  a (closed, being staged)"});
  }
  const RepoPath a = Value(RepoPath::Parse("a")), c = Value(RepoPath::Parse("c"));
  std::function<Status()> change;
  Lines after;
  SECTION("commit") {
    change = [&] {
      return CommitStaged(scene.workspace(), "both", {"me", "me@here"}, std::nullopt).WithoutValue();
    };
  }
  SECTION("rm") {
    change = [&] { return scene.workspace().RemovePaths({a}); };
    after = {"A  b"};
  }
  SECTION("unstage") {
    change = [&] { return scene.workspace().Unstage({a}).WithoutValue(); };
    after = {"A  b"};
  }
  SECTION("mv") {
    change = [&] { return scene.workspace().MovePath(a, c); };
    after = {"A  b", "A  c"};
  }
  auto other = std::async(std::launch::async, change);
  StageAsClosed(scene, "a", "a");
  CHECK(other.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  std::filesystem::remove(place.file);
  Ok(copies->Forget(place, false));
  Ok(other.get());
  CHECK(scene.StatusLines() == after);
}

TEST_CASE("Changes by path find what a process closed that died since", "[core][recovery]") {
  Scene scene;
  LeaveWorkingCopy(scene.root(), "a", "closed", /*kept=*/false, "closed");
  Ok(CommitStaged(scene.workspace(), "it", {"me", "me@here"}, std::nullopt).WithoutValue());
  CHECK(scene.StatusLines().empty());
  CHECK(scene.Read("a") == "closed");
}

TEST_CASE("StageManifest: it waits for what was closed before it, which it may name", "[core][recovery]") {
  Scene scene;
  const auto copies = Value(WorkingCopies::Open(scene.repository()));
  WorkingCopyPlace place = PlaceAtRoot(scene.workspace(), "a");
  Ok(copies->Create(&place).WithoutValue());
  place.state = WorkingCopyState::kClosed;
  Ok(copies->Note(place));
  auto manifest = std::async(std::launch::async,
                             [&] { return scene.StageManifest(ToHex(HashOf("a").sha256) + "  b\n"); });
  CHECK(manifest.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  StageAsClosed(scene, "a", "a");
  std::filesystem::remove(place.file);
  Ok(copies->Forget(place, false));
  const auto report = manifest.get();
  CHECK(report.refused.size() == 0);
  CHECK(report.added == 1);
  CHECK(scene.StatusLines() == Lines{"A  a", "A  b"});
}

TEST_CASE("WorkingCopies: a place is found after moves and refusals, and is used again", "[core][recovery]") {
  Scene scene;
  const auto copies = Value(WorkingCopies::Open(scene.repository()));
  const auto files_here = [&] { return Value(ListNames(scene.repository().incoming())).size(); };
  size_t most = 0;
  for (int i = 0; i < 1'000; ++i) {
    const std::string deep(i % 3 == 0 ? 3'000 : 3, 'd');
    WorkingCopyPlace place = PlaceAtRoot(scene.workspace(), "first");
    Ok(copies->Create(&place).WithoutValue());
    place.slot.name = "new\nname";
    place.path = deep + "/new\nname";
    Ok(copies->Note(place));
    place.state = WorkingCopyState::kRefused;
    Ok(copies->Note(place));
    const auto found = Value(ListWorkingCopyPlaces(scene.repository()));
    REQUIRE(found.size() == 1);
    CHECK(found[0].file == place.file);
    CHECK(found[0].path == place.path);
    CHECK(found[0].slot == place.slot);
    CHECK(found[0].state == WorkingCopyState::kRefused);
    most = std::max(most, files_here());
    std::filesystem::remove(place.file);
    Ok(copies->Forget(place, false));
  }
  CHECK(most < 40);
}

TEST_CASE("Recovery: a living process's copies are left alone and shown", "[core][recovery]") {
  Scene scene;
  const auto copies = Value(WorkingCopies::Open(scene.repository()));
  WorkingCopyPlace place = PlaceAtRoot(scene.workspace(), "busy");
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
    Trouble trouble{ErrorCode::kIo, {}, {}};
    auto repository = OpenTroubled(folder, &trouble);
    auto workspace = Workspace::Open(*repository, "w");
    for (const auto& [name, text] :
         {std::pair("kept", "lost"), std::pair("new", "lost too"), std::pair("other", "damaged"),
          std::pair("whole", "whole"), std::pair("twice", "lost first"), std::pair("twice", "lost again"),
          std::pair("back", "whole"), std::pair("back", "lost at last")}) {
      const std::string file = repository->incoming() + "/x";
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

TEST_CASE("Recovery: a file, and then one below its name", "[core][recovery]") {
  Scene scene;
  LeaveWorkingCopy(scene.root(), "x", "a file", false);
  scene.Reopen();
  LeaveWorkingCopy(scene.root(), "x/y", "in a folder", false);
  scene.Reopen();
  CHECK(RecoveredPaths(scene) == Lines{"x", "x/y"});
  const WorkspaceInfo info = Value(scene.workspace().Info());
  CHECK(ReadFile(RecoveredFolder(scene.repository(), info) + "/1-x") == "a file");
  CHECK(ReadFile(RecoveredFolder(scene.repository(), info) + "/2-y") == "in a folder");
  Ok(DismissRecovered(scene.repository(), info, "1-x"));
  Ok(RetryRecovered(scene.repository(), info, "x/y"));
  CHECK(scene.Read("x/y") == "in a folder");
  CHECK(RecoveredPaths(scene).empty());
}

TEST_CASE("Recovery: names and paths as long as they may be, and of any bytes, twice", "[core][recovery]") {
  Scene scene;
  std::string deep;
  while (deep.size() < 3'800) deep += std::string(200, 'd') + '/';
  const Lines paths = {std::string(244, 'n'), std::string(250, 'n'), std::string(255, 'n'),
                       deep + std::string(255, 'z'), "two\nlines\tand \xff", "list", "list.new"};
  for (int crash = 0; crash < 2; ++crash) {
    for (const std::string& path : paths) LeaveWorkingCopy(scene.root(), path, path + "!", false);
    scene.Reopen();
    CHECK(scene.repository().recovery().left_for_later == 0);
  }
  Lines twice;
  for (const std::string& path : paths) twice.insert(twice.end(), 2, path);
  std::sort(twice.begin(), twice.end());
  CHECK(RecoveredPaths(scene) == twice);
  const WorkspaceInfo info = Value(scene.workspace().Info());
  for (const RecoveredFile& file : Value(ListRecovered(scene.repository(), info))) {
    CHECK(ReadFile(RecoveredFolder(scene.repository(), info) + '/' + file.name) == file.path + "!");
    CHECK(file.name.size() <= 255);
    Ok(RetryRecovered(scene.repository(), info, file.name));
    CHECK(scene.Read(file.path) == file.path + "!");
  }
  CHECK_FALSE(std::filesystem::exists(RecoveredFolder(scene.repository(), info)));
}

TEST_CASE("Recovery: what 0.1.0 left, nested or under our names, goes on", "[core][recovery]") {
  Scene scene;
  const WorkspaceInfo info = Value(scene.workspace().Info());
  const std::string folder = RecoveredFolder(scene.repository(), info);
  std::filesystem::create_directories(folder + "/list");
  std::filesystem::create_directories(folder + "/a/b");
  WriteFile(folder + "/list/x", "x");
  WriteFile(folder + "/a/b/c", "c");
  WriteFile(folder + "/3-y", "y");
  CHECK(RecoveredPaths(scene) == Lines{"3-y", "a/b/c", "list/x"});
  // Its instance has one file of places for all copies.
  const std::string instance = scene.repository().folder() + "/incoming/00ff";
  std::filesystem::create_directories(instance);
  WriteFile(instance + "/wc-1", "old");
  WriteFile(instance + "/wc-2", "gone");
  const std::string place = "\tw\t" + std::to_string(info.id) + "\t0\t";
  WriteFile(instance + "/places", "wc-1" + place + "o\\nld\nwc-2" + place + "gone\nwc-2\t-\t1\t0\tgone\nwc-1\tw\t");
  scene.Reopen();
  CHECK(scene.repository().recovery().recovered == 2);
  CHECK(RecoveredPaths(scene) == Lines{"3-y", "a/b/c", "list/x", "o\nld"});
  CHECK_FALSE(std::filesystem::exists(instance));
  Ok(RetryRecovered(scene.repository(), info, "list/x"));
  CHECK(scene.Read("list/x") == "x");
  Ok(DismissRecovered(scene.repository(), info, "a/b/c"));
  CHECK(RecoveredPaths(scene) == Lines{"3-y", "o\nld"});
}

TEST_CASE("Recovery: an fsynced copy whose place is lost is recovered by its row", "[core][recovery]") {
  Scene scene;
  scene.Stage("kept", "old");
  LeaveWorkingCopy(scene.root(), "kept", "fsynced", true);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(scene.repository().folder() + "/incoming")) {
    if (entry.path().filename().string().starts_with("place-")) std::filesystem::resize_file(entry.path(), 0);
  }
  scene.Stage("kept", "newer");
  scene.Reopen();
  CHECK(scene.repository().recovery().recovered == 1);
  CHECK(scene.StatusLines() == Lines{"A  kept", "!  kept (recovered after a crash: retry or dismiss)"});
}

TEST_CASE("Recovery: what cannot be read now is neither lost nor believed", "[core][embedded][recovery]") {
  Scene scene;
  const std::string folder = scene.repository().folder();
  scene.Close();
  LeaveUnsynced(folder, [](Repository& repository, Workspace& workspace) {
    CloseFile(repository, workspace, {kRootFolder, "whole"}, "whole");
    CloseFile(repository, workspace, {kRootFolder, "cut"}, "cut short");
  });
  const std::string hex = ToHex(HashOf("cut short").sha256);
  const std::string path = folder + "/versions/" + hex.substr(0, 2) + '/' + hex.substr(2);
  chmod(path.c_str(), 0600);
  REQUIRE(truncate(path.c_str(), 3) == 0);
  CutPower(folder);
  for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kBusy, ErrorCode::kPermission, ErrorCode::kNoSpace}) {
    Trouble trouble{{}, code, {}};
    const auto repository = OpenTroubled(folder, &trouble);
    CHECK(repository->recovery().lost_versions == 0);
    CHECK(repository->recovery().left_for_later == (code == ErrorCode::kIo ? 2 : 1));
    Ok(repository->SyncAll());
    CHECK(trouble.synced.empty());
    // Once it can be read it is believed; what is damaged never is, unless it is stored again.
    trouble.open = std::nullopt;
    Ok(repository->SyncAll());
    CHECK_FALSE(trouble.synced.contains(HashOf("cut short").sha256));
  }
  SECTION("the next start finds it lost") {
    scene.Reopen();
    CHECK(scene.repository().recovery().lost_versions == 1);
    CHECK(scene.Read("whole") == "whole");
    CHECK_FALSE(scene.Exists("cut"));
  }
  SECTION("stored again before, it is whole") {
    Trouble trouble{{}, ErrorCode::kIo, {}};
    auto repository = OpenTroubled(folder, &trouble);
    Ok(repository->PutBytes("cut short").WithoutValue());
    CHECK(trouble.synced.contains(HashOf("cut short").sha256));
    repository.reset();
    scene.Reopen();
    CHECK(scene.Read("cut") == "cut short");
  }
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
}

TEST_CASE("Recovery: a slot that holds something newer is left alone", "[core][embedded][recovery]") {
  Scene scene;
  for (const char* name : {"a", "b", "c"}) scene.Stage(name, "oldest");
  const std::string newer = scene.Put("newer");
  const std::string folder = scene.repository().folder();
  scene.Close();
  LeaveUnsynced(folder, [&](Repository& repository, Workspace& workspace) {
    CloseFile(repository, workspace, {kRootFolder, "a"}, "lost");
    CloseFile(repository, workspace, {kRootFolder, "b"}, "lost");
    CloseFile(repository, workspace, {kRootFolder, "c"}, "lost");
    const VersionId id = Value(repository.FindVersion(newer)).id;
    Ok(workspace.StageVersion({kRootFolder, "a"}, id, {}).WithoutValue());
    Ok(workspace.StageVersion({kRootFolder, "b"}, id, {}).WithoutValue());
    CloseFile(repository, workspace, {kRootFolder, "b"}, "lost, too");
    Ok(workspace.Rename({kRootFolder, "c"}, {kRootFolder, "moved"}, RenameMode::kReplace));
  });
  for (const char* text : {"lost", "lost, too"}) {
    const std::string hex = ToHex(HashOf(text).sha256);
    std::filesystem::remove(folder + "/versions/" + hex.substr(0, 2) + '/' + hex.substr(2));
  }
  CutPower(folder);
  // Two start after one cut.
  const auto first = Value(OpenRepository(scene.root(), scene.name()));
  CHECK(first->recovery().lost_versions == 2);
  scene.Reopen();
  CHECK(scene.repository().recovery().lost_versions == 0);
  CHECK(scene.Read("a") == "newer");
  CHECK(scene.Read("b") == "newer");
  CHECK_FALSE(scene.Exists("c"));
  CHECK(scene.Read("moved") == "oldest");
  CHECK(Value(Fsck(scene.repository(), {})).Clean());
}

TEST_CASE("Recovery: bytes that heal a lost version are synced before their row is named",
          "[core][embedded][recovery]") {
  Scene scene;
  const std::string hash = scene.Put("healed");
  const std::string folder = scene.repository().folder();
  std::filesystem::remove(PathOfVersion(scene, hash));
  scene.Close();
  Trouble trouble;
  const auto repository = OpenTroubled(folder, &trouble);
  const auto workspace = Value(Workspace::Open(*repository, "w"));
  trouble.synced.clear();
  CloseFile(*repository, *workspace, {kRootFolder, "x"}, "healed");
  CHECK(trouble.synced.contains(HashOf("healed").sha256));
}

TEST_CASE("Sync: once it failed it is not believed again", "[core][recovery]") {
  TempFolder root;
  const std::string text = "some bytes", incoming = root / "incoming";
  const auto store = Value(OpenLocalVersionStore(root / "versions", incoming));
  const Sha256 hash = HashOf(text).sha256;
  const auto take = [&](bool damaged) {
    const std::string file = incoming + "/x";
    WriteFile(file, damaged ? "other text" : text);
    REQUIRE(chmod(file.c_str(), 0600 | kSyncFailedMark) == 0);  // As a failed sync leaves it.
    Ok(store->Take(hash, file));
  };
  take(false);
  const std::string path = root / ("versions/" + ToHex(hash).substr(0, 2) + '/' + ToHex(hash).substr(2));
  struct stat before {
  }, after{};
  REQUIRE(stat(path.c_str(), &before) == 0);
  Ok(store->Sync({hash}));
  REQUIRE(stat(path.c_str(), &after) == 0);
  CHECK(before.st_ino != after.st_ino);
  CHECK((after.st_mode & 07777) == 0400);
  CHECK(ReadFile(path) == text);
  take(true);
  CHECK(store->Sync({hash}).error().code() == ErrorCode::kCorrupt);
  CHECK(store->Sync(std::vector<Sha256>(kSyncEachMax + 1, hash)).error().code() == ErrorCode::kCorrupt);
}

TEST_CASE("Inbox: trouble keeps a queued manifest, without a report", "[core][embedded][recovery]") {
  Scene scene;
  const std::string a = scene.Put("a");
  const std::string folder = scene.repository().folder();
  scene.Close();
  Trouble trouble;
  const auto repository = OpenTroubled(folder, &trouble);
  const auto workspace = Value(Workspace::Open(*repository, "w"));
  Inbox inbox(*workspace);
  const RepoPath directory = Value(RepoPath::Parse("data"));
  Ok(inbox.Store(directory, ".tmp.Ab12Cd", Value(repository->PutBytes(a + "  x\n")).id).WithoutValue());
  Ok(inbox.Rename(directory, ".tmp.Ab12Cd", directory, "m.sum"));
  for (const ErrorCode code : {ErrorCode::kBusy, ErrorCode::kIo}) {
    trouble.open = code;
    CHECK(inbox.StageQueued().error().code() == code);
    CHECK_FALSE(Value(inbox.LookUp(directory, "m.sum.result.json")));
  }
  trouble.open = std::nullopt;
  Ok(inbox.StageQueued());
  CHECK(Value(inbox.LookUp(directory, "m.sum.result.json")));
  CHECK(Value(workspace->tree().LookUp({kRootFolder, "data"})));
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

TEST_CASE("Index: a log whose sync failed, in whatever process, is written anew before a sync is believed",
          "[core][recovery]") {
  TempFolder folder;
  const auto index = Value(OpenStagingIndex({"", "", folder / "stagefs.db", WhereMissing::kMake}));
  const std::string log = folder / "stagefs.db-wal";
  const auto change = [&](Durability durability) {
    const auto transaction = Value(index->Begin(durability));
    Ok(transaction->PutMeta("key", RandomHex()));
    Ok(transaction->Commit());
  };
  const auto is_marked = [&] {
    struct stat info {};
    REQUIRE(stat(log.c_str(), &info) == 0);
    return (info.st_mode & kSyncFailedMark) != 0;
  };
  change(Durability::kPowerLoss);
  REQUIRE(chmod(log.c_str(), 0600 | kSyncFailedMark) == 0);
  SECTION("by who asks for a sync") { Ok(index->Sync()); }
  SECTION("by the next change") { change(Durability::kProcessDeath); }
  CHECK_FALSE(is_marked());
  change(Durability::kPowerLoss);
}

}  // namespace stagefs::test
