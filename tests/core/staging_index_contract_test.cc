// What every StagingIndex promises.
#include <atomic>
#include <future>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "memory_staging_index.h"
#include "tests/catch.h"
#include "tests/scene.h"
#include "tests/servers.h"
#include "index/held_reader.h"
#include "index/postgres/postgres_pool.h"
#include "index/postgres/postgres_staging_index.h"
#include "index/postgres/postgres_turns.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "stagefs/index_move.h"
#include "stagefs/posix_env.h"
#include "stagefs/history.h"

namespace stagefs::test {
namespace {

// Each implementation in turn; those that can be moved into each other.
#define INDEXES GENERATE(IndexKind::kSqlite, IndexKind::kPostgres, IndexKind::kMemory)
#define DATABASES GENERATE(IndexKind::kSqlite, IndexKind::kPostgres)
enum class IndexKind { kSqlite, kPostgres, kMemory };

struct IndexScene {
  explicit IndexScene(IndexKind kind) {
    if (kind == IndexKind::kMemory) {
      index = NewMemoryStagingIndex();
      return;
    }
    place = {kind == IndexKind::kPostgres ? PostgresUrl() : "", "test/" + RandomHex(), folder / "stagefs.db",
             WhereMissing::kMake};
    index = Value(OpenStagingIndex(place));
    place.missing = WhereMissing::kRefuse;
  }

  std::unique_ptr<IndexTransaction> Begin() { return Value(index->Begin(Durability::kProcessDeath)); }
  std::unique_ptr<IndexReader> Read() { return Value(index->Read()); }

  static VersionId AddVersion(IndexTransaction& transaction, const std::string& text, bool synced = true) {
    VersionInfo version;
    version.content = HashOf(text);
    version.size_bytes = text.size();
    version.synced = synced;
    return Value(transaction.AddVersion(version));
  }
  static Entry File(VersionId version) {
    Entry entry;
    entry.kind = EntryKind::kFile;
    entry.version = version;
    return entry;
  }
  CommitInfo Commit(IndexTransaction& transaction, CommitSeq parent) {
    CommitInfo commit;
    commit.id = RandomHex();
    commit.parent = parent;
    return Value(transaction.AddCommit(commit, "main"));
  }
  WorkspaceId AddWorkspace(IndexTransaction& transaction) {
    WorkspaceInfo workspace;
    workspace.uid = RandomHex();
    workspace.branch = "main";
    return Value(transaction.AddWorkspace(workspace)).id;
  }

  TempFolder folder;
  IndexPlace place;
  std::unique_ptr<StagingIndex> index;
};

// What `take` returns, taken by another thread: this one may take another.
template <class Take>
auto OnAnother(Take take) {
  return std::async(std::launch::async, take).get();
}

}  // namespace

TEST_CASE("StagingIndex: a transaction that does not commit leaves nothing", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  {
    const auto transaction = scene.Begin();
    Ok(transaction->PutMeta("key", "value"));
    CHECK(Value(transaction->GetMeta("key")) == "value");
  }
  CHECK_FALSE(Value(scene.Read()->GetMeta("key")));
}

TEST_CASE("StagingIndex: bytes that are no text name nothing", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto reader = scene.Read();
  for (const std::string& name : {std::string("latin-\xe4"), std::string("a\0b", 3)}) {
    CHECK_FALSE(Value(reader->FindBranch(name)));
    CHECK_FALSE(Value(reader->FindCommit(name)));
    CHECK_FALSE(Value(reader->FindWorkspace(name)));
  }
}

TEST_CASE("StagingIndex: tags, and commits by how their ids begin", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  for (const char* id : {"abcd0", "abce1", "abcd2", "0123"}) {
    CommitInfo commit;
    commit.id = id;
    Value(t->AddCommit(commit, "main"));
  }
  const auto found = Value(t->FindCommits("abcd", 10));
  REQUIRE(found.size() == 2);
  CHECK(found[0].id == "abcd0");
  CHECK(found[1].id == "abcd2");
  CHECK(Value(t->FindCommits("a", 2)).size() == 2);
  CHECK(Value(t->FindCommits("f", 2)).empty());
  Ok(t->PutTag({"v2", found[0].seq, "message", "Ann", "ann@example.org", 5}));
  Ok(t->PutTag({"v1", found[1].seq, "", "", "", 6}));
  CHECK_FALSE(Value(t->FindTag("v3")));
  CHECK_FALSE(Value(t->FindTag(std::string("\xff"))));
  const TagInfo tag = *Value(t->FindTag("v2"));
  CHECK(tag.commit == found[0].seq);
  CHECK(tag.message == "message");
  CHECK(tag.author == "Ann");
  CHECK(tag.email == "ann@example.org");
  CHECK(tag.time_ns == 5);
  const auto tags = Value(t->ListTags());
  REQUIRE(tags.size() == 2);
  CHECK(tags[0].name == "v1");
  Ok(t->EraseTag("v1"));
  CHECK(Value(t->ListTags()).size() == 1);
}

TEST_CASE("StagingIndex: what was taken back, in order, until it is old", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const WorkspaceId w = scene.AddWorkspace(*t);
  const std::string path(4000, '\xff');
  for (const int64_t number : {10, 2}) {
    for (const int64_t item : {1, 2}) {
      Entry entry = IndexScene::File(7);
      entry.executable = item == 2;
      Ok(t->PutTakenBack({w, number, item, path, entry, 100 - number, "Ann", "test"}));
    }
  }
  const auto all = Value(t->ListTakenBack(w, {}, 10));
  REQUIRE(all.size() == 4);
  CHECK(all[0].number == 2);
  CHECK(all[3].number == 10);
  CHECK(all[3].item == 2);
  CHECK(all[3].path == path);
  CHECK(all[3].entry.version == 7);
  CHECK(all[3].entry.executable);
  CHECK(all[3].taken_ns == 90);
  CHECK(all[3].actor == "Ann");
  CHECK(all[3].door == "test");
  CHECK(Value(t->ListTakenBack(w, {2, 1}, 2)).at(0).item == 2);
  CHECK(Value(t->ListTakenBack(w + 1, {}, 10)).empty());
  CHECK(Value(t->EraseTakenBack(98, 1)) == 1);
  CHECK(Value(t->EraseTakenBack(98, 10)) == 1);
  CHECK(Value(t->EraseTakenBack(98, 10)) == 0);
  CHECK(Value(t->ListTakenBack(w, {}, 10)).at(0).number == 2);
  Ok(t->EraseWorkspace(w));
  CHECK(Value(t->ListTakenBack(w, {}, 10)).empty());
}

TEST_CASE("StagingIndex: a reader stays in the moment of its first question", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  auto before = scene.Read();
  CHECK_FALSE(Value(before->GetMeta("key")));
  OnAnother([&] {
    const auto transaction = scene.Begin();
    Ok(transaction->PutMeta("key", "value"));
    Ok(transaction->Commit());
  });
  CHECK_FALSE(Value(before->GetMeta("key")));
  before.reset();
  CHECK(Value(scene.Read()->GetMeta("key")) == "value");
}

TEST_CASE("StagingIndex: a thread that takes a second reader is found", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  static int found;
  found = 0;
  const auto before = HeldReader::on_second.exchange([] { ++found; });
  {
    const auto reader = scene.Read();
    OnAnother([&] { scene.Read(); });
    CHECK(found == 0);
    scene.Read();
    CHECK(found == 1);
    Value(scene.index->Glance());
    CHECK(found == 2);
    {
      const HeldReader::Beside beside;
      scene.Read();
    }
    CHECK(found == 2);
    scene.Begin();
    CHECK(found == 3);
  }
  {
    const auto transaction = scene.Begin();
    scene.Read();
    CHECK(found == 4);
    Ok(transaction->Commit());
    scene.Read();
  }
  CHECK(found == 4);
  HeldReader::on_second = before;
}

TEST_CASE("StagingIndex: who opens an index does not wait for writers", "[contract][staging_index]") {
  IndexScene scene(DATABASES);
  const auto writer = scene.Begin();
  Ok(writer->PutMeta("key", "value"));
  auto opened = std::async(std::launch::async, [&] { return OpenStagingIndex(scene.place); });
  REQUIRE(opened.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  CHECK_FALSE(Value(Value(Value(opened.get())->Read())->GetMeta("key")));
}

TEST_CASE("StagingIndex: what comes to be named during a sweep stays", "[contract][staging_index]") {
  IndexScene scene(DATABASES);
  VersionId named = 0, staged = 0, renewed = 0, unused = 0;
  WorkspaceId w = 0;
  {
    const auto t = scene.Begin();
    w = scene.AddWorkspace(*t);
    named = scene.AddVersion(*t, "named");
    staged = scene.AddVersion(*t, "staged");
    renewed = scene.AddVersion(*t, "renewed");
    unused = scene.AddVersion(*t, "unused");
    for (const VersionId id : {named, unused}) Ok(t->PutSparse({id, 8}));
    Ok(t->BeginSweep());
    Ok(t->Commit());
  }
  CHECK(Value(scene.Read()->ListUnused(5, 10)).size() == 4);
  {
    const auto t = Value(scene.index->Begin(Durability::kProcessDeath, Turn::Workspace(w)));
    WorkspaceInfo info = *Value(t->GetWorkspace(w));
    info.report = named;
    Ok(t->PutWorkspace(info));
    Ok(t->Expect(w, TreeView{{{1, 0}}}, {{kRootFolder, "a"}}));  // Written as rows are that come in numbers.
    Ok(t->PutStaged(w, {kRootFolder, "a"}, {IndexScene::File(staged), StagedState::kAdded}));
    Ok(t->RenewVersion(renewed, 7));
    Ok(t->Commit());
  }
  {
    const auto t = scene.Begin();
    for (const VersionId id : {named, staged, renewed}) CHECK_FALSE(Value(t->SweepVersion(id, 5)));
    CHECK(Value(t->SweepVersion(unused, 5)));
    Ok(t->EndSweep());
    Ok(t->Commit());
  }
  {
    const auto t = scene.Begin();
    CHECK(Value(t->GetVersion(named)));
    CHECK_FALSE(Value(t->GetVersion(unused)));
    CHECK(Value(t->ListSparse(0)) == std::vector<SparseVersion>{{named, 8}});
    Ok(t->BeginSweep());  // Another one begins from nothing.
    Ok(t->EraseStaged(w, {kRootFolder, "a"}));
    CHECK(Value(t->SweepVersion(staged, 5)));
  }
}

TEST_CASE("PostgresStagingIndex: those who wait for a turn leave the connections to others", "[core][staging_index]") {
  IndexScene scene(IndexKind::kPostgres);
  const auto elsewhere = Value(OpenStagingIndex(scene.place));  // As another process has it.
  auto alone = Value(elsewhere->Begin(Durability::kPowerLoss));
  std::vector<std::future<void>> waiting;
  for (int i = 1; i <= 60; ++i) {
    waiting.push_back(std::async(std::launch::async, [&, i] {
      Value(scene.index->Begin(Durability::kPowerLoss, Turn::Workspace(1 + i % 30)));
    }));
  }
  const auto connection = Value(PostgresConnection::Open(PostgresUrl(), "", std::chrono::seconds(30)));
  for (std::string blocked; blocked.size() < 2;) {  // Ten or more have a connection and wait on the server.
    const auto rows = connection->Query("SELECT count(*)::text FROM pg_locks"
                                        " WHERE NOT granted AND locktype = 'advisory'");
    blocked = PostgresConnection::FirstText(Value(rows));
  }
  for (int i = 0; i < 20; ++i) CHECK_FALSE(Value(scene.Read()->GetMeta("key")));
  alone.reset();
  for (auto& one : waiting) one.get();
}

TEST_CASE("PostgresTurns: first come, first served among those that want the same", "[core][staging_index]") {
  PostgresTurns turns;
  auto first = Value(turns.Take(Turn::Workspace(1)));
  auto other = Value(turns.Take(Turn::Commit(2)));
  const auto code_of = [&](Turn turn) {
    const auto held = turns.Take(turn.Within(std::chrono::milliseconds(1)));
    return held ? std::optional<ErrorCode>() : held.error().code();
  };
  for (const Turn turn : {Turn::Workspace(1), Turn::Commit(1), Turn::History(), Turn::Everything()}) {
    CHECK(code_of(turn) == ErrorCode::kBusy);
  }
  CHECK_FALSE(code_of(Turn::Workspace(3)));
  CHECK_FALSE(code_of(Turn::NothingElse()));
  other.End();
  CHECK_FALSE(code_of(Turn::History()));
  auto next = std::async(std::launch::async, [&] { return turns.Take(Turn::Everything()).has_value(); });
  while (!code_of(Turn::NothingElse())) {}  // Until that one waits: who comes later waits for it.
  first.End();
  CHECK(next.get());
}

TEST_CASE("PostgresPool: a spare connection is not waited for", "[core][staging_index]") {
  IndexScene scene(IndexKind::kPostgres);
  std::vector<std::unique_ptr<IndexReader>> all;
  for (size_t i = 0; i < PostgresPool::kConnectionsMax; ++i) all.push_back(OnAnother([&] { return scene.Read(); }));
  {
    const HeldReader::Beside beside;
    CHECK(scene.index->Read().error().code() == ErrorCode::kBusy);
  }
  auto next = std::async(std::launch::async, [&] { return scene.Read(); });
  all.pop_back();
  CHECK_FALSE(Value(next.get()->GetMeta("key")));
}

TEST_CASE("StagingIndex: transactions wait for each other", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto count_up = [&] {
    for (int i = 0; i < 50; ++i) {
      const auto transaction = Value(scene.index->Begin(Durability::kProcessDeath));
      const auto now = Value(transaction->GetMeta("count"));
      Ok(transaction->PutMeta("count", std::to_string(now ? std::stoi(*now) + 1 : 1)));
      Ok(transaction->Commit());
    }
  };
  std::thread other(count_up);
  count_up();
  other.join();
  CHECK(Value(scene.Read()->GetMeta("count")) == "100");
}

TEST_CASE("PostgresStagingIndex: only who wants the same waits", "[core][staging_index]") {
  IndexScene scene(IndexKind::kPostgres);
  const auto begin = [&](Turn turn) {
    return OnAnother([&] { return Value(scene.index->Begin(Durability::kPowerLoss, turn)); });
  };
  auto first = begin(Turn::Workspace(1)), second = begin(Turn::Commit(2)), put = begin(Turn::NothingElse());
  std::atomic<int> begun = 0;
  const auto wait_for = [&](Turn turn) {
    return std::thread([&scene, &begun, turn] {
      const auto waiting = Value(scene.index->Begin(Durability::kPowerLoss, turn));
      ++begun;
    });
  };
  std::thread same = wait_for(Turn::Workspace(1)), history = wait_for(Turn::History());
  // They would have begun long before these, which need not wait.
  for (int i = 0; i < 20; ++i) Value(scene.index->Begin(Durability::kPowerLoss, Turn::Workspace(3)));
  CHECK(begun == 0);
  first.reset();
  same.join();
  second.reset();
  history.join();
  CHECK(begun == 2);
  std::thread alone = wait_for(Turn::Everything());
  put.reset();
  alone.join();
}

TEST_CASE("PostgresStagingIndex: two that add the same version get the same row", "[core][staging_index]") {
  IndexScene scene(IndexKind::kPostgres);
  auto first = Value(scene.index->Begin(Durability::kPowerLoss, Turn::NothingElse()));
  const VersionId id = scene.AddVersion(*first, "same");
  VersionId other = 0;
  std::thread second([&] {
    const auto transaction = Value(scene.index->Begin(Durability::kPowerLoss, Turn::NothingElse()));
    other = scene.AddVersion(*transaction, "same");
    Ok(transaction->Commit());
  });
  Ok(first->Commit());
  second.join();
  CHECK(other == id);
}

TEST_CASE("StagingIndex: the number of a version never comes again", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  scene.AddVersion(*t, "kept");
  const VersionId held = scene.AddVersion(*t, "held");
  Ok(t->EraseVersion(held));
  CHECK(scene.AddVersion(*t, "another") != held);
}

TEST_CASE("StagingIndex: a number that an entry names is no new version's", "[contract][staging_index]") {
  IndexScene scene(DATABASES);
  const auto t = scene.Begin();
  const WorkspaceId w = scene.AddWorkspace(*t);
  Ok(t->PutStaged(w, {kRootFolder, "lost"}, {IndexScene::File(scene.AddVersion(*t, "kept") + 1), StagedState::kAdded}));
  Ok(t->move()->EndRows());
  CHECK(scene.AddVersion(*t, "other") > Value(t->LookUpStaged(w, kRootFolder, "lost"))->entry.version);
}

TEST_CASE("StagingIndex: what was expected is answered and staged as without", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const WorkspaceId w = scene.AddWorkspace(*t);
  const VersionId one = scene.AddVersion(*t, "1"), two = scene.AddVersion(*t, "2");
  const CommitInfo commit = scene.Commit(*t, 0);
  Ok(t->PutTreeEntry(commit, {kRootFolder, "base"}, IndexScene::File(one)));
  const TreeView view = Value(t->ViewOf(commit.seq));
  const StagedEntry added{IndexScene::File(one), StagedState::kAdded};
  Ok(t->PutStaged(w, {kRootFolder, "there"}, added));
  const FolderId folder = Value(t->NewFolder());
  Ok(t->Expect(w, view, {{kRootFolder, "base"}, {kRootFolder, "there"}, {kRootFolder, "new"}, {folder, "inside"}}));
  CHECK(Value(t->LookUpBase(view, kRootFolder, "base"))->version == one);
  CHECK_FALSE(Value(t->LookUpBase(view, kRootFolder, "new")));
  CHECK(Value(t->LookUpStaged(w, kRootFolder, "there"))->entry.version == one);
  CHECK_FALSE(Value(t->AddStaged(w, {kRootFolder, "there"}, added)));
  CHECK(Value(t->AddStaged(w, {kRootFolder, "new"}, added)));
  CHECK_FALSE(Value(t->AddStaged(w, {kRootFolder, "new"}, added)));
  CHECK(Value(t->AddStaged(w, {folder, "inside"}, added)));
  Ok(t->PutStaged(w, {kRootFolder, "there"}, {IndexScene::File(two), StagedState::kModified}));
  Ok(t->EraseStaged(w, {folder, "inside"}));
  // Looked at in another way, and expected again.
  CHECK(Value(t->ListStaged(w, kRootFolder, "", 10)).size() == 2);
  CHECK(Value(t->ScanStaged(w, std::nullopt, 10)).size() == 2);
  CHECK(Value(t->CountStaged(w)) == 2);
  Ok(t->Expect(w, view, {{kRootFolder, "new"}, {folder, "inside"}}));
  CHECK(Value(t->LookUpStaged(w, kRootFolder, "new")));
  CHECK_FALSE(Value(t->LookUpStaged(w, folder, "inside")));
  CHECK(Value(t->AddStaged(w, {folder, "inside"}, added)));
  // A folder where a file was expected.
  Ok(t->Expect(w, view, {{kRootFolder, "folder"}}));
  Ok(t->PutStaged(w, {kRootFolder, "folder"}, {Entry::OfFolder(folder), StagedState::kKept}));
  CHECK(Value(t->PlaceInStaged(w, folder))->name == "folder");
  CHECK_FALSE(Value(t->AddStaged(w, {kRootFolder, "folder"}, added)));
  // A folder where a file waits to be written, taken away again, and a file once more.
  const Slot changing{kRootFolder, "changing"};
  const FolderId other = Value(t->NewFolder());
  Ok(t->Expect(w, view, {changing}));
  CHECK(Value(t->AddStaged(w, changing, added)));
  Ok(t->PutStaged(w, changing, {Entry::OfFolder(other), StagedState::kKept}));
  CHECK(Value(t->PlaceInStaged(w, other)) == changing);
  Ok(t->EraseStaged(w, changing));
  CHECK_FALSE(Value(t->PlaceInStaged(w, other)));
  CHECK_FALSE(Value(t->LookUpStaged(w, kRootFolder, "changing")));
  CHECK(Value(t->AddStaged(w, changing, added)));
  CHECK(Value(t->ListStaged(w, kRootFolder, "", 10)).size() == 4);
  Ok(t->EraseStaged(w, changing));
  Ok(t->Commit());
  const auto reader = scene.Read();
  CHECK(Value(reader->LookUpStaged(w, kRootFolder, "there"))->entry.version == two);
  CHECK(Value(reader->LookUpStaged(w, folder, "inside")));
  CHECK(Value(reader->ScanStaged(w, std::nullopt, 10)).size() == 4);
}

TEST_CASE("StagingIndex: many changes without a question between", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  {
    const auto t = scene.Begin();
    for (int i = 0; i < 1000; ++i) Ok(t->PutMeta("key" + std::to_string(i), std::string(100, 'x')));
    CHECK(Value(t->GetMeta("key999")));
    for (int i = 0; i < 1000; ++i) Ok(t->EraseMeta("key" + std::to_string(i)));
    Ok(t->PutMeta("key", "value"));
    Ok(t->Commit());
  }
  CHECK(Value(scene.Read()->ListMeta("key")) == std::vector<std::string>{"key"});
}

TEST_CASE("PostgresStagingIndex: a change that fails is told at the latest by the commit", "[core][staging_index]") {
  IndexScene scene(IndexKind::kPostgres);
  for (const bool asks : {false, true}) {
    const auto t = scene.Begin();
    Ok(t->PutMeta("key", "value"));
    (void)t->PutMeta("bytes that are no text: \xff", "");
    (void)t->PutMeta("key", "other");
    if (asks) CHECK(t->GetMeta("key").error().code() == ErrorCode::kInvalidArgument);
    const Status committed = t->Commit();
    REQUIRE_FALSE(committed);
    if (!asks) CHECK(committed.error().code() == ErrorCode::kInvalidArgument);
  }
  CHECK_FALSE(Value(scene.Read()->GetMeta("key")));
  const auto t = scene.Begin();
  Ok(t->PutMeta("key", "value"));
  Ok(t->Commit());
}

TEST_CASE("PostgresStagingIndex: changes of a workspace are heard of", "[core][staging_index]") {
  const std::string name = "test/" + RandomHex();
  const auto open = [&] { return Value(OpenPostgresStagingIndex(PostgresUrl(), name, WhereMissing::kMake)); };
  const auto here = open(), there = open();
  const auto commit = [&](Turn turn) { Ok(Value(there->Begin(Durability::kPowerLoss, turn))->Commit()); };
  while (!here->HeardMark(1) || !there->HeardMark(1)) std::this_thread::yield();
  const auto first = here->HeardMark(1), second = here->HeardMark(2);
  commit(Turn::NothingElse());
  commit(Turn::Workspace(1));
  while (here->HeardMark(1) == first) std::this_thread::yield();
  CHECK(here->HeardMark(2) == second);
  commit(Turn::History());
  while (here->HeardMark(2) == second) std::this_thread::yield();
  // Of its own at once.
  const auto before = there->HeardMark(1);
  commit(Turn::Workspace(1));
  CHECK(there->HeardMark(1) != before);
}

TEST_CASE("StagingIndex: versions are listed by number", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const VersionId one = scene.AddVersion(*t, "1"), two = scene.AddVersion(*t, "2"), three = scene.AddVersion(*t, "3");
  Ok(t->EraseVersion(two));
  const auto from = [&](VersionId first, size_t limit) {
    std::vector<VersionId> ids;
    for (const VersionInfo& version : Value(t->ListVersionsFrom(first, limit))) ids.push_back(version.id);
    return ids;
  };
  CHECK(from(one, 10) == std::vector<VersionId>{one, three});
  CHECK(from(two, 10) == std::vector<VersionId>{three});
  CHECK(from(one, 1) == std::vector<VersionId>{one});
  CHECK(from(three + 1, 10).empty());
}

TEST_CASE("StagingIndex: many versions are found at once", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const VersionId one = scene.AddVersion(*t, "1"), two = scene.AddVersion(*t, "2");
  const auto found =
      Value(t->FindVersions({HashRef(HashOf("2").xxh3), HashRef(Sha256{}), HashRef(HashOf("1").sha256),
                             HashRef(HashOf("1").sha256)}));
  REQUIRE(found.size() == 4);
  CHECK(found[0]->id == two);
  CHECK_FALSE(found[1]);
  CHECK(found[2]->id == one);
  CHECK(found[3]->id == one);
  CHECK(Value(t->FindVersions({})).empty());
}

TEST_CASE("StagingIndex: an index is copied row by row, and frozen", "[contract][staging_index]") {
  IndexScene from(DATABASES), to(DATABASES);
  {
    const auto t = from.Begin();
    const WorkspaceId w = from.AddWorkspace(*t);
    const VersionId one = from.AddVersion(*t, "1");
    const CommitInfo commit = from.Commit(*t, 0);
    const FolderId folder = Value(t->NewFolder());
    Ok(t->PutTreeEntry(commit, {kRootFolder, std::string("\xff\0'", 3)}, IndexScene::File(one)));
    Ok(t->PutTreeEntry(commit, {kRootFolder, "folder"}, Entry::OfFolder(folder)));
    Ok(t->PutBranch({"main", commit.seq, 0}));
    Ok(t->PutStaged(w, {folder, "a"}, {IndexScene::File(one), StagedState::kAdded}));
    Ok(t->PutInbox(w, {"", "m.json", one, 1, 1}));
    Ok(t->PutMeta("key", "value"));
    Ok(t->PutMeta("boot", "other"));
    Ok(t->PutSparse({one, 8}));
    Ok(t->PutTag({"v1", commit.seq, "message", "Ann", "ann@example.org", 5}));
    Ok(t->PutTakenBack({w, 1, 1, std::string("\xff"), IndexScene::File(one), 5, "Ann", "test"}));
    Ok(t->Commit());
  }
  const auto old = from.Begin();
  const auto fresh = to.Begin();
  IndexRows& rows = *old->rows();
  for (size_t table = 0; table < kMovedTables; ++table) {
    for (std::optional<IndexRow> after;;) {
      const auto page = Value(rows.ListRows(table, after, 1));
      if (page.empty()) break;
      after = page.back();
      Ok(fresh->move()->PutRow(table, page[0]));
    }
  }
  Ok(fresh->move()->EndRows());
  for (size_t table = 0; table < kMovedTables; ++table) {
    CHECK(Value(fresh->rows()->ListRows(table, std::nullopt, 100)) == Value(rows.ListRows(table, std::nullopt, 100)));
  }
  CHECK(Value(fresh->GetMeta("key")) == "value");
  CHECK_FALSE(Value(fresh->GetMeta("boot")));
  // What comes now has numbers that nothing had.
  CHECK(Value(fresh->NewFolder()) == Value(old->NewFolder()));
  CHECK(to.AddVersion(*fresh, "2") == from.AddVersion(*old, "2"));
  Ok(fresh->Commit());
  Ok(old->move()->Freeze("it moved"));
  Ok(old->Commit());
  auto frozen = from.Begin();
  // Right away, or at the commit.
  const Status put = frozen->PutMeta("key", "other");
  const Status refused = put ? frozen->Commit() : put;
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find("it moved") != std::string::npos);
  frozen.reset();
  CHECK(Value(from.Read()->GetMeta("key")) == "value");
}

TEST_CASE("StagingIndex: versions are found by either hash", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto transaction = scene.Begin();
  const VersionId id = scene.AddVersion(*transaction, "hello");
  const auto version = Value(transaction->GetVersion(id));
  REQUIRE(version);
  CHECK(Value(transaction->FindVersion(HashRef(version->content.sha256)))->id == id);
  CHECK(Value(transaction->FindVersion(HashRef(version->content.xxh3)))->id == id);
  CHECK_FALSE(Value(transaction->FindVersion(HashRef(Sha256{}))));
}

TEST_CASE("StagingIndex: content whose XXH3 means another content is refused", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto transaction = scene.Begin();
  const VersionId id = scene.AddVersion(*transaction, "first");
  VersionInfo twin = *Value(transaction->GetVersion(id));
  twin.content.sha256[0] ^= 1;
  const auto added = transaction->AddVersion(twin);
  REQUIRE_FALSE(added);
  CHECK(added.error().code() == ErrorCode::kConflict);
}

TEST_CASE("StagingIndex: a tree shows the newest row of its own line", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const VersionId one = scene.AddVersion(*t, "1"), two = scene.AddVersion(*t, "2"),
                  three = scene.AddVersion(*t, "3");
  const Slot slot{kRootFolder, "a"};
  const CommitInfo first = scene.Commit(*t, 0);
  Ok(t->PutTreeEntry(first, slot, IndexScene::File(one)));
  const CommitInfo second = scene.Commit(*t, first.seq);
  Ok(t->PutTreeEntry(second, slot, IndexScene::File(two)));
  const CommitInfo fork = scene.Commit(*t, first.seq);
  Ok(t->PutTreeEntry(fork, slot, IndexScene::File(three)));
  const CommitInfo after_fork = scene.Commit(*t, fork.seq);
  Ok(t->PutTreeEntry(after_fork, slot, Entry()));

  const auto at = [&](const CommitInfo& commit) -> VersionId {
    const auto entry = Value(t->LookUpBase(Value(t->ViewOf(commit.seq)), kRootFolder, "a"));
    return entry ? entry->version : 0;
  };
  CHECK(first.lineage == second.lineage);
  CHECK(fork.lineage != second.lineage);
  CHECK(at(first) == one);
  CHECK(at(second) == two);
  CHECK(at(fork) == three);
  CHECK(at(after_fork) == 0);
  CHECK(Value(t->ListBase(Value(t->ViewOf(second.seq)), kRootFolder, "", 10)).size() == 1);
  CHECK(Value(t->ListBase(Value(t->ViewOf(after_fork.seq)), kRootFolder, "", 10)).empty());
}

TEST_CASE("StagingIndex: a view of many lineages shows what a walk along the parents finds",
          "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  std::vector<CommitInfo> commits{scene.Commit(*t, 0)};
  std::map<CommitSeq, CommitSeq> parents;
  for (int i = 0; i < 300; ++i) {
    // The second child of a commit begins a lineage.
    const CommitInfo parent = commits[commits.size() - 1 - static_cast<size_t>(i % 3) % commits.size()];
    commits.push_back(scene.Commit(*t, parent.seq));
    parents[commits.back().seq] = parent.seq;
  }
  const TreeView view = Value(t->ViewOf(commits.back().seq));
  CHECK(view.lines().size() > 50);
  std::set<CommitSeq> shown;
  for (CommitSeq seq = commits.back().seq; seq != 0; seq = parents[seq]) shown.insert(seq);
  for (const CommitInfo& commit : commits) CHECK(view.Shows(commit.lineage, commit.seq) == shown.contains(commit.seq));
  CHECK_FALSE(view.Shows(commits.back().lineage + 1, commits.back().seq));
  CHECK_FALSE(TreeView().Shows(1, 1));
  CHECK(t->ViewOf(commits.back().seq + 1).error().code() == ErrorCode::kNotFound);
}

TEST_CASE("StagingIndex: a branch's line is its own, until it leaves it", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const auto commit = [&](const std::string& branch, CommitSeq parent) {
    CommitInfo info;
    info.id = RandomHex();
    info.parent = parent;
    return Value(t->AddCommit(info, branch));
  };
  const CommitInfo first = commit("main", 0);
  Ok(t->PutBranch({"main", first.seq, first.lineage}));
  CHECK(Value(t->FindBranch("main"))->line == first.lineage);
  const CommitInfo side = commit("side", first.seq);
  CHECK(side.lineage != first.lineage);
  CHECK(Value(t->ViewOf(side.seq)).lines().size() == 2);
  const CommitInfo second = commit("main", first.seq);
  CHECK(second.lineage == first.lineage);
  Ok(t->PutBranch({"main", second.seq, 0}));
  CHECK(commit("other", second.seq).lineage == first.lineage);
  CHECK(commit("main", second.seq).lineage != first.lineage);
}

TEST_CASE("StagingIndex: a listing is what look-ups say, however often names changed", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  std::mt19937 random(1);
  std::vector<VersionId> versions;
  std::vector<CommitInfo> commits{scene.Commit(*t, 0)};
  const auto name_of = [](size_t number) { return "f" + std::to_string(10 + number); };
  for (int i = 0; i < 200; ++i) {
    versions.push_back(scene.AddVersion(*t, std::to_string(i)));
    // Mostly on the newest one; now and then a branch begins.
    const CommitInfo& parent = random() % 10 == 0 ? commits[random() % commits.size()] : commits.back();
    commits.push_back(scene.Commit(*t, parent.seq));
    for (size_t number = 0; number < 12; ++number) {
      if (random() % (number + 1) != 0) continue;  // The first changes each time, others less often.
      const Entry entry = random() % 5 == 0 ? Entry() : IndexScene::File(versions[random() % versions.size()]);
      Ok(t->PutTreeEntry(commits.back(), {kRootFolder, name_of(number)}, entry));
    }
  }
  for (size_t i = 0; i < commits.size(); i += 10) {
    const TreeView view = Value(t->ViewOf(commits[i].seq));
    std::vector<std::pair<std::string, VersionId>> looked_up, listed, paged;
    for (size_t number = 0; number < 12; ++number) {
      const auto entry = Value(t->LookUpBase(view, kRootFolder, name_of(number)));
      if (entry) looked_up.emplace_back(name_of(number), entry->version);
    }
    for (const auto& [name, entry] : Value(t->ListBase(view, kRootFolder, "", 100))) {
      listed.emplace_back(name, entry.version);
    }
    for (std::string after;;) {
      const auto page = Value(t->ListBase(view, kRootFolder, after, 2));
      if (page.empty()) break;
      REQUIRE(page.size() <= 2);
      for (const auto& [name, entry] : page) paged.emplace_back(name, entry.version);
      after = page.back().name;
    }
    CHECK(listed == looked_up);
    CHECK(paged == looked_up);
  }
}

TEST_CASE("StagingIndex: a folder is where its newest visible row puts it", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  Entry folder;
  folder.kind = EntryKind::kFolder;
  folder.child = Value(t->NewFolder());
  const CommitInfo first = scene.Commit(*t, 0);
  Ok(t->PutTreeEntry(first, {kRootFolder, "old"}, folder));
  const CommitInfo second = scene.Commit(*t, first.seq);
  Ok(t->PutTreeEntry(second, {kRootFolder, "old"}, Entry()));
  Ok(t->PutTreeEntry(second, {kRootFolder, "new"}, folder));
  CHECK(Value(t->PlaceInBase(Value(t->ViewOf(first.seq)), folder.child))->name == "old");
  CHECK(Value(t->PlaceInBase(Value(t->ViewOf(second.seq)), folder.child))->name == "new");
  CHECK(Value(t->NewFolder()) != folder.child);
}

TEST_CASE("StagingIndex: staged rows are listed by name and scanned by folder", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const WorkspaceId w = scene.AddWorkspace(*t), other = scene.AddWorkspace(*t);
  const VersionId version = scene.AddVersion(*t, "x");
  for (const Slot& slot : {Slot{7, "b"}, Slot{7, "a"}, Slot{3, "z"}, Slot{7, std::string("\xff\0", 2)}}) {
    Ok(t->PutStaged(w, slot, {IndexScene::File(version), StagedState::kAdded}));
  }
  Ok(t->PutStaged(other, {7, "c"}, {IndexScene::File(version), StagedState::kAdded}));
  const auto listed = Value(t->ListStaged(w, 7, "", 10));
  REQUIRE(listed.size() == 3);
  CHECK(listed[0].name == "a");
  CHECK(listed[2].name == std::string("\xff\0", 2));
  CHECK(Value(t->ListStaged(w, 7, "a", 1)).at(0).name == "b");
  const auto scanned = Value(t->ScanStaged(w, std::nullopt, 2));
  REQUIRE(scanned.size() == 2);
  CHECK(scanned[0].slot == Slot{3, "z"});
  CHECK(Value(t->ScanStaged(w, scanned[1].slot, 10)).size() == 2);
  Ok(t->EraseStaged(w, {7, "a"}));
  CHECK_FALSE(Value(t->LookUpStaged(w, 7, "a")));
}

TEST_CASE("StagingIndex: an entry comes back as it went in", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const WorkspaceId w = scene.AddWorkspace(*t);
  StagedEntry staged;
  staged.entry.kind = EntryKind::kSymlink;
  staged.entry.target = "../elsewhere";
  staged.entry.size_bytes = 12;
  staged.entry.executable = true;
  staged.entry.permissions = 0751;
  staged.entry.mtime_ns = -5;
  staged.entry.scratch = staged.entry.unfinished = true;
  staged.state = StagedState::kKept;
  Ok(t->PutStaged(w, {1, "link"}, staged));
  const auto found = Value(t->LookUpStaged(w, 1, "link"));
  REQUIRE(found);
  CHECK(found->entry == staged.entry);
  CHECK(found->state == staged.state);
  // Added only where nothing is.
  CHECK_FALSE(Value(t->AddStaged(w, {1, "link"}, {IndexScene::File(0), StagedState::kAdded})));
  CHECK(Value(t->LookUpStaged(w, 1, "link"))->entry == staged.entry);
  CHECK(Value(t->AddStaged(w, {1, "copy"}, staged)));
  CHECK(Value(t->LookUpStaged(w, 1, "copy"))->entry == staged.entry);
}

TEST_CASE("StagingIndex: the first state before unsynced content is what to fall back to",
          "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const WorkspaceId w = scene.AddWorkspace(*t);
  const VersionId good = scene.AddVersion(*t, "good"), bad = scene.AddVersion(*t, "bad", false),
                  worse = scene.AddVersion(*t, "worse", false);
  StagedEntry before{IndexScene::File(good), StagedState::kAdded};
  before.entry.permissions = 0;
  Ok(t->PutUnsyncedEntry({w, {1, "a"}, bad, before}));
  Ok(t->PutUnsyncedEntry({w, {1, "a"}, worse, StagedEntry{IndexScene::File(bad), StagedState::kAdded}}));
  CHECK(Value(t->UnsyncedEntriesOf(bad)).empty());
  const auto entries = Value(t->UnsyncedEntriesOf(worse));
  REQUIRE(entries.size() == 1);
  REQUIRE(entries[0].previous);
  CHECK(entries[0].previous->entry == before.entry);
  Ok(t->PutUnsyncedEntry({w, {1, "b"}, worse, before}));
  Ok(t->PutUnsyncedEntry({w, {1, "b"}, worse, std::nullopt}));  // Removed and made again.
  CHECK(Value(t->UnsyncedEntriesOf(worse)).size() == 1);
  Ok(t->SetSynced(worse));
  CHECK(Value(t->UnsyncedEntriesOf(worse)).empty());
  CHECK(Value(t->ListUnsynced(10)).size() == 1);
}

TEST_CASE("StagingIndex: a mount sees others' changes and not its own", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const WorkspaceId w = scene.AddWorkspace(*t);
  Ok(t->NoteChange(w, 5, 77));
  Ok(t->NoteChange(w, 6, kNoMount));
  Ok(t->NoteChange(w, 5, kNoMount));
  Ok(t->NoteChange(w, 5, 77));
  const auto all = Value(t->ChangedFolders(w, 0, 77));
  CHECK(std::set<FolderId>(all.begin(), all.end()) == std::set<FolderId>{5, 6});
  CHECK(Value(t->ChangedFolders(w, 3, 77)).empty());
  CHECK(Value(t->GetWorkspace(w))->change_seq == 4);

  CHECK_FALSE(Value(t->IsMounted(w, kNoMount)));
  Ok(t->PutMount({"here", "/mnt/a", w, 1, 1, 77, Value(t->ClockNs())}));
  CHECK(Value(t->IsMounted(w, kNoMount)));
  CHECK_FALSE(Value(t->IsMounted(w, 77)));
  CHECK_FALSE(Value(t->IsMounted(w + 1, kNoMount)));
  Ok(t->PutMount({"there", "/mnt/a", w, 1, 1, 78, 5}));
  CHECK(Value(t->IsMounted(w, 77)));
  CHECK(Value(t->ListMounts()).back().writer == 78);
  CHECK(Value(t->ListMounts()).back().seen_ns == 5);
  Ok(t->EraseMount("here", "/mnt/a"));
  CHECK(Value(t->ListMounts()).size() == 1);
  CHECK(std::abs(Value(t->ClockNs()) - NowNs()) < 60'000'000'000);
}

TEST_CASE("StagingIndex: staged rows are given to another number, however many", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const WorkspaceId mine = scene.AddWorkspace(*t), other = scene.AddWorkspace(*t);
  const StagedEntry file{IndexScene::File(scene.AddVersion(*t, "file")), StagedState::kAdded};
  constexpr int kRows = 20'000;
  for (int i = 0; i < kRows; ++i) Value(t->AddStaged(mine, {1 + i % 3, "f" + std::to_string(i)}, file));
  Value(t->AddStaged(other, {1, "kept"}, file));
  Ok(t->MoveStaged(mine, -mine));
  CHECK(Value(t->CountStaged(mine)) == 0);
  CHECK(Value(t->CountStaged(-mine)) == kRows);
  CHECK(Value(t->CountStaged(other)) == 1);
  CHECK(Value(t->ListStaged(-mine, 2, "", 10)).size() == 10);
  CHECK_FALSE(Value(t->LookUpStaged(mine, 1, "f0")));
}

TEST_CASE("StagingIndex: unused means that nothing names it", "[contract][staging_index]") {
  IndexScene scene(INDEXES);
  const auto t = scene.Begin();
  const WorkspaceId w = scene.AddWorkspace(*t);
  const VersionId unused = scene.AddVersion(*t, "unused"), staged = scene.AddVersion(*t, "staged"),
                  committed = scene.AddVersion(*t, "committed"), inbox = scene.AddVersion(*t, "inbox"),
                  fallback = scene.AddVersion(*t, "fallback"),
                  unsynced = scene.AddVersion(*t, "unsynced", false);
  Ok(t->PutStaged(w, {1, "s"}, {IndexScene::File(staged), StagedState::kAdded}));
  Ok(t->PutTreeEntry(scene.Commit(*t, 0), {1, "c"}, IndexScene::File(committed)));
  Ok(t->PutInbox(w, {"", "m.json", inbox, 1, 1}));
  Ok(t->PutUnsyncedEntry(
      {w, {1, "f"}, unsynced, StagedEntry{IndexScene::File(fallback), StagedState::kAdded}}));
  const auto found = Value(t->ListUnused(NowNs(), 10));
  REQUIRE(found.size() == 1);
  CHECK(found[0].id == unused);
  Ok(t->RenewVersion(unused, NowNs()));
  CHECK(Value(t->ListUnused(NowNs() - 1'000'000'000, 10)).empty());
  CHECK(Value(t->CountDangling()) == 0);
  Ok(t->EraseVersion(staged));
  CHECK(Value(t->CountDangling()) == 1);
}

TEST_CASE("StagingIndex: which versions have holes", "[contract][staging_index]") {
  IndexScene scene(DATABASES);
  const auto t = scene.Begin();
  const VersionId first = scene.AddVersion(*t, "first"), second = scene.AddVersion(*t, "second");
  Ok(t->PutSparse({second, 8}));
  Ok(t->PutSparse({first, 0}));
  Ok(t->PutSparse({first, 16}));
  CHECK(Value(t->ListSparse(0)) == std::vector<SparseVersion>{{first, 16}, {second, 8}});
  CHECK(Value(t->ListSparse(first)) == std::vector<SparseVersion>{{second, 8}});
  CHECK(Value(t->NewestVersion()) == second);
  Ok(t->EraseVersion(first));
  CHECK(Value(t->ListSparse(0)) == std::vector<SparseVersion>{{second, 8}});
}

TEST_CASE("StagingIndex: a place that nobody knows is refused", "[core][staging_index]") {
  const auto opened = OpenStagingIndex({"s3://bucket", "t/r", "", WhereMissing::kMake});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code() == ErrorCode::kUnsupported);
}

TEST_CASE("StagingIndex: another process cannot have an index to itself that is open", "[core][staging_index]") {
  TempFolder folder;
  const std::string path = folder / "stagefs.db";
  const auto is_free = [&] {
    const std::string sql = "PRAGMA locking_mode = EXCLUSIVE; SELECT count(*) FROM meta";
    return std::system(("sqlite3 " + path + " '" + sql + "' > /dev/null 2>&1").c_str()) == 0;
  };
  auto index = Value(OpenSqliteStagingIndex(path));  // Made, then
  CHECK_FALSE(is_free());
  index.reset();
  CHECK(is_free());
  index = Value(OpenSqliteStagingIndex(path));  // opened.
  CHECK_FALSE(is_free());
}

TEST_CASE("StagingIndex: a newer schema and a foreign file are refused", "[core][staging_index]") {
  TempFolder folder;
  WriteFile(folder / "text.db", std::string(5000, 'x'));
  CHECK(OpenSqliteStagingIndex(folder / "text.db").error().code() == ErrorCode::kCorrupt);
  const std::string foreign = folder / "foreign.db";
  REQUIRE(std::system(("sqlite3 " + foreign + " 'CREATE TABLE theirs (a)'").c_str()) == 0);
  const auto refused = OpenSqliteStagingIndex(foreign);
  CHECK(refused.error().code() == ErrorCode::kCorrupt);
  CHECK(refused.error().message().find("not a stagefs index") != std::string::npos);
  CHECK(OpenSqliteStagingIndex(folder / "missing/stagefs.db").error().code() == ErrorCode::kNotFound);
  const std::string path = folder / "stagefs.db";
  Ok(OpenSqliteStagingIndex(path).WithoutValue());
  REQUIRE(std::system(("sqlite3 " + path + " 'PRAGMA user_version = 0'").c_str()) == 0);
  CHECK(OpenSqliteStagingIndex(path).error().code() == ErrorCode::kCorrupt);
  const std::string command = "sqlite3 " + path + " 'PRAGMA user_version = 999'";
  REQUIRE(std::system(command.c_str()) == 0);
  const auto newer = OpenSqliteStagingIndex(path);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().code() == ErrorCode::kUnsupported);
  CHECK(newer.error().message().find("update stagefs") != std::string::npos);
}

TEST_CASE("StagingIndex: an older index is upgraded in place", "[core][staging_index]") {
  TempFolder folder;
  const std::string path = folder / "stagefs.db";
  {
    const auto index = Value(OpenSqliteStagingIndex(path));
    const auto transaction = Value(index->Begin(Durability::kPowerLoss));
    CommitInfo commit;
    commit.id = "old";
    Value(transaction->AddCommit(commit, "main"));
    Ok(transaction->Commit());
  }
  // What each of them had not yet.
  const int version = GENERATE(1, 2, 3, 4);
  std::string command = "sqlite3 " + path + " \"DELETE FROM sqlite_sequence WHERE name = 'version'; PRAGMA"
                        " writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ' AUTOINCREMENT', '')"
                        " WHERE name = 'version'; PRAGMA writable_schema = OFF;"
                        "ALTER TABLE branch DROP COLUMN line;"
                        "ALTER TABLE tree_entry DROP COLUMN target; ALTER TABLE staged_entry DROP COLUMN permissions;"
                        "ALTER TABLE unsynced_entry DROP COLUMN permissions; DROP TABLE sparse_version; DROP TABLE tag;"
                        "DROP TABLE taken_back;";
  if (version < 4) {
    command += "DROP TABLE mount; CREATE TABLE mount (mountpoint BLOB PRIMARY KEY, workspace INTEGER NOT NULL,"
               " pid INTEGER NOT NULL, started INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
               " INSERT INTO mount VALUES (x'2f6d', 1, 2, 3);";
  } else {
    command += "INSERT INTO mount VALUES ('', x'2f6d', 1, -1, 2, 3, 0);";
  }
  if (version < 2) command += "ALTER TABLE commit_log DROP COLUMN merged;";
  if (version == 3) command += "ALTER TABLE mount ADD COLUMN writer INTEGER NOT NULL DEFAULT -1;";
  command += "PRAGMA user_version = " + std::to_string(version) + '"';
  REQUIRE(std::system(command.c_str()) == 0);
  const auto index = Value(OpenSqliteStagingIndex(path));
  const auto transaction = Value(index->Begin(Durability::kPowerLoss));
  const CommitInfo old = *Value(transaction->FindCommit("old"));
  CommitInfo merge;
  merge.id = "merge";
  merge.parent = merge.merged = old.seq;
  CHECK(Value(transaction->GetCommit(Value(transaction->AddCommit(merge, "main")).seq))->merged == old.seq);
  CHECK(Value(transaction->IsMounted(1, 77)));  // A mount of that time.
  CHECK(Value(transaction->ListMounts()).at(0).started == 3);
  const VersionId held = IndexScene::AddVersion(*transaction, "one");
  Ok(transaction->EraseVersion(held));
  CHECK(IndexScene::AddVersion(*transaction, "other") > held);
  StagedEntry staged{IndexScene::File(0), StagedState::kKept};
  staged.entry.permissions = 0600;
  Ok(transaction->PutStaged(1, {1, "a"}, staged));
  CHECK(Value(transaction->LookUpStaged(1, 1, "a"))->entry == staged.entry);
  Ok(transaction->Commit());
  CHECK(Value(index->CheckIntegrity()).empty());
}

}  // namespace stagefs::test
