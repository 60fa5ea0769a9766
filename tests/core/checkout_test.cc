// Revisions as ordinary files in a folder.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/catch.h"
#include "tests/scene.h"
#include "history/checkout_state.h"
#include "stagefs/checkout.h"
#include "stagefs/history.h"
#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"
#include "stagefs/revision.h"
#include "stagefs/version_store.h"

namespace stagefs::test {
namespace {

using Files = std::map<std::string, std::string>;

struct stat StatOf(const std::string& path) {
  struct stat info {};
  INFO(path);
  REQUIRE(lstat(path.c_str(), &info) == 0);
  return info;
}

// A repository, and a folder to check out into.
struct Desk : Scene {
  using Scene::Scene;

  Result<CheckedOut> TryCheckout(const std::string& revision, const std::string& path = "") {
    CheckoutRequest request = wanted;
    request.revision = Value(ResolveRevision(*Value(repository().index().Read()), revision));
    request.path = Value(RepoPath::ParseDirectory(path));
    request.folder = folder;
    request.root = root();
    return Checkout(repository(), request);
  }
  CheckedOut CheckOut(const std::string& revision, const std::string& path = "") {
    return Value(TryCheckout(revision, path));
  }
  // The message of a checkout that must fail so.
  std::string Refused(ErrorCode code, const std::string& revision, const std::string& path = "") {
    const auto done = TryCheckout(revision, path);
    REQUIRE(!done);
    INFO(done.error().message());
    REQUIRE(done.error().code() == code);
    return done.error().message();
  }
  std::string At(const std::string& path) const { return folder + '/' + path; }
  // Path → content of every file of the folder but the state, "->" of every link.
  Files Found() const {
    Files files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const std::string path = entry.path().string().substr(folder.size() + 1);
      if (entry.is_symlink()) files[path] = "->";
      else if (entry.is_regular_file() && path != kCheckoutStateFile) files[path] = ReadFile(entry.path().string());
    }
    return files;
  }
  // All names, folders too.
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      names.insert(entry.path().string().substr(folder.size() + 1));
    }
    return names;
  }
  CheckoutState State() const {
    const UniqueFd fd = Value(OpenFd(folder, O_RDONLY | O_DIRECTORY));
    const std::optional<CheckoutState> state = Value(CheckoutState::Read(fd.get()));
    REQUIRE(state);
    return *state;
  }
  // As a checkout to `commit` leaves it that was cut off, in a folder that had `from`.
  void CutOff(const std::string& commit, const std::string& from, const std::string& boot = BootId()) {
    CheckoutState state = CheckoutState::Of(name().ToString(), commit, RepoPath());
    if (!from.empty()) state.from = {from};
    state.boot = boot;
    const UniqueFd fd = Value(OpenFd(folder, O_RDONLY | O_DIRECTORY));
    Ok(state.Write(fd.get(), "temporary"));
  }
  int64_t TimeOf(const std::string& path) {
    return Value(workspace().tree().Find(Value(RepoPath::Parse(path)))).entry.mtime_ns;
  }

  TempFolder desk;
  std::string folder = desk / "out";
  CheckoutRequest wanted;  // Its options.
};

void SetTime(const std::string& path, int64_t time_ns) {
  const timespec times[2] = {{0, UTIME_OMIT}, {time_ns / 1'000'000'000, time_ns % 1'000'000'000}};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

// Two commits that differ in each way: one, a/two and a/b/x; then one is another, a/b goes, c/new comes.
struct TwoCommits : Desk {
  TwoCommits() {
    Stage("one", "1");
    Stage("a/two", "2");
    Stage("a/b/x", "3");
    first = Commit("first");
    Stage("one", "another");
    Remove("a/b/x");
    Stage("c/new", "4");
    second = Commit("second");
  }
  const Files of_first{{"one", "1"}, {"a/two", "2"}, {"a/b/x", "3"}};
  const Files of_second{{"one", "another"}, {"a/two", "2"}, {"c/new", "4"}};
  std::string first, second;
};

}  // namespace

TEST_CASE("Checkout: files have the bytes, times and modes of the revision, and nothing else is there",
          "[core][checkout]") {
  Desk scene;
  scene.Stage("plain", "bytes");
  scene.Stage("empty", "");
  scene.Stage("deep/er/big", std::string(3'000'000, 'b'));
  scene.Stage("deep/run", "#!");
  const FileMode executable{true, std::nullopt};
  Ok(scene.workspace().SetTraits(scene.SlotOf("deep/run"), std::nullopt, executable).WithoutValue());
  const std::string commit = scene.Commit();
  const CheckedOut done = scene.CheckOut("main");
  CHECK(done.files == 4);
  CHECK(done.bytes == 3'000'007);
  CHECK(done.removed == 0);
  CHECK(scene.Found() == scene.BaseFiles());
  CHECK(scene.Names() == std::set<std::string>{".stagefs-checkout", "deep", "deep/er", "deep/er/big", "deep/run",
                                               "empty", "plain"});
  const mode_t mask = umask(022);
  umask(mask);
  CHECK((StatOf(scene.At("plain")).st_mode & 07777) == (0666 & ~mask));
  CHECK((StatOf(scene.At("deep/run")).st_mode & 07777) == (0777 & ~mask));
  CHECK(ToNs(StatOf(scene.At("plain")).st_mtim) == scene.TimeOf("plain"));
  const CheckoutState state = scene.State();
  CHECK(state.commit == commit);
  CHECK(state.complete);
  CHECK(scene.CheckOut("main").written == 0);
}

TEST_CASE("Checkout: another revision writes only what differs and removes what it has not", "[core][checkout]") {
  TwoCommits scene;
  CHECK(scene.CheckOut(scene.first).files == 3);
  const ino_t same = StatOf(scene.At("a/two")).st_ino, other = StatOf(scene.At("one")).st_ino;
  WriteFile(scene.At("a/mine"), "untracked");
  const CheckedOut done = scene.CheckOut("main");
  CHECK(done.files == 3);
  CHECK(done.written == 2);
  CHECK(done.removed == 1);
  Files expected = scene.of_second;
  expected["a/mine"] = "untracked";
  CHECK(scene.Found() == expected);
  CHECK(!std::filesystem::exists(scene.At("a/b")));
  CHECK(StatOf(scene.At("a/two")).st_ino == same);
  CHECK(StatOf(scene.At("one")).st_ino != other);
  CHECK(scene.CheckOut(scene.first).removed == 1);
  CHECK(!std::filesystem::exists(scene.At("c")));
}

TEST_CASE("Checkout: a file that was touched is as it was checked out", "[core][checkout]") {
  TwoCommits scene;
  scene.CheckOut(scene.first);
  for (const char* path : {"one", "a/two", "a/b/x"}) SetTime(scene.At(path), 5);
  REQUIRE(chmod(scene.At("a/two").c_str(), 0755) == 0);
  const ino_t same = StatOf(scene.At("a/two")).st_ino;
  scene.CheckOut("main");
  CHECK(scene.Found() == scene.of_second);
  CHECK(StatOf(scene.At("a/two")).st_ino == same);
  CHECK(ToNs(StatOf(scene.At("a/two")).st_mtim) == scene.TimeOf("a/two"));
  CHECK((StatOf(scene.At("a/two")).st_mode & 0111) == 0);
}

TEST_CASE("Checkout: own changes are named and stay, unless forced", "[core][checkout]") {
  TwoCommits scene;
  scene.CheckOut(scene.first);
  WriteFile(scene.At("one"), "mine");
  WriteFile(scene.At("a/b/x"), "mine, of another size");
  WriteFile(scene.At("c/new"), "in the way");
  WriteFile(scene.At("untracked"), "out of the way");
  const Files mine = scene.Found();
  const std::string message = scene.Refused(ErrorCode::kConflict, "main");
  CHECK(message.starts_with("3 paths in "));
  for (const char* path : {"\n  one", "\n  a/b/x", "\n  c/new", "--force"}) {
    INFO(message);
    CHECK(message.find(path) != std::string::npos);
  }
  CHECK(scene.Found() == mine);
  CHECK(scene.State().commit == scene.first);
  CHECK(scene.State().complete);

  scene.wanted.force = true;
  CHECK(scene.CheckOut("main").removed == 1);
  Files expected = scene.of_second;
  expected["untracked"] = "out of the way";
  CHECK(scene.Found() == expected);
}

TEST_CASE("Checkout: a file that both revisions have alike is an own change once it is changed", "[core][checkout]") {
  TwoCommits scene;
  scene.CheckOut(scene.first);
  WriteFile(scene.At("a/two"), "9");  // Of the same size.
  CHECK(scene.Refused(ErrorCode::kConflict, "main").find("1 path in") == 0);
  CHECK(scene.Refused(ErrorCode::kConflict, scene.first).find("a/two") != std::string::npos);
  CHECK(scene.Found().at("one") == "1");
  std::filesystem::remove(scene.At("a/two"));  // What is missing is put back.
  scene.CheckOut("main");
  CHECK(scene.Found() == scene.of_second);
}

TEST_CASE("Checkout: of many own changes the first are named, and all counted", "[core][checkout]") {
  Desk scene;
  for (int i = 0; i < 30; ++i) scene.Stage("f" + std::to_string(100 + i), "x");
  scene.Commit();
  for (int i = 0; i < 30; ++i) WriteFile(scene.At("f" + std::to_string(100 + i)), "mine");
  const std::string message = scene.Refused(ErrorCode::kConflict, "main");
  CHECK(message.starts_with("30 paths in "));
  CHECK(message.find("\n  f119\n  and 10 more\n") != std::string::npos);
}

TEST_CASE("Checkout: files that a folder has already are kept where they are right", "[core][checkout]") {
  TwoCommits scene;
  WriteFile(scene.At("a/two"), "2");
  WriteFile(scene.At("one"), "wrong!!");  // As long as the right one.
  const ino_t same = StatOf(scene.At("a/two")).st_ino;
  SetTime(scene.At("one"), scene.TimeOf("one"));  // Nothing says that this was ever checked out.
  CHECK(scene.Refused(ErrorCode::kConflict, "main").find("\n  one\n") != std::string::npos);
  CHECK(!std::filesystem::exists(scene.At(".stagefs-checkout")));
  WriteFile(scene.At("one"), "another");
  CHECK(scene.CheckOut("main").written == 3);
  CHECK(scene.Found() == scene.of_second);
  CHECK(StatOf(scene.At("a/two")).st_ino == same);
  CHECK(ToNs(StatOf(scene.At("a/two")).st_mtim) == scene.TimeOf("a/two"));
}

TEST_CASE("Checkout: one that was cut off goes on, to the same revision or another", "[core][checkout]") {
  TwoCommits scene;
  scene.CheckOut(scene.first);
  scene.wanted.force = true;
  scene.CheckOut(scene.second);
  scene.wanted.force = false;
  // Half of the way: one is new, c/new is not there yet, a/b/x not gone, and a file was being written.
  std::filesystem::remove_all(scene.At("c"));
  WriteFile(scene.At("a/b/x"), "3");
  WriteFile(scene.At("a/.stagefs-checkout~0123456789abcdef"), "half");
  std::filesystem::create_directories(scene.At("c"));  // Folders come before their files.
  scene.CutOff(scene.second, scene.first);
  const bool back = GENERATE(false, true);
  scene.CheckOut(back ? scene.first : scene.second);
  CHECK(scene.Found() == (back ? scene.of_first : scene.of_second));
  CHECK(scene.State().complete);
  CHECK(scene.State().from.empty());
  CHECK(std::filesystem::exists(scene.At("c")) == !back);
  CHECK(std::filesystem::exists(scene.At("a/b")) == back);
}

TEST_CASE("Checkout: own changes stay own where one was cut off", "[core][checkout]") {
  TwoCommits scene;
  scene.CheckOut(scene.first);
  scene.CutOff(scene.second, scene.first);
  WriteFile(scene.At("one"), "mine");
  CHECK(scene.Refused(ErrorCode::kConflict, "main").find("\n  one\n") != std::string::npos);
}

TEST_CASE("Checkout: after power loss a file that has its time is read again", "[core][checkout]") {
  TwoCommits scene;
  scene.CheckOut(scene.second);
  WriteFile(scene.At("one"), std::string(7, '\0'));
  SetTime(scene.At("one"), scene.TimeOf("one"));
  SECTION("in the same boot it is believed") {
    scene.CutOff(scene.second, "");
    scene.CheckOut("main");
    CHECK(scene.Found() != scene.of_second);
  }
  SECTION("in another one it is not") {
    scene.CutOff(scene.second, "", "another boot");
    scene.CheckOut("main");
    CHECK(scene.Found() == scene.of_second);
  }
  SECTION("after a sync that failed all is written anew") {
    const ino_t before = StatOf(scene.At("a/two")).st_ino;
    scene.CutOff(scene.second, "", "");
    scene.CheckOut("main");
    CHECK(scene.Found() == scene.of_second);
    CHECK(StatOf(scene.At("a/two")).st_ino != before);
  }
}

TEST_CASE("Checkout: whoever gives up leaves no half file, and can go on", "[core][checkout]") {
  TwoCommits scene;
  Caller caller([] { return true; });
  {
    const WorkingFor scope(&caller);
    REQUIRE(caller.GaveUpByNow());
    scene.Refused(ErrorCode::kInterrupted, "main");
  }
  CHECK(!std::filesystem::exists(scene.folder));
  scene.CheckOut("main");
  CHECK(scene.Found() == scene.of_second);
}

TEST_CASE("Checkout: links are the store's own files", "[core][checkout]") {
  TwoCommits scene;
  scene.wanted.link = true;
  if (scene.repository().versions().IsElsewhere()) {
    CHECK(scene.Refused(ErrorCode::kUnsupported, "main").find("without --link") != std::string::npos);
    CHECK(!std::filesystem::exists(scene.folder));
    return;
  }
  scene.CheckOut(scene.first);
  CHECK(scene.Found() == scene.of_first);
  const std::string hex = ToHex(HashOf("2").sha256);
  const ino_t of_store = StatOf(scene.root() + "/t/r/versions/" + hex.substr(0, 2) + '/' + hex.substr(2)).st_ino;
  CHECK(StatOf(scene.At("a/two")).st_ino == of_store);
  CHECK((StatOf(scene.At("a/two")).st_mode & 0222) == 0);
  CHECK(scene.State().link);
  CHECK(scene.CheckOut("main").written == 2);
  CHECK(scene.Found() == scene.of_second);
  CHECK(scene.CheckOut("main").written == 0);
  // As copies, none is left that is the store's, whatever its time is.
  SetTime(scene.At("a/two"), scene.TimeOf("a/two"));
  scene.wanted.link = false;
  CHECK(scene.CheckOut("main").written == 3);
  CHECK(scene.Found() == scene.of_second);
  CHECK(StatOf(scene.At("a/two")).st_ino != of_store);
  CHECK((StatOf(scene.At("a/two")).st_mode & 0200) != 0);
  CHECK(StatOf(scene.root() + "/t/r/versions/" + hex.substr(0, 2) + '/' + hex.substr(2)).st_nlink == 1);
  // And as links again.
  scene.wanted.link = true;
  CHECK(scene.CheckOut("main").written == 3);
  CHECK(StatOf(scene.At("a/two")).st_ino == of_store);
}

TEST_CASE("Checkout: many links to one version come and go together", "[core][checkout]") {
  Desk scene;
  if (scene.repository().versions().IsElsewhere()) return;
  for (int i = 0; i < 20; ++i) scene.Stage("d/" + std::to_string(i), "same");
  const std::string same = scene.Commit();
  for (int i = 0; i < 20; i += 2) scene.Remove("d/" + std::to_string(i));
  for (int i = 1; i < 20; i += 2) scene.Stage("d/" + std::to_string(i), "other");
  const std::string other = scene.Commit();
  scene.wanted.link = true;
  scene.CheckOut(same);
  CHECK(scene.CheckOut(other).removed == 10);
  scene.CheckOut(same);
  CHECK(scene.Found().size() == 20);
}

TEST_CASE("Checkout: versions that are in memory cannot be linked to", "[core][checkout]") {
  Desk scene(/*in_memory_store=*/true);
  scene.Stage("one", "1");
  scene.Commit();
  scene.wanted.link = true;
  scene.Refused(ErrorCode::kUnsupported, "main");
  scene.wanted.link = false;
  scene.CheckOut("main");
  CHECK(scene.Found() == Files{{"one", "1"}});
}

TEST_CASE("Checkout: symbolic links are never followed", "[core][checkout]") {
  TwoCommits scene;
  TempFolder outside;
  WriteFile(outside / "two", "outside");
  WriteFile(outside / "target", "outside");
  scene.CheckOut(scene.first);
  std::filesystem::remove_all(scene.At("a"));
  std::filesystem::create_symlink(outside.path(), scene.At("a"));
  std::filesystem::remove(scene.At("one"));
  std::filesystem::create_symlink(outside / "target", scene.At("one"));
  const std::string message = scene.Refused(ErrorCode::kConflict, "main");
  CHECK(message.starts_with("2 paths in "));
  CHECK(message.find("\n  a\n") != std::string::npos);
  CHECK(message.find("\n  one\n") != std::string::npos);
  scene.wanted.force = true;
  scene.CheckOut("main");
  CHECK(scene.Found() == scene.of_second);
  CHECK(ReadFile(outside / "two") == "outside");
  CHECK(ReadFile(outside / "target") == "outside");
  CHECK(!std::filesystem::exists(outside / "b"));
}

TEST_CASE("Checkout: a link in the place of a folder whose files go is left alone", "[core][checkout]") {
  TwoCommits scene;
  TempFolder outside;
  WriteFile(outside / "x", "3");
  scene.CheckOut(scene.first);
  std::filesystem::remove_all(scene.At("a/b"));
  std::filesystem::create_symlink(outside.path(), scene.At("a/b"));
  CHECK(scene.CheckOut("main").removed == 0);
  CHECK(ReadFile(outside / "x") == "3");
  CHECK(std::filesystem::is_symlink(scene.At("a/b")));
}

TEST_CASE("Checkout: a file becomes a folder, and a folder a file", "[core][checkout]") {
  Desk scene;
  scene.Stage("x", "file");
  scene.Stage("y/deep/z", "in a folder");
  const std::string first = scene.Commit();
  scene.Remove("x");
  scene.Stage("x/y", "in a folder");
  scene.Remove("y/deep/z");
  scene.Remove("y/deep");
  scene.Remove("y");
  scene.Stage("y", "file");
  scene.Commit();
  scene.CheckOut(first);
  SECTION("where nothing else is there") {
    scene.CheckOut("main");
    CHECK(scene.Found() == Files{{"x/y", "in a folder"}, {"y", "file"}});
    scene.CheckOut(first);
    CHECK(scene.Found() == Files{{"x", "file"}, {"y/deep/z", "in a folder"}});
  }
  SECTION("other files in it are own changes") {
    WriteFile(scene.At("y/deep/mine"), "mine");
    CHECK(scene.Refused(ErrorCode::kConflict, "main").find("\n  y/deep/mine\n") != std::string::npos);
    CHECK(scene.Found().size() == 3);
    scene.wanted.force = true;
    scene.CheckOut("main");
    CHECK(scene.Found() == Files{{"x/y", "in a folder"}, {"y", "file"}});
  }
}

TEST_CASE("Checkout: names are bytes", "[core][checkout]") {
  Desk scene;
  const std::string folder = "f\xff", name = "n\x80\nx";
  scene.Write("plain", "0");
  scene.MakeFolder(folder);
  scene.Stage(folder + '/' + name, "1");
  scene.Commit();
  scene.CheckOut("main");
  CHECK(scene.Found() == Files{{"plain", "0"}, {folder + '/' + name, "1"}});
  scene.folder = scene.desk / "below";
  scene.CheckOut("main", folder);
  CHECK(scene.Found() == Files{{name, "1"}});
  CHECK(scene.CheckOut("main", folder).written == 0);
  scene.Refused(ErrorCode::kConflict, "main", "plain");
  WriteFile(scene.At(name), "mine");
  CHECK(scene.Refused(ErrorCode::kConflict, "main", folder).find('\x80') == std::string::npos);
}

TEST_CASE("Checkout: a folder or a file of a revision", "[core][checkout]") {
  TwoCommits scene;
  scene.CheckOut(scene.first, "a");
  CHECK(scene.Found() == Files{{"two", "2"}, {"b/x", "3"}});
  CHECK(scene.CheckOut("main", "a").removed == 1);
  CHECK(scene.Found() == Files{{"two", "2"}});
  CHECK(scene.Refused(ErrorCode::kConflict, "main").find("holds a checkout of t/r, its a") != std::string::npos);
  scene.folder = scene.desk / "file";
  scene.CheckOut(scene.first, "one");
  CHECK(scene.Found() == Files{{"one", "1"}});
  scene.CheckOut("main", "one");
  CHECK(scene.Found() == Files{{"one", "another"}});
  scene.folder = scene.desk / "none";
  scene.Refused(ErrorCode::kNotFound, "main", "a/none");
  CHECK(!std::filesystem::exists(scene.folder));
}

TEST_CASE("Checkout: of an empty tree, an empty folder", "[core][checkout]") {
  Desk scene;
  CHECK(scene.CheckOut("main").files == 0);
  CHECK(scene.Names() == std::set<std::string>{".stagefs-checkout"});
  scene.Stage("one", "1");
  scene.Commit();
  scene.CheckOut("main");
  CHECK(scene.CheckOut("main~").removed == 1);
  CHECK(scene.Names() == std::set<std::string>{".stagefs-checkout"});
}

TEST_CASE("Checkout: not around the root, not inside it, and not on a file", "[core][checkout]") {
  TwoCommits scene;
  scene.folder = scene.root() + "/t/out";
  scene.Refused(ErrorCode::kInvalidArgument, "main");
  scene.folder = std::filesystem::path(scene.root()).parent_path();
  scene.Refused(ErrorCode::kInvalidArgument, "main");
  std::filesystem::create_symlink(scene.root(), scene.desk / "link");
  scene.folder = scene.desk / "link/out";
  scene.Refused(ErrorCode::kInvalidArgument, "main");
  scene.folder = "/proc";
  CHECK(scene.Refused(ErrorCode::kInvalidArgument, "main").find("mount point") != std::string::npos);
  scene.folder = scene.desk / "file";
  WriteFile(scene.folder, "");
  scene.Refused(ErrorCode::kNotDirectory, "main");
}

TEST_CASE("Checkout: two at once do not work in one folder", "[core][checkout]") {
  TwoCommits scene;
  scene.CheckOut("main");
  const UniqueFd other = Value(OpenFd(scene.folder, O_RDONLY | O_DIRECTORY));
  REQUIRE(flock(other.get(), LOCK_EX | LOCK_NB) == 0);
  scene.Refused(ErrorCode::kBusy, "main");
}

TEST_CASE("Checkout: a damaged version is not put into a folder", "[core][checkout]") {
  TwoCommits scene;
  if (scene.repository().versions().IsElsewhere()) return;
  const std::string hex = ToHex(HashOf("4").sha256);
  const std::string file = scene.root() + "/t/r/versions/" + hex.substr(0, 2) + '/' + hex.substr(2);
  const timespec time = StatOf(file).st_mtim;
  REQUIRE(chmod(file.c_str(), 0600) == 0);
  WriteFile(file, "5");
  SetTime(file, ToNs(time));  // As a disk changes it, without a trace.
  scene.wanted.link = GENERATE(false, true);
  CHECK(scene.Refused(ErrorCode::kCorrupt, "main").find("c/new") != std::string::npos);
  CHECK(!std::filesystem::exists(scene.At("c/new")));
  CHECK(!scene.State().complete);
  CHECK(std::filesystem::is_empty(scene.At("c")));
}

TEST_CASE("Checkout: a file with a name of checkout's own is left out", "[core][checkout]") {
  Desk scene;
  scene.Stage(".stagefs-checkout", "somebody's");
  scene.Stage("d/.stagefs-checkout", "somebody's");
  scene.Commit();
  CHECK(scene.CheckOut("main").has_state_file);
  CHECK(scene.Found() == Files{{"d/.stagefs-checkout", "somebody's"}});
  WriteFile(scene.At(".stagefs-checkout"), "no state");
  scene.Refused(ErrorCode::kCorrupt, "main");
}

TEST_CASE("Checkout: a commit that the repository has not", "[core][checkout]") {
  TwoCommits scene;
  scene.CheckOut(scene.first);
  CheckoutState state = scene.State();
  state.commit = std::string(32, '0');
  Ok(state.Write(Value(OpenFd(scene.folder, O_RDONLY | O_DIRECTORY)).get(), "temporary"));
  CHECK(scene.Refused(ErrorCode::kConflict, "main").find("--force") != std::string::npos);
  scene.wanted.force = true;
  scene.CheckOut("main");
  CHECK(scene.Found().at("one") == "another");
}

}  // namespace stagefs::test
