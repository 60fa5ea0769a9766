// OpenFile: one file while somebody has it open.
#include "mount/open_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/scene.h"

namespace stagefs::test {
namespace {

// Open files of a Scene's workspace, staged at the path `f`.
class OpenFileScene : public Scene {
 public:
  std::unique_ptr<OpenFile> New() { return Of(std::nullopt); }
  std::unique_ptr<OpenFile> Of(std::optional<Entry> entry) {
    return std::make_unique<OpenFile>(OpenFileEnv{repository(), *copies_}, std::move(entry));
  }
  std::unique_ptr<OpenFile> OfVersion(const std::string& text) {
    return Of(Entry::OfFile(VersionOf(text), text.size(), 1));
  }
  VersionId VersionOf(const std::string& text) { return Value(repository().FindVersion(Put(text))).id; }

  Placer placer() {
    return [this]() -> Result<WorkingCopyPlace> {
      if (broken_) return Error(ErrorCode::kNoSpace, "full");
      return PlaceAtRoot(workspace(), "f");
    };
  }
  Status Write(OpenFile& file, const std::string& text, uint64_t offset = 0) {
    return file.Write(text.data(), text.size(), offset, placer());
  }
  Status StageIt(OpenFile& file) {
    const Slot slot{kRootFolder, "f"};
    return file.Stage(
        [&](const std::string& path, const ContentId& content, uint64_t size_bytes, const StageHow& how)
            -> Result<Entry> {
          if (broken_) return Error(ErrorCode::kNoSpace, "full");
          ++moved_;
          STAGEFS_ASSIGN_OR_RETURN(const auto staged, workspace().StageFile(slot, path, content, size_bytes, how));
          return staged.entry;
        },
        [&](VersionId version, const StageHow& how) -> Result<Entry> {
          return Value(workspace().StageVersion(slot, version, how)).entry;
        },
        placer());
  }
  // Others have the turn, or it is refused.
  Status StageBusy(OpenFile& file, ErrorCode code = ErrorCode::kBusy) {
    const Error error(code, "others write");
    return file.Stage([&](const auto&, const auto&, uint64_t, const auto&) -> Result<Entry> { return error; },
                      [&](VersionId, const auto&) -> Result<Entry> { return error; }, placer(),
                      std::chrono::milliseconds(5));
  }
  CopySource Source(const std::string& text) {
    const VersionId version = VersionOf(text);
    return {version, Value(OpenSharedVersion(repository(), version)), text.size()};
  }
  Status StageFirst(OpenFile& file) {
    return file.StageClosedPart(
        [&](const std::string& path, const ContentId& content, uint64_t size_bytes, const StageHow& how)
            -> Result<Entry> {
          STAGEFS_ASSIGN_OR_RETURN(const auto staged,
                                   workspace().StageFile({kRootFolder, "f"}, path, content, size_bytes, how));
          return staged.entry;
        },
        Turn::kWaitMax);
  }
  size_t Copies() { return Value(ListWorkingCopyPlaces(repository())).size(); }
  void Break(bool broken) { broken_ = broken; }
  int moved() const { return moved_; }

 private:
  std::unique_ptr<WorkingCopies> copies_ = Value(WorkingCopies::Open(repository()));
  bool broken_ = false;
  int moved_ = 0;
};

std::string BytesOf(OpenFile& file) {
  const auto fd = Value(file.ForReading());
  if (!fd) return "";
  std::string text(file.shown().size_bytes, '\0');
  REQUIRE(pread(fd->get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  return text;
}

}  // namespace

TEST_CASE("OpenFile: a new file that nobody writes to is staged empty", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  CHECK(file->fresh());
  Ok(scene.StageIt(*file));
  CHECK(scene.Read("f").empty());
  CHECK(scene.moved() == 0);
}

TEST_CASE("OpenFile: what is written is read back at once and staged", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  Ok(scene.Write(*file, "hello "));
  Ok(scene.Write(*file, "world", 6));
  CHECK(BytesOf(*file) == "hello world");
  Ok(scene.StageIt(*file));
  CHECK(scene.Read("f") == "hello world");
  CHECK(!file->dirty());
}

TEST_CASE("OpenFile: what is written backwards has the right hash", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  Ok(scene.Write(*file, "world", 6));
  Ok(scene.Write(*file, "hello ", 0));
  Ok(scene.StageIt(*file));
  CHECK(file->entry().version == scene.VersionOf("hello world"));
}

TEST_CASE("OpenFile: a version that is written to stays what it is", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.OfVersion("old text");
  Ok(scene.Write(*file, "new", 0));
  CHECK(BytesOf(*file) == "new text");
  CHECK(BytesOf(*scene.OfVersion("old text")) == "old text");
}

TEST_CASE("OpenFile: a descriptor that was taken is that of its bytes", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.OfVersion("text");
  Ok(file->TakeDescriptorForReading());
  const UniqueFd next(open("/", O_PATH));
  CHECK(BytesOf(*file) == "text");
  CHECK(Value(file->ForReading())->get() < next.get());
}

TEST_CASE("OpenFile: what is closed before its turn comes is kept, and staged then", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  if (GENERATE(false, true)) {
    Ok(scene.Write(*file, "hello"));
  } else {
    const CopySource source = scene.Source("hello");
    CHECK(Value(file->CopyFrom(source, 0, 0, 5, scene.placer())) == 5);
  }
  CHECK(scene.StageBusy(*file).error().code() == ErrorCode::kBusy);
  CHECK(!file->refused());
  Ok(file->CloseUnstaged(0, scene.placer()));
  CHECK(file->closed());
  CHECK(file->holds_bytes());
  file->SetTraits(77, FileMode{true, 0700});
  Ok(file->SyncClosed());
  CHECK(BytesOf(*file) == "hello");
  const WorkingCopyPlace place = Value(ListWorkingCopyPlaces(scene.repository())).at(0);
  CHECK(place.state == WorkingCopyState::kClosed);
  CHECK(*place.closed.content == HashOf("hello").sha256);
  CHECK(place.closed.mode == FileMode{true, 0700});
  CHECK(place.closed.mtime_ns == 77);
  SECTION("nobody staged anything there") {
    CHECK(scene.StageBusy(*file).error().code() == ErrorCode::kBusy);
    CHECK(file->closed());
    Ok(scene.StageIt(*file));
    CHECK(scene.Read("f") == "hello");
    CHECK(!file->closed());
    CHECK(!file->holds_bytes());
    CHECK(scene.Copies() == 0);
  }
  SECTION("the repository moved meanwhile: it is for the next start, at the new place") {
    CHECK(scene.StageBusy(*file, ErrorCode::kConflict).error().code() == ErrorCode::kConflict);
    CHECK(file->closed());
    CHECK(!file->refused());
    CHECK(Value(ListWorkingCopyPlaces(scene.repository())).at(0).state == WorkingCopyState::kClosed);
    Ok(scene.StageIt(*file));
    CHECK(scene.Read("f") == "hello");
  }
  SECTION("somebody did") {
    Ok(scene.workspace().StageVersion({kRootFolder, "f"}, scene.VersionOf("newer"), {}).WithoutValue());
    CHECK(scene.StageIt(*file).error().code() == ErrorCode::kExists);
    CHECK(file->closed());
    Ok(file->PutAside());
    CHECK(!file->holds_bytes());
    CHECK(scene.Read("f") == "newer");
    CHECK(scene.StatusLines() == Lines{"A  f", "!  f (recovered after a crash: retry or dismiss)"});
    CHECK(scene.Copies() == 0);
  }
}

TEST_CASE("OpenFile: what waits to be staged is appended to without a wait, and not changed otherwise",
          "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  Ok(scene.Write(*file, "hello"));
  Ok(file->CloseUnstaged(0, scene.placer()));
  CHECK(!file->unhashed());
  CHECK(!file->MayBeRewritten(4));
  REQUIRE(file->MayBeRewritten(5));
  Ok(file->Rewrite());
  Ok(scene.Write(*file, " world", 5));
  CHECK(!file->closed());
  CHECK(file->promised());
  const WorkingCopyPlace place = Value(ListWorkingCopyPlaces(scene.repository())).at(0);
  CHECK(place.state == WorkingCopyState::kRewritten);
  CHECK(Value(IsAsClosed(place, Value(HashFile(Value(file->ForReading())->get())))));
  Ok(scene.StageIt(*file));
  CHECK(scene.Read("f") == "hello world");
  CHECK(!file->promised());
  CHECK(scene.Copies() == 0);
}

TEST_CASE("OpenFile: what was closed first is staged while the file is written on", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  Ok(scene.Write(*file, "hello"));
  CHECK(!file->part_waits());
  Ok(file->CloseUnstaged(0, scene.placer()));
  if (GENERATE(false, true)) Ok(file->SyncClosed());
  Ok(file->Rewrite());
  REQUIRE(file->part_waits());
  Ok(scene.Write(*file, " world", 5));
  SECTION("and the rest by its own close") {
    if (GENERATE(false, true)) Ok(file->Sync(scene.placer()));
    Ok(scene.StageFirst(*file));
    CHECK(scene.Read("f") == "hello");
    CHECK(!file->part_waits());
    CHECK(BytesOf(*file) == "hello world");
    CHECK(Value(ListWorkingCopyPlaces(scene.repository())).at(0).state == WorkingCopyState::kWriting);
    CHECK(file->grown_from() == scene.VersionOf("hello"));
    Ok(scene.StageIt(*file));
    CHECK(scene.Read("f") == "hello world");
  }
  SECTION("others staged something there: it is recovered") {
    Ok(scene.workspace().StageVersion({kRootFolder, "f"}, scene.VersionOf("newer"), {}).WithoutValue());
    Ok(scene.StageFirst(*file));
    CHECK(scene.Read("f") == "newer");
    CHECK(scene.StatusLines() ==
          Lines{"A  f", "W  f (being written)", "!  f (recovered after a crash: retry or dismiss)"});
    Ok(scene.StageIt(*file));
    CHECK(scene.Read("f") == "hello world");
  }
  SECTION("what came then is refused") {
    CHECK(scene.StageBusy(*file, ErrorCode::kNoSpace).error().code() == ErrorCode::kNoSpace);
    CHECK(file->refused());
    Ok(scene.StageFirst(*file));
    CHECK(scene.Read("f") == "hello");
    CHECK(file->refused());
    CHECK(BytesOf(*file) == "hello world");
    file->ForgetRefusal();
    Ok(scene.StageIt(*file));
    CHECK(scene.Read("f") == "hello world");
  }
  CHECK(scene.Copies() == 0);
}

TEST_CASE("OpenFile: what is closed stays for the next start without its owner", "[fs][open_file]") {
  OpenFileScene scene;
  auto file = scene.New();
  Ok(scene.Write(*file, "hello"));
  Ok(file->CloseUnstaged(0, scene.placer()));
  SECTION("closed") {}
  SECTION("and written on") { Ok(file->Rewrite()); }
  file.reset();
  CHECK(scene.Copies() == 1);
}

TEST_CASE("OpenFile: it is known whether a file was only appended to", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.OfVersion("old text");
  CHECK(!file->only_appended());
  Ok(scene.Write(*file, ", new text", 8));
  CHECK(file->only_appended());
  SECTION("changed") { Ok(scene.Write(*file, "O", 0)); }
  SECTION("cut") { Ok(file->Truncate(9, scene.placer())); }
  SECTION("staged") { Ok(scene.StageIt(*file)); }
  CHECK(!file->only_appended());
}

TEST_CASE("OpenFile: what takes long to hash is closed without its hash", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  Ok(file->Truncate(256 << 20, scene.placer()));
  CHECK(!file->TakesLong());
  Ok(file->Truncate((256 << 20) + 1, scene.placer()));
  REQUIRE(file->TakesLong());
  Ok(file->CloseUnstaged(0, scene.placer()));
  CHECK(file->unhashed());
  Ok(file->SyncClosed());
  const WorkingCopyPlace place = Value(ListWorkingCopyPlaces(scene.repository())).at(0);
  CHECK(!place.closed.content);
  CHECK(place.closed.synced);
  SECTION("and hashed by somebody else") {
    Ok(file->NoteHashed(Value(HashFile(Value(file->ForReading())->get()))));
    CHECK(!file->unhashed());
    CHECK(!file->MayBeRewritten(0));
    CHECK(Value(ListWorkingCopyPlaces(scene.repository())).at(0).closed.content);
  }
  SECTION("written anywhere, as nobody was told what it holds") {
    REQUIRE(file->MayBeRewritten(0));
    const uint64_t changes = file->changes();
    Ok(file->Rewrite());
    CHECK(file->changes() != changes);
    CHECK(!file->unhashed());
  }
}

TEST_CASE("OpenFile: a file that is emptied shows nothing of what it was", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.OfVersion("old text");
  Ok(file->Empty());
  CHECK(file->shown().size_bytes == 0);
  Ok(scene.StageIt(*file));
  CHECK(scene.Read("f").empty());
}

TEST_CASE("OpenFile: a file can be cut and made longer", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.OfVersion("old text");
  Ok(file->Truncate(3, scene.placer()));
  Ok(file->Truncate(5, scene.placer()));
  Ok(scene.StageIt(*file));
  CHECK(scene.Read("f") == std::string("old\0\0", 5));
}

TEST_CASE("OpenFile: what is refused keeps its bytes and says so again", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  Ok(scene.Write(*file, "precious"));
  scene.Break(true);
  CHECK(scene.StageIt(*file).error().code() == ErrorCode::kNoSpace);
  scene.Break(false);
  CHECK(scene.StageIt(*file).error().code() == ErrorCode::kNoSpace);
  CHECK(file->refused());
  CHECK(BytesOf(*file) == "precious");
}

TEST_CASE("OpenFile: what is refused is staged once it is written again", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  Ok(scene.Write(*file, "precious"));
  scene.Break(true);
  REQUIRE(!scene.StageIt(*file));
  scene.Break(false);
  Ok(scene.Write(*file, "P"));
  Ok(scene.StageIt(*file));
  CHECK(scene.Read("f") == "Precious");
}

TEST_CASE("OpenFile: half a file does not replace a good one", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  scene.Break(true);
  CHECK(!scene.Write(*file, "half"));
  scene.Break(false);
  Ok(scene.Write(*file, "half", 4));
  CHECK(scene.StageIt(*file).error().code() == ErrorCode::kNoSpace);
  Ok(file->Empty());
  Ok(scene.StageIt(*file));
}

TEST_CASE("OpenFile: a version that is copied whole moves no byte", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  CHECK(Value(file->CopyFrom(scene.Source("some text"), 0, 0, 4, scene.placer())) == 4);
  CHECK(Value(file->CopyFrom(scene.Source("some text"), 4, 4, 100, scene.placer())) == 5);
  CHECK(scene.Copies() == 0);
  Ok(scene.StageIt(*file));
  CHECK(scene.Read("f") == "some text");
  CHECK(scene.moved() == 0);
}

TEST_CASE("OpenFile: a part of a version is staged as bytes of its own", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  CHECK(Value(file->CopyFrom(scene.Source("some text"), 0, 0, 4, scene.placer())) == 4);
  Ok(scene.StageIt(*file));
  CHECK(scene.Read("f") == "some");
}

TEST_CASE("OpenFile: a detached file stages nothing and leaves nothing", "[fs][open_file]") {
  OpenFileScene scene;
  auto file = scene.New();
  Ok(scene.Write(*file, "gone"));
  file->Detach();
  CHECK(BytesOf(*file) == "gone");
  Ok(scene.StageIt(*file));
  CHECK(!scene.Exists("f"));
  CHECK(scene.Copies() == 0);
}

TEST_CASE("OpenFile: what fsync() kept goes with its file", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  Ok(scene.Write(*file, "text"));
  Ok(file->Sync(scene.placer()));
  CHECK(file->promised());
  file->Detach();
  CHECK(scene.Copies() == 0);
  CHECK(Value(Value(scene.repository().index().Read())->ListWorkingCopies()).empty());
  CHECK(BytesOf(*file) == "text");
}

TEST_CASE("OpenFile: what is kept for the next start stays without its owner", "[fs][open_file]") {
  OpenFileScene scene;
  auto file = scene.New();
  Ok(scene.Write(*file, "later"));
  file->KeepForNextStart(scene.placer());
  file.reset();
  CHECK(scene.Copies() == 1);
}

TEST_CASE("OpenFile: a time and an exec bit that were set are staged with the bytes", "[fs][open_file]") {
  OpenFileScene scene;
  const auto file = scene.New();
  Ok(scene.Write(*file, "text"));
  file->SetTraits(12345, FileMode{true, std::nullopt});
  Ok(scene.StageIt(*file));
  CHECK(file->entry().mtime_ns == 12345);
  CHECK(file->entry().executable);
}

}  // namespace stagefs::test
