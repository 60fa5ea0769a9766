// What names a commit, and tags.
#include "stagefs/revision.h"

#include "core/history/when.h"
#include "stagefs/commit.h"
#include "stagefs/history.h"
#include "stagefs/posix_env.h"
#include "stagefs/text.h"
#include "stagefs/workspaces.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
const Author kAnn{"Ann", "ann@example.org"};

// A first commit, three on main, one on side that was merged as the newest.
struct Commits : Scene {
  Commits() : history(repository()) {
    for (const char* name : {"one", "two", "three"}) {
      Stage(name, name);
      ids.push_back(Commit(name));
    }
    Ok(history.CreateBranch("side", ids[0]));
    Value(Workspaces(repository()).Create("side", "s", std::nullopt));
    const auto side = Value(Workspace::Open(repository(), "s"));
    Ok(side->StagePath(Value(RepoPath::Parse("theirs")), Put("1"), {}).WithoutValue());
    merged_in = Value(CommitStaged(*side, "side", kAnn, std::nullopt)).commit.id;
    merge = Value(history.Merge("main", "side", "merge", kAnn)).merge.id;
  }
  std::string IdOf(const std::string& revision) { return Value(history.Resolve(revision)).id; }
  Error WhyNot(const std::string& revision) { return history.Resolve(revision).error(); }
  // REVISION[/PATH], as clients write it: the commit, then the path.
  std::pair<std::string, std::string> Resource(const std::string& text) {
    const auto resource = Value(ResolveResource(repository(), text));
    return {resource.revision.commit.id, resource.path.str()};
  }

  History history;
  std::vector<std::string> ids;
  std::string merged_in, merge;
};

}  // namespace

TEST_CASE("Revision: names, ids, and steps from there", "[core][revision]") {
  Commits scene;
  CHECK(scene.IdOf("main") == scene.merge);
  CHECK(scene.IdOf(scene.ids[1]) == scene.ids[1]);
  CHECK(scene.IdOf("main~") == scene.ids[2]);
  CHECK(scene.IdOf("main~0") == scene.merge);
  CHECK(scene.IdOf("main~2") == scene.ids[1]);
  CHECK(scene.IdOf("main^") == scene.ids[2]);
  CHECK(scene.IdOf("main^0") == scene.merge);
  CHECK(scene.IdOf("main^2") == scene.merged_in);
  CHECK(scene.IdOf("main^2~1") == scene.ids[0]);
  CHECK(scene.IdOf("main~~") == scene.ids[1]);
  CHECK(scene.IdOf(scene.ids[2] + "~1") == scene.ids[1]);
  CHECK(scene.IdOf("refs:side") == scene.merged_in);
  CHECK(scene.WhyNot("main~9").code() == ErrorCode::kNotFound);
  CHECK(scene.WhyNot("main^3").code() == ErrorCode::kNotFound);
  CHECK(scene.WhyNot("main~1^2").code() == ErrorCode::kNotFound);
  for (const char* text : {"", "main~x", "main^-1", "main~1234567890", "main@{", "main@{never}", "main~1x"}) {
    CAPTURE(text);
    CHECK(scene.WhyNot(text).code() == ErrorCode::kInvalidArgument);
  }
  for (const char* text : {"nothing", "nothing~1", "refs:nothing", "refs:" , "~1", "@{now}", "\xff", "main\n"}) {
    CAPTURE(text);
    CHECK(scene.WhyNot(text).code() == ErrorCode::kNotFound);
  }
  CHECK(scene.WhyNot(std::string(1001, 'a')).code() == ErrorCode::kInvalidArgument);
}

TEST_CASE("Revision: digits that begin one commit's id name it, after names", "[core][revision]") {
  Commits scene;
  const std::string id = scene.ids[1];
  CHECK(scene.IdOf(id.substr(0, 12)) == id);
  std::string upper = id.substr(0, 12);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  CHECK(scene.IdOf(upper) == id);
  CHECK(scene.WhyNot(id.substr(0, 3)).code() == ErrorCode::kNotFound);
  Ok(scene.history.CreateBranch(id.substr(0, 12), "main"));
  CHECK(scene.IdOf(id.substr(0, 12)) == scene.merge);
  CHECK(scene.IdOf(id.substr(0, 13)) == id);
}

TEST_CASE("Revision: digits that begin several ids list them", "[core][revision]") {
  Commits scene;
  std::vector<std::string> ids;
  {
    const auto transaction = Value(scene.repository().index().Begin(Durability::kProcessDeath));
    for (int i = 0; i < 12; ++i) {
      CommitInfo commit;
      commit.id = "beef" + std::string(26, '0') + std::to_string(10 + i);
      commit.message = "number " + std::to_string(i) + "\nmore";
      commit.parent = Value(transaction->FindCommit(scene.merge))->seq;
      ids.push_back(Value(transaction->AddCommit(commit, "main")).id);
    }
    Ok(transaction->Commit());
  }
  const Error why = scene.WhyNot("beef");
  CHECK(why.code() == ErrorCode::kInvalidArgument);
  CHECK(why.message().find(ids[0]) != std::string::npos);
  CHECK(why.message().find("number 9") != std::string::npos);
  CHECK(why.message().find(ids[11]) == std::string::npos);
  CHECK(why.message().find("more") == why.message().size() - 4);
  CHECK(scene.IdOf(ids[3]) == ids[3]);
}

TEST_CASE("Revision: the newest commit at or before a moment", "[core][revision]") {
  Commits scene;
  const int64_t second = Value(scene.history.Resolve(scene.ids[1])).time_ns;
  CHECK(scene.IdOf("main@{now}") == scene.merge);
  CHECK(scene.IdOf("main@{" + FormatTime(second + 3600 * kSecondNs) + "}") == scene.merge);
  CHECK(scene.WhyNot("main@{2020-02-29}").code() == ErrorCode::kNotFound);
  CHECK(scene.WhyNot("main@{2021-02-29}").code() == ErrorCode::kInvalidArgument);
  CHECK(scene.IdOf("main@{now}~1") == scene.ids[2]);
  CHECK(scene.WhyNot("main@{3 days ago}").message().find("the first commit is newer") != std::string::npos);
}

TEST_CASE("Revision: moments as people write them", "[core][revision]") {
  const int64_t now = Value(ParseWhen("2026-03-31T12:00:00Z", 0)) - (kSecondNs - 1);
  const auto seconds = [&](const char* text) { return (Value(ParseWhen(text, now)) - now) / kSecondNs; };
  CHECK(now == 1'774'958'400 * kSecondNs);
  CHECK(seconds("now") == 0);
  CHECK(seconds("yesterday") == -86400);
  CHECK(seconds("an hour ago") == -3600);
  CHECK(seconds("3 days ago") == -3 * 86400);
  CHECK(seconds("3.days.ago") == -3 * 86400);
  CHECK(seconds("2 Weeks ago") == -14 * 86400);
  CHECK(seconds("1000000 weeks ago") == -now / kSecondNs);
  CHECK(Value(ParseWhen("2026-03-31T13:30+01:30", 0)) == now + 60 * kSecondNs - 1);
  CHECK(Value(ParseWhen("2026-03-31 10:00:00.123456-0200", 0)) == now + kSecondNs - 1);
  // Its end, by this machine's clock.
  CHECK(Value(ParseWhen("2026-03-31", 0)) == Value(ParseWhen("2026-03-31 23:59", 0)));
  CHECK(Value(ParseWhen("2026-12-31", 0)) + 1 == Value(ParseWhen("2027-01-01 00:00", 0)) - 60 * kSecondNs + 1);
  for (const char* text : {"", "soon", "2026", "2026-13-01", "2026-04-31", "2026-03-31 24:00", "2026-03-31Z",
                           "-1 days ago", "3 days", "days ago", "3 moons ago", "2026-03-31T10:00+1",
                           "2026-03-31 10:00 tea", "99999999999 days ago"}) {
    CAPTURE(text);
    CHECK(ParseWhen(text, now).error().code() == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("Revision: the same begins what clients ask for", "[core][revision]") {
  Commits scene;
  using Found = std::pair<std::string, std::string>;
  Ok(scene.history.CreateBranch("a/b", "main~1"));
  CHECK(scene.Resource("main~1/d/x") == Found{scene.ids[2], "d/x"});
  CHECK(scene.Resource("a/b/c~1") == Found{scene.ids[2], "c~1"});
  CHECK(scene.Resource("a/b~1/c") == Found{scene.ids[1], "c"});
  CHECK(scene.Resource("main@{now}/x") == Found{scene.merge, "x"});
  CHECK(scene.Resource(scene.ids[0].substr(0, 10) + "/one") == Found{scene.ids[0], "one"});
  CHECK(scene.Resource("w/x").second == "x");
  CHECK(ResolveResource(scene.repository(), "main~77/x").error().code() == ErrorCode::kNotFound);
}

TEST_CASE("Revision: a branch of before whose name looks like steps is reached", "[core][revision]") {
  Commits scene;
  CHECK(scene.history.CreateBranch("main~1", "main").error().code() == ErrorCode::kInvalidArgument);
  CHECK(scene.history.CreateBranch("x@{y}", "main").error().code() == ErrorCode::kInvalidArgument);
  {
    const auto transaction = Value(scene.repository().index().Begin(Durability::kProcessDeath));
    const auto head = Value(transaction->FindCommit(scene.ids[0]))->seq;
    Ok(transaction->PutBranch({"main~1", head, 0}));
    Ok(transaction->PutBranch({"old^name", head, 0}));
    Ok(transaction->Commit());
  }
  CHECK(scene.IdOf("main~1") == scene.ids[2]);
  CHECK(scene.IdOf("refs:main~1") == scene.ids[0]);
  CHECK(scene.IdOf("old^name") == scene.ids[0]);
}

TEST_CASE("Tag: names a commit for good", "[core][revision]") {
  Commits scene;
  const TagInfo made = Value(scene.history.CreateTag("v1", "main~1", "as trained", kAnn));
  CHECK(scene.IdOf("v1") == scene.ids[2]);
  CHECK(scene.IdOf("v1~1") == scene.ids[1]);
  scene.Stage("more", "1");
  scene.Commit();
  CHECK(scene.IdOf("v1") == scene.ids[2]);
  const auto tags = Value(scene.history.ListTags());
  REQUIRE(tags.size() == 1);
  CHECK(tags[0].name == "v1");
  CHECK(tags[0].commit == made.commit);
  CHECK(tags[0].message == "as trained");
  CHECK(tags[0].author == "Ann");
  CHECK(tags[0].email == "ann@example.org");
  CHECK(tags[0].time_ns == made.time_ns);
  CHECK(scene.history.CreateTag("v1", "main", "", kAnn).error().code() == ErrorCode::kExists);
  CHECK(scene.history.CreateTag("main", "main", "", kAnn).error().code() == ErrorCode::kExists);
  CHECK(scene.history.CreateBranch("v1", "main").error().code() == ErrorCode::kExists);
  CHECK(scene.history.CreateTag("v~1", "main", "", kAnn).error().code() == ErrorCode::kInvalidArgument);
  CHECK(scene.history.CreateTag("v2", "main", std::string("\xff"), kAnn).error().code() == ErrorCode::kInvalidArgument);
  CHECK(scene.history.CreateTag("v2", "nothing", "", kAnn).error().code() == ErrorCode::kNotFound);
  CHECK(Value(scene.history.ListTags()).size() == 1);
  Ok(scene.history.DeleteTag("v1"));
  CHECK(scene.history.DeleteTag("v1").error().code() == ErrorCode::kNotFound);
  CHECK(scene.WhyNot("v1").code() == ErrorCode::kNotFound);
}

}  // namespace stagefs::test
