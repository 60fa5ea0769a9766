#include "stagefs/byte_source.h"
#include "stagefs/manifest.h"
#include "stagefs/inbox.h"
#include "stagefs/missing.h"
#include "stagefs/status.h"

#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;  // Hash, path.

struct Reading {
  Entries entries;
  ManifestOptions options;
  std::string error;
};

Reading Read(const std::string& text, ManifestFormat format = ManifestFormat::kSniff) {
  Reading reading;
  const auto source = NewStringSource(text);
  const auto options =
      ReadManifest(*source, format, {}, [&](const ManifestOptions&, ManifestEntry entry) -> Status {
        reading.entries.emplace_back(entry.hash, entry.path);
        return {};
      });
  if (options) {
    reading.options = *options;
  } else {
    CHECK(options.error().code() == ErrorCode::kInvalidArgument);
    reading.error = options.error().message();
  }
  return reading;
}

const Entries kTwo{{"aa", "x"}, {"bb", "d/y z"}};

}  // namespace

TEST_CASE("Manifest: each format says the same", "[core][manifest]") {
  const auto [name, text] = GENERATE(table<std::string, std::string>({
      {"array", R"([{"hash":"aa","path":"x"},{"path":"d/y z","hash":"bb","size":3,"more":{"a":[1,{}]}}])"},
      {"array with space",
       " \r\n\t[\n{\"hash\" : \"aa\", \"path\" : \"x\"} ,{\"hash\":\"bb\",\"path\":\"d/y z\"}]\n \n"},
      {"object", R"({"entries":[{"hash":"aa","path":"x"},{"hash":"bb","path":"d/y z"}],"note":"n"})"},
      {"ndjson", "{\"hash\":\"aa\",\"path\":\"x\"}\n{\"hash\":\"bb\",\"path\":\"d/y z\"}\r\n"},
      {"gnu", "aa  x\nbb *d/y z\n"},
      {"gnu with CR and comment", "# made by hand\naa  x\r\nbb  d/y z\r\n"},
      {"nul", std::string("aa  x\0bb  d/y z\0", 16)},
      {"csv", "path,hash\nx,aa\nd/y z,bb\n"},
      {"csv quoted", "size,\"hash\",path\r\n1,aa,\"x\"\r\n2,\"bb\",\"d/y z\"\r\n"},
      {"tsv", "hash\tpath\naa\tx\nbb\td/y z\n"},
      {"byte order mark", "\xef\xbb\xbfpath,hash\nx,aa\nd/y z,bb\n"},
  }));
  INFO(name);
  const Reading reading = Read(text);
  CHECK(reading.error == "");
  CHECK(reading.entries == kTwo);
}

TEST_CASE("Manifest: --tag lines name their algorithm", "[core][manifest]") {
  const Reading reading = Read("SHA256 (a (b).txt) = aabb\nXXH128 (c) = 0c\n");
  CHECK(reading.entries == Entries{{"sha256:aabb", "a (b).txt"}, {"xxh3:0c", "c"}});
  CHECK(Read("MD5 (a) = 00\n").error.find("MD5") != std::string::npos);
}

TEST_CASE("Manifest: escaped names and quoted fields come back as they were", "[core][manifest]") {
  CHECK(Read("\\aa  new\\nline\\\\\n").entries == Entries{{"aa", "new\nline\\"}});
  CHECK(Read("\\aa  back\\rone\\x\n").entries == Entries{{"aa", "back\rone\\x"}});
  CHECK(Read("path,hash\n\"a,\"\"b\"\"\nc\",aa\n").entries == Entries{{"aa", "a,\"b\"\nc"}});
  CHECK(Read(R"([{"hash":"aa","path":"gr\u00fc\u00df \ud83d\ude00"}])").entries ==
        Entries{{"aa", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"}});
  CHECK(Read(std::string("aa  \xff\xfe\0", 7)).entries == Entries{{"aa", "\xff\xfe"}});
}

TEST_CASE("Manifest: an object carries options, before or after its entries", "[core][manifest]") {
  for (const char* text :
       {R"({"atomic":true,"update_timestamp":true,"entries":[{"hash":"aa","path":"x"}]})",
        R"({"entries":[{"hash":"aa","path":"x"}],"update_timestamp":true,"atomic":true})"}) {
    INFO(text);
    const Reading reading = Read(text);
    CHECK(reading.options.atomic);
    CHECK(reading.options.update_timestamp);
    CHECK(reading.entries.size() == 1);
  }
  CHECK(Read(R"({"atomic":1,"entries":[]})").error.find("true or false") != std::string::npos);
}

TEST_CASE("Manifest: an empty list is a manifest of nothing", "[core][manifest]") {
  CHECK(Read("[]").error == "");
  CHECK(Read("[]").entries.empty());
  CHECK(Read(R"({"entries":[]})").error == "");
}

TEST_CASE("Manifest: what makes no sense is refused as a whole, saying where", "[core][manifest]") {
  const auto [name, text] = GENERATE(table<std::string, std::string>({
      {"empty", ""},
      {"blank", " \n\n"},
      {"half a byte order mark", "\xef\xbbpath,hash\nx,aa\n"},
      {"truncated array", R"([{"hash":"aa","path":"x"},)"},
      {"truncated string", R"([{"hash":"aa","pa)"},
      {"truncated object", R"({"entries":[{"hash":"aa","path":"x"}])"},
      {"text after", R"([] [])"},
      {"number", "17"},
      {"string", "\"x\""},
      {"null", "null"},
      {"array in array", R"([["aa","x"]])"},
      {"string in array", R"(["aa"])"},
      {"missing hash", R"([{"path":"x"}])"},
      {"missing path", R"([{"hash":"aa"}])"},
      {"hash not a string", R"([{"hash":17,"path":"x"}])"},
      {"path is null", R"([{"hash":"aa","path":null}])"},
      {"path is an object", R"([{"hash":"aa","path":{}}])"},
      {"path is a list", R"([{"hash":"aa","path":[]}])"},
      {"entries not a list", R"({"entries":7})"},
      {"lone surrogate", R"([{"hash":"aa","path":"\ud800"}])"},
      {"not UTF-8", "[{\"hash\":\"aa\",\"path\":\"\xff\"}]"},
      {"deep nesting",
       "[{\"hash\":\"aa\",\"path\":\"x\",\"y\":" + std::string(100, '[') + std::string(100, ']') + "}]"},
      {"line without end", "aa  x\nbb  y"},
      {"line without path", "aabb\n"},
      {"prose", "hello world, this is prose\n"},
      {"csv without header", "x,aa\ny,bb\n"},
      {"csv short record", "path,hash\nx\n"},
      {"csv open quote", "path,hash\n\"x,aa\n"},
  }));
  INFO(name);
  CHECK_FALSE(Read(text).error.empty());
}

TEST_CASE("Manifest: a value is at most 64 KiB, at its edge", "[core][manifest]") {
  const std::string fits(kManifestValueBytesMax - 100, 'p');
  const std::string over(kManifestValueBytesMax + 1, 'p');
  CHECK(Read("[{\"hash\":\"aa\",\"path\":\"" + fits + "\"}]").error == "");
  CHECK_FALSE(Read("[{\"hash\":\"aa\",\"path\":\"" + over + "\"}]").error.empty());
  CHECK(Read("aa  " + fits + "\n").error == "");
  CHECK_FALSE(Read("aa  " + over + "\n").error.empty());
  // A value that never ends is given up long before memory is.
  CHECK_FALSE(Read("[{\"hash\":\"" + std::string(10 << 20, 'a')).error.empty());
}

TEST_CASE("Manifest: an explicit extension decides", "[core][manifest]") {
  CHECK(ManifestFormatOf("a.stage.json") == ManifestFormat::kJson);
  CHECK(ManifestFormatOf("a.ndjson") == ManifestFormat::kNdjson);
  CHECK(ManifestFormatOf("a.sum") == ManifestFormat::kSum);
  CHECK(ManifestFormatOf("SHA256SUMS") == ManifestFormat::kSniff);
  CHECK_FALSE(Read("aa  x\n", ManifestFormat::kJson).error.empty());
  CHECK_FALSE(Read("[]", ManifestFormat::kSum).error.empty());
}

TEST_CASE("Manifest: quotes that are no RFC 4180 quotes are refused, naming the line", "[core][manifest]") {
  const auto [text, line] = GENERATE(table<std::string, std::string>({
      {"path,caption,hash\na,\"hello,aa\nb,ok,bb\nc,\"bye,cc\n", "line 2"},
      {"path,hash\nx,aa\n\"a\"b,bb\n", "line 3"},
      {"path,hash\na\"b,aa\n", "line 2"},
      {"path,hash\nx,aa,\n", "line 2"},
      {"path,note,hash\nx,aa\n", "line 2"},
      {"path\thash\nx\taa\ty\n", "line 2"},
      {"path\thash\n\"x \"\"y\"\"\"\taa\n", "line 2"},
  }));
  INFO(text);
  CHECK(Read(text).error.find(line) != std::string::npos);
}

TEST_CASE("Manifest: a TSV whose header has no quotes has none at all", "[core][manifest]") {
  CHECK(Read("id\tpath\tsaid\thash\n1\ta.mp3\t\"Hello, he said.\taa\n2\tb.mp3\tfine\tbb\n").entries ==
        Entries{{"aa", "a.mp3"}, {"bb", "b.mp3"}});
  CHECK(Read("path\thash\n\"x\" y\taa\n").entries == Entries{{"aa", "\"x\" y"}});
  CHECK(Read("\"path\"\t\"hash\"\n\"x\ty\"\t\"aa\"\n").entries == Entries{{"aa", "x\ty"}});
}

TEST_CASE("Manifest: of several columns that fit the best known counts, and the others are told", "[core][manifest]") {
  const auto [text, told] = GENERATE(table<std::string, std::string>({
      {"path,name,sha256\nx,wrong,aa\n", "'path' is the path, not name"},
      {"file,path,hash\nwrong,x,aa\n", "'path' is the path, not file"},
      {"path,sha256,hash\nx,aa,wrong\n", "'sha256' is the hash, not hash"},
      {"Algorithm,Hash,Path\nSHA256,aa,x\n", ""},
      {"file_name,checksum\nx,aa\n", ""},
      {"size (bytes),path,sha256\n9,x,aa\n", ""},
      {"#,path,sha256\n1,x,aa\n", ""},
      {"face id,path,sha256\n1,x,aa\n", ""},
      {"\r\n\r\npath,hash\r\nx,aa\r\n", ""},
      {"\xef\xbb\xbf\"path\",\"hash\"\r\n\"x\",\"aa\"\r\n", ""},
  }));
  INFO(text);
  const Reading reading = Read(text);
  CHECK(reading.error == "");
  CHECK(reading.entries == Entries{{"aa", "x"}});
  CHECK(reading.options.columns == told);
  CHECK(Read("path,hash,Path\nx,aa,y\n").error.find("path, hash, Path") != std::string::npos);
  CHECK(Read("where,digest\nx,aa\n", ManifestFormat::kCsv).error.find("where, digest") != std::string::npos);
}

TEST_CASE("Manifest: a CR belongs to the line's end only where each line has one", "[core][manifest]") {
  CHECK(Read("aa  Icon\r\nbb  x\n").entries == Entries{{"aa", "Icon\r"}, {"bb", "x"}});
  CHECK(Read("aa  y\r\nbb  x\r\n").entries == Entries{{"aa", "y"}, {"bb", "x"}});
  CHECK(Read("hash,path\naa,Icon\r\n").entries == Entries{{"aa", "Icon\r"}});
  CHECK(Read("path,hash\r\n\"a\r\nb\",aa\r\n").entries == Entries{{"aa", "a\r\nb"}});
}

TEST_CASE("Manifest: a last line without its end is taken where nothing of it can be missing", "[core][manifest]") {
  const std::string whole(64, 'a'), part(40, 'a'), xxh3(32, 'b');
  CHECK(Read("SHA256 (x) = " + whole).entries.size() == 1);
  CHECK(Read("XXH128 (x) = " + xxh3).entries.size() == 1);
  CHECK(Read("path,hash\nx," + whole).entries.size() == 1);
  CHECK(Read("path,xxh3\nx," + xxh3).entries.size() == 1);
  CHECK(Read("hash,path\n" + whole + ",\"x\"").entries.size() == 1);
  CHECK(Read("{\"hash\":\"aa\",\"path\":\"x\"}\n{\"hash\":\"bb\",\"path\":\"y\"}").entries.size() == 2);
  for (const std::string& text : {"SHA256 (x) = " + part, whole + "  x", "path,hash\nx," + part,
                                  "path,hash\nx," + xxh3, "hash,path\n" + whole + ",x", std::string("path,ha")}) {
    INFO(text);
    CHECK_FALSE(Read(text).error.empty());
  }
}

TEST_CASE("Manifest: options of JSON name the members that count, wherever they stand", "[core][manifest]") {
  const std::string entries = R"("entries":[{"f":"x","h":"aa"},{"h":"bb","f":"d/y z","path":7}])";
  const std::string names = R"("path_column":"f","hash_column":"h","strip_prefix":"p/","backslash":true)";
  for (const std::string& text : {'{' + entries + ',' + names + '}', '{' + names + ',' + entries + '}'}) {
    const Reading reading = Read(text);
    CHECK(reading.error == "");
    CHECK(reading.entries == kTwo);
    CHECK(reading.options.strip_prefix == "p/");
    CHECK(reading.options.backslash);
  }
  CHECK(Read(R"({"backslash":"x","entries":[]})").error.find("true or false") != std::string::npos);
  CHECK(Read(R"({"strip_prefix":true,"entries":[]})").error.find("must be a string") != std::string::npos);
  const Reading unnamed = Read(R"({"path_column":"f","entries":[{"hash":"aa","path":"x"}]})");
  CHECK(unnamed.error.find("field 'f'") != std::string::npos);
}

TEST_CASE("Manifest: in one entry a line every key is a column, whatever it is called", "[core][manifest]") {
  CHECK(Read("{\"entries\":[1],\"atomic\":7,\"hash\":\"aa\",\"path\":\"x\"}\n").entries == Entries{{"aa", "x"}});
  CHECK_FALSE(Read("{\"atomic\":true,\"hash\":\"aa\",\"path\":\"x\"}\n").options.atomic);
}

TEST_CASE("Manifest: what people take for one is told for what it is", "[core][manifest]") {
  CHECK(Read("PK\x03\x04....").error.find("xlsx") != std::string::npos);
  CHECK(Read("\xff\xfep\0a").error.find("UTF-16") != std::string::npos);
  CHECK(Read("\x1f\x8b\x08").error.find("gzip") != std::string::npos);
}

TEST_CASE("Batch: of two spellings of a path the last wins, and the first is told as replaced", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a"), b = scene.Put("b");
  const auto [first, second] =
      GENERATE(table<std::string, std::string>({{"x", "./x"}, {"./x", "x"}, {"x", "x/"}, {"d//x", "d/./x"}}));
  const auto report = scene.StageManifest(a + "  " + first + "\n" + b + "  " + second + "\n");
  CHECK(report.added == 1);
  CHECK(report.replaced.size() == 1);
  REQUIRE(scene.AllFiles().size() == 1);
  CHECK(scene.AllFiles().begin()->second == "b");
}

TEST_CASE("Batch: a slash at the end names a folder, and is no file that stands in its way", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a");
  const auto report = scene.StageManifest(a + "  train/\n" + a + "  train/x\n");
  CHECK(report.refused.size() == 1);
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"train/x", "a"}});
}

TEST_CASE("Batch: replaced entries are counted across runs, too", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a"), b = scene.Put("b");
  std::string list;
  for (int i = 0; i < 20'000; ++i) list += a + "  f" + std::to_string(i) + "\n";
  for (int i = 0; i < 20'000; i += 2) list += b + "  f" + std::to_string(i) + "\n";
  const auto report = scene.StageManifest(list);
  CHECK(report.added == 20'000);
  CHECK(report.replaced.size() == 10'000);
  CHECK(report.entries == 30'000);
}

TEST_CASE("Batch: a prefix comes off, and backslashes separate where asked", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a");
  ManifestOptions options;
  options.strip_prefix = "C:/data";
  options.backslash = true;
  const auto report =
      scene.StageManifest(a + "  C:\\data\\d\\x\n" + a + "  D:\\y\n" + a + "  C:\\data\n", "", options);
  CHECK(report.refused.size() == 2);
  CHECK(scene.AllFiles() == std::map<std::string, std::string>{{"d/x", "a"}});
}

TEST_CASE("Batch: good entries are staged, refused ones are reported in order", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a"), b = scene.Put("b");
  scene.Stage("d/folder/x", "x");
  const auto report =
      scene.StageManifest(a + "  one\n" + std::string(64, '0') + "  unknown\n" + "zz  nonsense\n" + b +
                              "  ../up\n" + b + "  folder\n" + b + "  sub/two\n" + b + "  /abs\n",
                          "d");
  CHECK(report.entries == 7);
  CHECK(report.added == 2);
  Lines refused;
  Ok(report.refused.ForEach([&](const RefusedEntry& entry) -> Status {
    refused.push_back(entry.path + ": " + entry.reason);
    return {};
  }));
  REQUIRE(refused.size() == 5);
  CHECK(refused[0] == "unknown: version " + std::string(64, '0') + ": no such version");
  CHECK(refused[1].find("nonsense: 'zz' is not a content hash") == 0);
  CHECK(refused[2].find("../up: ") == 0);
  CHECK(refused[3].find("folder: 'folder' is a folder") == 0);
  CHECK(refused[4].find("/abs: ") == 0);
  CHECK(scene.Read("d/one") == "a");
  CHECK(scene.Read("d/sub/two") == "b");
}

TEST_CASE("Batch: atomic stages nothing if anything is refused", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a");
  const std::string bad = a + "  one\n" + std::string(64, '0') + "  two\n";
  const auto report = scene.StageManifest(bad, "", {.atomic = true, .update_timestamp = false});
  CHECK(report.Withdrawn());
  CHECK(report.refused.size() == 1);
  CHECK(scene.AllFiles().empty());
  CHECK_FALSE(
      scene.StageManifest(a + "  one\n", "", {.atomic = true, .update_timestamp = false}).Withdrawn());
  CHECK(scene.Read("one") == "a");
}

TEST_CASE("Batch: of two entries for a path the last wins", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a"), b = scene.Put("b");
  scene.StageManifest(a + "  x\n" + b + "  y\n" + b + "  x\n");
  CHECK(scene.Read("x") == "b");
}

TEST_CASE("Batch: of a file and a folder of one name the first wins", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a");
  CHECK(scene.StageManifest(a + "  x.y\n" + a + "  x/below\n" + a + "  x\n").refused.size() == 1);
  CHECK(scene.Exists("x/below"));
  CHECK(scene.StageManifest(a + "  z\n" + a + "  z/below\n").refused.size() == 1);
  CHECK(scene.Read("z") == "a");
}

TEST_CASE("Batch: a malformed manifest stages nothing, however late the fault", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a");
  std::string text = "[";
  for (int i = 0; i < 40'000; ++i)
    text += "{\"hash\":\"" + a + "\",\"path\":\"f" + std::to_string(i) + "\"},";
  const auto source = NewStringSource(text);
  Workspace::ManifestRequest request;
  request.source = source.get();
  CHECK(scene.workspace().StageManifest(request).error().code() == ErrorCode::kInvalidArgument);
  CHECK(scene.AllFiles().empty());
}

TEST_CASE("Batch: many refused entries are all reported", "[core][batch]") {
  Scene scene;
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += "00  some/rather/long/path/number/" + std::to_string(i) + "\n";
  const auto report = scene.StageManifest(text);
  CHECK(report.refused.size() == 50'000);
  int64_t seen = 0;
  Ok(report.refused.ForEach([&](const RefusedEntry& entry) -> Status {
    if (!entry.path.ends_with('/' + std::to_string(seen))) FAIL(entry.path);
    ++seen;
    return {};
  }));
  CHECK(seen == 50'000);
}

TEST_CASE("Report: JSON shows bad names as text and exactly", "[core][batch]") {
  Scene scene;
  const auto report = scene.StageManifest(std::string("00  \xff.jpg\0", 10), "d");
  std::string json;
  Ok(WriteReportJson(report, [&](std::string_view piece) -> Status {
    json += piece;
    return {};
  }));
  CHECK(json.find("\"refused\":1") != std::string::npos);
  CHECK(json.find("\"path\":\"\xef\xbf\xbd.jpg\",\"path_base64\":\"/y5qcGc=\"") != std::string::npos);
  CHECK(json.find("\"directory\":\"d\"") != std::string::npos);
}

TEST_CASE("Inbox: one renamed into place waits to be staged, also across a crash", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a");
  const auto put = [&](const std::string& path) {
    return Value(scene.repository().PutBytes(a + "  " + path + "\n")).id;
  };
  const RepoPath directory = Value(RepoPath::Parse("data"));
  Ok(Inbox(scene.workspace()).Store(directory, ".tmp.Ab12Cd", put("x")).WithoutValue());
  Ok(Inbox(scene.workspace()).Rename(directory, ".tmp.Ab12Cd", directory, "m.sum"));
  scene.Write("tmp", a + "  y\n");
  scene.Rename("tmp", "m.stage.sum");
  CHECK_FALSE(scene.Exists("data/x"));
  scene.Reopen();
  Ok(Inbox(scene.workspace()).StageQueued());
  CHECK(scene.Read("data/x") == "a");
  CHECK(scene.Read("y") == "a");
  CHECK(Value(Inbox(scene.workspace()).LookUp(directory, "m.sum.result.json")));
  scene.Remove("y");
  Ok(Inbox(scene.workspace()).StageQueued());
  CHECK_FALSE(scene.Exists("y"));
}

TEST_CASE("Inbox: of a manifest that commands append to the new lines are staged, and all are reported",
          "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a"), b = scene.Put("b");
  const std::string absent(64, '0');
  const Slot slot = scene.SlotOf("m.stage.sum");
  ManifestSoFar so_far;
  std::string lines;
  // Appends `line`; what the report says then.
  const auto grows = [&](const std::string& line) {
    lines += line;
    scene.Write("m.stage.sum", lines);
    (void)Inbox(scene.workspace()).StageDropped(slot, &so_far);
    return scene.Read("m.stage.sum.result.json");
  };
  const auto says = [](const std::string& report, const std::string& what) {
    return report.find('"' + what + ',') != std::string::npos;
  };
  CHECK(says(grows(a + "  x\n"), "entries\":1"));
  CHECK(says(grows(a + "  y\n"), "entries\":2"));
  scene.Remove("x");  // Whether a line is staged once more.
  REQUIRE_FALSE(scene.Exists("x"));
  SECTION("whole lines for other paths") {
    const std::string report = grows(b + "  z\n" + b + "  folder/z\n");
    CHECK(says(report, "entries\":4"));
    CHECK(says(report, "added\":4"));
    CHECK(says(grows("# nothing\n" + b + "  w\n"), "added\":5"));
    CHECK(scene.Read("folder/z") == "b");
    CHECK(scene.Read("w") == "b");
    CHECK_FALSE(scene.Exists("x"));
  }
  SECTION("a path that was there") {
    const std::string report = grows(b + "  ./y\n");
    CHECK(says(report, "entries\":3"));
    CHECK(says(report, "replaced\":1"));
    CHECK(scene.Read("y") == "b");
    CHECK(scene.Exists("x"));
  }
  SECTION("a line that is refused") {
    CHECK(says(grows(absent + "  z\n"), "refused\":1"));
    CHECK(says(grows(b + "  w\n"), "entries\":4"));
    CHECK(scene.Exists("x"));
  }
  SECTION("a line without its end") {
    CHECK(grows(b + "  z").find("line 3 has no end") != std::string::npos);
    CHECK(says(grows("\n"), "entries\":3"));
    CHECK(scene.Exists("x"));
  }
  SECTION("a line that is none") {
    CHECK(grows("nonsense\n").find("line 3 is not") != std::string::npos);
    CHECK_FALSE(scene.Exists("x"));
  }
  SECTION("lines with other ends") {
    CHECK(says(grows(b + "  z\r\n"), "entries\":3"));
    CHECK(scene.Exists("z\r"));
    CHECK(scene.Exists("x"));
  }
  SECTION("another beginning") {
    lines = b + "  y\n" + b + "  x\n" + b + "  v\n";
    CHECK(says(grows(""), "entries\":3"));
    CHECK(scene.Read("x") == "b");
  }
  SECTION("the same again") {
    CHECK(says(grows(""), "entries\":2"));
    CHECK(scene.Exists("x"));
  }
}

TEST_CASE("Inbox: a manifest is kept, and its report lies beside it", "[core][batch]") {
  Scene scene;
  const std::string a = scene.Put("a");
  const RepoPath directory = Value(RepoPath::Parse("data"));
  const auto store = [&](const std::string& name, const std::string& text) {
    Ok(Inbox(scene.workspace())
           .Store(directory, name, Value(scene.repository().PutBytes(text)).id)
           .WithoutValue());
    return Inbox(scene.workspace()).Stage(directory, name);
  };
  Ok(store("m.sum", a + "  x\n"));
  CHECK(scene.Read("data/x") == "a");
  const auto bad = store("bad.json", "[{");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code() == ErrorCode::kInvalidArgument);
  Lines names;
  for (const InboxFile& file : Value(Inbox(scene.workspace()).List(directory))) names.push_back(file.name);
  CHECK(names == Lines{"bad.json", "bad.json.result.json", "m.sum", "m.sum.result.json"});
  CHECK(scene.StatusLines() == Lines{"A  data/x"});
  Ok(store("m.atomic.sum", a + "  y\n00  z\n"));
  CHECK_FALSE(scene.Exists("data/y"));
}

TEST_CASE("Manifest: a dry run says what would be, and changes nothing", "[core][manifest]") {
  Scene scene;
  scene.Stage("same", "1");
  scene.Stage("other", "1");
  scene.Commit();
  const std::string one = scene.Put("1"), two = scene.Put("2");
  scene.Stage("pending", "2");
  Ok(scene.workspace().KeepReport(scene.StageManifest(two + "  pending\n")).WithoutValue());
  const auto before = Value(scene.workspace().Info());
  const auto version = Value(scene.repository().FindVersion(two));
  const Lines lines = scene.StatusLines();

  const std::string text = one + "  same\n" + two + "  other\n" + two + "  new/deep/a\n" + std::string(64, '0') +
                           "  unknown\n" + two + "  same/below\n" + one + "  new/deep/a\n";
  const auto source = NewStringSource(text);
  Workspace::ManifestRequest request;
  request.source = source.get();
  request.dry_run = true;
  request.options.atomic = GENERATE(false, true);
  const auto report = Value(scene.workspace().StageManifest(request));
  CHECK(report.dry_run);
  CHECK(report.Withdrawn() == request.options.atomic);
  CHECK(report.entries == 6);
  CHECK(report.added == 1);
  CHECK(report.modified == 1);
  CHECK(report.unchanged == 1);
  CHECK(report.refused.size() == 2);
  CHECK(report.replaced.size() == 1);

  CHECK(scene.StatusLines() == lines);
  CHECK_FALSE(scene.Exists("new"));
  CHECK(Value(scene.workspace().Info()).report == before.report);
  const auto after = Value(scene.repository().FindVersion(two));
  CHECK(after.stored_ns == version.stored_ns);
  CHECK(after.renewed_ns == version.renewed_ns);
}

TEST_CASE("Manifest: a refused entry has its line, or in JSON its number, and a code", "[core][manifest]") {
  Scene scene;
  const std::string one = scene.Put("1"), none(64, '0');
  struct Refused {
    int64_t number;
    ErrorCode code;
    std::string path;
    bool operator==(const Refused&) const = default;
  };
  const auto refused = [&](const std::string& text) {
    const auto report = scene.StageManifest(text);
    std::vector<Refused> all;
    Ok(report.refused.ForEach([&](const RefusedEntry& entry) -> Status {
      all.push_back({entry.number, entry.code, entry.path});
      return {};
    }));
    return std::pair(all, std::string(PlaceWord(report.counts_entries)));
  };
  const auto object = [](const std::string& hash, const std::string& path) {
    return "{\"hash\":\"" + hash + "\",\n\"path\":\"" + path + "\"}";
  };
  const std::string rows = "\"a\nb\"," + one + "\n\n\"c\nd\"," + none + "\n../x," + one + "\n";
  CHECK(refused("path,hash\n" + rows) ==
        std::pair(std::vector<Refused>{{5, ErrorCode::kNotFound, "c\nd"}, {7, ErrorCode::kInvalidArgument, "../x"}},
                  std::string("line")));
  CHECK(refused("# list\n" + one + "  a\n\n" + none + "  b\n" + one + "  a/c\n") ==
        std::pair(std::vector<Refused>{{4, ErrorCode::kNotFound, "b"}, {5, ErrorCode::kNotDirectory, "a/c"}},
                  std::string("line")));
  CHECK(refused(object(one, "a") + "\n\n" + object(none, "b") + "\n" + object("zz", "c") + "\n") ==
        std::pair(std::vector<Refused>{{4, ErrorCode::kNotFound, "b"}, {6, ErrorCode::kInvalidArgument, "c"}},
                  std::string("line")));
  CHECK(refused("[" + object(one, "a") + "," + object(none, "b") + ",\n" + object("zz", "c") + "]") ==
        std::pair(std::vector<Refused>{{2, ErrorCode::kNotFound, "b"}, {3, ErrorCode::kInvalidArgument, "c"}},
                  std::string("entry")));
}

TEST_CASE("Manifest: lines are counted over the pieces that a manifest is read in", "[core][manifest]") {
  std::string text;
  std::vector<int64_t> wanted, numbers;
  for (int64_t line = 1; text.size() < (1 << 20); ++line) {
    if (line % 7 == 0) {
      text += '\n';
      continue;
    }
    text += R"({"hash":"aa","path":"x","note":")" + std::string(static_cast<size_t>(line % 101), 'n') + "\"}\n";
    wanted.push_back(line);
  }
  const auto source = NewStringSource(text);
  Ok(ReadManifest(*source, ManifestFormat::kSniff, {}, [&](const ManifestOptions&, ManifestEntry entry) -> Status {
       numbers.push_back(entry.number);
       return {};
     }).WithoutValue());
  CHECK(numbers == wanted);
}

TEST_CASE("StageReport: what spilled to the disk comes back with codes and numbers", "[core][manifest]") {
  Scene scene;
  RefusedEntries entries(scene.repository().incoming());
  for (int64_t i = 1; i <= 30'000; ++i) {
    Ok(entries.Append({"hash", "path" + std::to_string(i), "reason", ErrorCode::kNotFound, i}));
  }
  int64_t next = 1, wrong = 0;
  Ok(entries.ForEach([&](const RefusedEntry& entry) -> Status {
    wrong += entry.number != next || entry.code != ErrorCode::kNotFound ||
             entry.path != "path" + std::to_string(next) || entry.reason != "reason";
    ++next;
    return {};
  }));
  CHECK(next == 30'001);
  CHECK(wrong == 0);
}

TEST_CASE("Missing: lines come out as they are written, and are a manifest again", "[core][manifest]") {
  Scene scene;
  const std::string one = scene.Put("1"), none(64, '0'), other(64, 'a');
  const auto missing = [&](const std::string& text, ManifestOptions options = {}) {
    std::string out;
    const auto source = NewStringSource(text);
    const auto report = FindMissing(scene.repository(), *source, ManifestFormat::kSniff, std::move(options),
                                    [&](std::string_view piece) -> Status {
                                      out += piece;
                                      return {};
                                    });
    return report ? out : report.error().message();
  };
  const std::string sum = none + " *a b\n\\" + other + "  c\\nd\n";
  CHECK(missing("# list\n" + one + "  here\n" + sum) == sum);
  CHECK(missing(one + "  x\r\n" + none + "  y\r\n") == none + "  y\r\n");
  const auto nul = [](const std::string& line) { return line + std::string(1, '\0'); };
  CHECK(missing(nul(one + "  x") + nul(none + "  new\nline")) == nul(none + "  new\nline"));
  CHECK(missing("SHA256 (x) = " + one + "\nSHA256 (y) = " + none) == "SHA256 (y) = " + none + "\n");
  const std::string head = "note,\"path\",sha256\r\n";
  const std::string row = "\"a \"\"b\"\"\r\nc\",\"x,y\"," + none + "\r\n";
  CHECK(missing(head + "n,here," + one + "\r\n\r\n" + row) == head + row);
  CHECK(missing("file\tdigest\nhere\t" + one + "\nx\t" + none + "\n",
                {.path_column = "file", .hash_column = "digest"}) == "file\tdigest\nx\t" + none + "\n");
  const std::string object = "{ \"hash\": \"" + none + "\", \"more\": {\"a\": [1, \"\\u00e4\"]}, \"path\": \"y\" }\n";
  CHECK(missing("{\"hash\":\"" + one + "\",\"path\":\"x\"}\n\n " + object) == object);
  CHECK(missing("[{\"path\":\"x\",\"hash\":\"" + one + "\"},{\"path\":\"\\u00e4\\n\",\"hash\":\"" + none +
                "\",\"n\":1}]") ==
        "{\"hash\":\"" + none + "\",\"path\":\"\xc3\xa4\\n\"}\n");
  CHECK(missing(one + "  x\n") == "");
  CHECK(missing("path,hash\nx," + one + "\n") == "");
}

TEST_CASE("Missing: long manifests, whose hashes are none, and which are cut short", "[core][manifest]") {
  Scene scene;
  const std::string one = scene.Put("1");
  const bool objects = GENERATE(false, true);
  std::string text, wanted;
  for (int i = 0; i < 20'000; ++i) {
    char hash[65];
    std::snprintf(hash, sizeof hash, "%064x", i);
    const std::string name = "d/" + std::to_string(i);
    const auto line = [&](const std::string& of) {
      const std::string note(static_cast<size_t>(i % 300), 'n');
      return objects ? "{\"hash\":\"" + of + "\",\"path\":\"" + name + "\",\"note\":\"" + note + "\"}\n"
                     : of + "  " + name + "\n";
    };
    if (i % 3 == 0) text += line(hash), wanted += line(hash);
    else text += line(i % 1000 == 1 ? "nonsense" : one);
  }
  std::string out;
  const auto emit = [&](std::string_view piece) -> Status {
    out += piece;
    return {};
  };
  const auto source = NewStringSource(text);
  const auto report = Value(FindMissing(scene.repository(), *source, ManifestFormat::kSniff, {}, emit));
  CHECK(out == wanted);
  CHECK(report.entries == 20'000);
  CHECK(report.missing == 6'667);
  CHECK(report.refused.size() == 14);
  const auto cut = NewStringSource(std::string_view(text).substr(0, text.size() - 2));
  const auto failed = FindMissing(scene.repository(), *cut, ManifestFormat::kSniff, {}, emit);
  CHECK(failed.error().code() == ErrorCode::kInvalidArgument);
  const auto full = NewStringSource(text);
  const auto stopped = FindMissing(scene.repository(), *full, ManifestFormat::kSniff, {},
                                   [](std::string_view) -> Status { return Error(ErrorCode::kNoSpace, "full"); });
  CHECK(stopped.error().code() == ErrorCode::kNoSpace);
}

}  // namespace stagefs::test
