// What JSON manifests say of a file besides its content, and that each format says the same of the rest.
#include <climits>
#include <random>

#include "stagefs/byte_source.h"
#include "stagefs/revision.h"
#include "stagefs/text.h"
#include "stagefs/written_manifest.h"
#include "system/exact_time.h"
#include "system/from_base64.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

struct Traits {
  bool executable = false;
  int64_t mtime_ns = 0;
  bool operator==(const Traits&) const = default;
};

std::map<std::string, Traits> TraitsOf(Tree& tree) {
  std::map<std::string, Traits> all;
  Ok(tree.Walk(kRootFolder, "", [&](const Tree::Walked& at) -> Status {
    if (at.entry.kind == EntryKind::kFile) all[at.path] = {at.entry.executable, at.entry.mtime_ns};
    return {};
  }));
  return all;
}

std::string RandomName(std::mt19937& random) {
  static const std::vector<std::string> kPieces = {"a",  "b.jpg", "\n", "\r",        "\t", "\\", "\"", ",", " ",
                                                   "\xff", "\xc3\xa4", "#", ") = ", " (x", "\\n", "'", "é", "{"};
  std::string name;
  for (size_t count = 1 + random() % 4; count > 0; --count) name += kPieces[random() % kPieces.size()];
  return name;
}

int64_t RandomTime(std::mt19937& random) {
  static const std::vector<int64_t> kOdd = {INT64_MIN, INT64_MAX, 0, 1, -1, -1'000'000'000, 1'763'650'000'000'000'000};
  if (random() % 2 == 0) return kOdd[random() % kOdd.size()];
  return static_cast<int64_t>(uint64_t{random()} << 32 | random());
}

// Files in folders and beside them, whatever they are called.
void StageRandomTree(Scene& scene, std::mt19937& random) {
  std::vector<std::string> folders = {""};
  for (int i = 0; i < 60; ++i) {
    const std::string path = JoinPath(folders[random() % folders.size()], RandomName(random));
    if (random() % 8 == 0) folders.push_back(path + "-d");
    StageHow how;
    how.mtime_ns = RandomTime(random);
    how.mode = FileMode{random() % 3 == 0, std::nullopt};
    Ok(scene.workspace()
           .StagePath(Value(RepoPath::Parse(path)), scene.Put("text " + std::to_string(random() % 20)), how)
           .WithoutValue());
  }
}

std::string Written(Scene& scene, const ManifestStyle& style) {
  std::string text;
  const Revision revision = Value(ResolveResource(scene.repository(), "w")).revision;
  Ok(WriteManifest(scene.repository(), revision, RepoPath(), style, [&](std::string_view piece) -> Status {
       text += piece;
       return {};
     }).WithoutValue());
  // Written while it is read it is the same.
  const auto source = Value(NewManifestSource({&scene.repository(), [](Repository*) {}}, revision, RepoPath(), style));
  std::string read;
  for (char piece[77];;) {
    const size_t size = Value(source->Read(piece, sizeof piece));
    if (size == 0) break;
    read.append(piece, size);
  }
  CHECK(read == text);
  return text;
}

struct OneEntry {
  ManifestEntry entry;
  std::string error;
};

// The only entry, of JSON and of NDJSON alike.
OneEntry ReadOne(const std::string& members, ManifestOptions options = {}) {
  OneEntry one;
  const auto read = [&](const std::string& text) {
    const auto source = NewStringSource(text);
    const auto done =
        ReadManifest(*source, ManifestFormat::kSniff, options, [&](const ManifestOptions&, ManifestEntry entry) {
          one.entry = std::move(entry);
          return Status();
        });
    if (!done) one.error = done.error().message();
  };
  const std::string object = "{" + members + "}";
  read("[" + object + "]");
  if (!one.error.empty()) CHECK(one.error.starts_with("manifest: entry 1: "));
  const ManifestEntry of_array = one.entry;
  const std::string error = std::exchange(one.error, "");
  read("\n" + object + "\n");
  CHECK(error.empty() == one.error.empty());
  if (!one.error.empty()) CHECK(one.error.starts_with("manifest: line 2: "));
  CHECK(of_array.path == one.entry.path);
  CHECK(of_array.mtime_ns == one.entry.mtime_ns);
  CHECK(of_array.executable == one.entry.executable);
  return one;
}

}  // namespace

TEST_CASE("Manifest: a tree written in any format and staged elsewhere is the same tree", "[core][manifest]") {
  const auto seed = GENERATE(range(1u, 5u));
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Scene scene;
  StageRandomTree(scene, random);
  const auto files = scene.AllFiles();
  const auto traits = TraitsOf(scene.workspace().tree());
  const std::vector<ManifestStyle> styles = {
      {ManifestFormat::kSum, false, false, false},    {ManifestFormat::kSum, false, true, false},
      {ManifestFormat::kSum, true, false, true},      {ManifestFormat::kSum, true, true, true},
      {ManifestFormat::kCsv, false, false, false},    {ManifestFormat::kTsv, false, false, true},
      {ManifestFormat::kNdjson, false, false, false}, {ManifestFormat::kJson, false, false, true}};
  for (const ManifestStyle& style : styles) {
    for (const bool sniffs : {false, true}) {
      INFO("format " << static_cast<int>(style.format) << (style.zero ? " -z" : "") << (style.bsd_tag ? " --tag" : "")
                     << (sniffs ? " sniffed" : ""));
      const std::string text = Written(scene, style);
      const auto other = scene.Other();
      const auto source = NewStringSource(text);
      Workspace::ManifestRequest request;
      request.source = source.get();
      request.format = sniffs ? ManifestFormat::kSniff : style.format;
      const auto report = Value(other->StageManifest(request));
      CHECK(report.refused.size() == 0);
      CHECK(report.added == static_cast<int64_t>(files.size()));
      CHECK(scene.FilesOf(other->tree()) == files);
      const bool json = style.format == ManifestFormat::kJson || style.format == ManifestFormat::kNdjson;
      if (json) CHECK(TraitsOf(other->tree()) == traits);
    }
  }
}

TEST_CASE("Manifest: JSON says bits, times and bytes of paths", "[core][manifest]") {
  const std::string base = R"("hash":"aa","path":"x")";
  CHECK_FALSE(ReadOne(base).entry.mtime_ns);
  CHECK_FALSE(ReadOne(base).entry.executable);
  CHECK(ReadOne(base + R"(,"executable":true)").entry.executable == true);
  CHECK(ReadOne(base + R"(,"executable":false)").entry.executable == false);
  CHECK(ReadOne(base + R"(,"mtime":-5)").entry.mtime_ns == -5);
  CHECK(ReadOne(base + R"(,"mtime":9223372036854775807)").entry.mtime_ns == INT64_MAX);
  CHECK(ReadOne(base + R"(,"mtime":"1970-01-01T01:00:00.000000007+01:00")").entry.mtime_ns == 7);
  CHECK(ReadOne(R"("path_base64":"/3gK","hash":"aa","path":"?")").entry.path == "\xffx\n");
  CHECK(ReadOne(R"("hash":"aa","path_base64":"/3gK")").entry.path == "\xffx\n");
  const OneEntry nulls = ReadOne(base + R"(,"executable":null,"mtime":null,"path_base64":null)");
  CHECK(nulls.error == "");
  CHECK(nulls.entry.path == "x");
  // What is deeper, or unknown, says nothing; nor do bytes of a path that has another name.
  CHECK(ReadOne(base + R"(,"more":{"mtime":{},"executable":1,"path_base64":[]},"mode":[])").error == "");
  CHECK(ReadOne(R"("hash":"aa","file":"y","path_base64":"?")", {.path_column = "file"}).entry.path == "y");
  CHECK(ReadOne(R"("mtime":"aa","path":"y")", {.hash_column = "mtime"}).entry.hash == "aa");
}

TEST_CASE("Manifest: members that say nothing are refused with their line", "[core][manifest]") {
  const std::string member = GENERATE(
      R"("executable":"true")", R"("executable":1)", R"("executable":[])", R"("executable":{})", R"("mtime":true)",
      R"("mtime":1.5)", R"("mtime":9223372036854775808)", R"("mtime":"yesterday")", R"("mtime":"2026-11-20")",
      R"("mtime":"2026-11-20T15:04:05")", R"("mtime":"")", R"("mtime":{})", R"("mtime":[])", R"("path_base64":"/3g")",
      R"("path_base64":"/3gK!")", R"("path_base64":7)", R"("path_base64":{})");
  INFO(member);
  const OneEntry one = ReadOne(R"("hash":"aa","path":"x",)" + member);
  CHECK_FALSE(one.error.empty());
  CHECK(one.error.find(member.substr(1, member.find('"', 1) - 1)) != std::string::npos);
  // Beside the entries it is nobody's.
  const std::string text = "{" + member + R"(,"entries":[{"hash":"aa","path":"x"}]})";
  const auto source = NewStringSource(text);
  int64_t entries = 0;
  const auto done = ReadManifest(*source, ManifestFormat::kSniff, {}, [&](const ManifestOptions&, ManifestEntry) {
    ++entries;
    return Status();
  });
  CHECK((done ? "" : done.error().message()) == "");
  CHECK(entries == 1);
}

TEST_CASE("Manifest: a time changes nothing that is committed, a bit does", "[core][manifest]") {
  Scene scene;
  const std::string hash = scene.Put("1");
  scene.Stage("a", "1");
  scene.Commit();
  const auto stage = [&](const std::string& more) {
    return scene.StageManifest("[{\"hash\":\"" + hash + "\",\"path\":\"a\"" + more + "}]");
  };
  CHECK(stage(R"(,"mtime":12345,"executable":false)").unchanged == 1);
  CHECK(scene.StatusLines().empty());
  CHECK(TraitsOf(scene.workspace().tree()).at("a") == Traits{false, 12345});
  CHECK(stage(R"(,"mtime":12345,"executable":true)").modified == 1);
  CHECK(scene.StatusLines() == Lines{"M  a"});
  CHECK(TraitsOf(scene.workspace().tree()).at("a") == Traits{true, 12345});
  scene.Commit();
  CHECK(TraitsOf(scene.workspace().base()).at("a") == Traits{true, 12345});
  CHECK(stage("").unchanged == 1);
  CHECK(TraitsOf(scene.workspace().tree()).at("a").executable);
}

TEST_CASE("ExactTime: comes back to the nanosecond", "[core][text]") {
  for (const int64_t time_ns : {INT64_MIN, INT64_MIN + 1, int64_t{-1}, int64_t{0}, int64_t{1}, INT64_MAX,
                                int64_t{951'782'400'123'456'789}}) {
    INFO(ExactTime(time_ns));
    CHECK(ParseExactTime(ExactTime(time_ns)) == time_ns);
  }
  CHECK(ExactTime(-1) == "1969-12-31T23:59:59.999999999Z");
  CHECK(ExactTime(INT64_MIN) == "1677-09-21T00:12:43.145224192Z");
}

TEST_CASE("ParseExactTime: what RFC 3339 has, and nothing else", "[core][text]") {
  const int64_t day = int64_t{24} * 3600 * 1'000'000'000;
  CHECK(ParseExactTime("1970-01-02T00:00:00Z") == day);
  CHECK(ParseExactTime("1970-01-02t00:00:00z") == day);
  CHECK(ParseExactTime("1970-01-02 00:00:00.5Z") == day + 500'000'000);
  CHECK(ParseExactTime("1970-01-01T22:30:00-01:30") == day);
  CHECK(ParseExactTime("1969-12-31T23:59:60Z") == 0);
  for (const char* bad : {"", "1970-01-02", "1970-01-02T00:00:00", "1970-02-30T00:00:00Z", "1970-13-01T00:00:00Z",
                          "1970-01-02T24:00:00Z", "1970-01-02T00:00:61Z", "1970-01-02T00:00:00.Z",
                          "1970-01-02T00:00:00.1234567890Z", "1970-01-02T00:00:00Zx", "1970-1-2T00:00:00Z",
                          "1970-01-02T00:00:00+1:00", "1970-01-02T00:00:00+01", "2262-04-11T23:47:16.854775808Z",
                          "1677-09-21T00:12:43.145224191Z", "0000-01-01T00:00:00Z", "+970-01-02T00:00:00Z"}) {
    INFO(bad);
    CHECK_FALSE(ParseExactTime(bad));
  }
}

TEST_CASE("FromBase64: the bytes of each text, which is the only one for them", "[core][text]") {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    CHECK(FromBase64(Base64(bytes)) == bytes);
    bytes += static_cast<char>(i * 7);
  }
  for (const char* bad : {"A", "AA", "AAA", "AB==", "AAB=", "A===", "====", "AA==AA==", "A-==", "AAAA\n", "=AAA"}) {
    INFO(bad);
    CHECK_FALSE(FromBase64(bad));
  }
}

}  // namespace stagefs::test
