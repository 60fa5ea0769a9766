// One story, played through every door: the tree, the status and the reports are the same.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tests/scene.h"
#include "stagefs/commit.h"
#include "stagefs/repositories.h"
#include "stagefs/status.h"

namespace stagefs::test {
namespace {

enum class Door { kInbox, kDropped, kLink, kSymlink, kCopy, kWrite, kHttp, kCommand };
constexpr Door kAllDoors[] = {Door::kInbox, Door::kDropped, Door::kLink, Door::kSymlink,
                              Door::kCopy,  Door::kWrite,   Door::kHttp, Door::kCommand};
const char* kNames[] = {"inbox", "dropped manifest", "link", "symlink", "copy", "write", "HTTP", "command"};

std::string Quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

struct Ran {
  int status = 0;
  std::string output;
};

Ran Run(const std::string& command) {
  Ran ran;
  FILE* pipe = popen(("timeout 60 sh -c " + Quote(command) + " 2>&1").c_str(), "r");
  REQUIRE(pipe);
  char buffer[4096];
  for (size_t got; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) ran.output.append(buffer, got);
  const int status = pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  return ran;
}

void RunOk(const std::string& command) {
  const Ran ran = Run(command);
  INFO(command << "\n" << ran.output);
  REQUIRE(ran.status == 0);
}

// A mounted workspace with an HTTP server in the same process, and core on the same root in this one.
class MountScene {
 public:
  explicit MountScene(Door door) : door_(door) {
    std::filesystem::create_directory(mnt());
#if STAGEFS_HTTP
    const std::string listen = " --listen 127.0.0.1:0 --insecure-no-auth";
#else
    const std::string listen;
#endif
    const std::string said_path = folder_ / "said";
    RunOk(Stagefs() + " mount t/r:w " + mnt() + " --create" + listen + " 2> " + said_path);
    const std::string said = ReadFile(said_path);
    if (const size_t at = said.find("http://"); at != std::string::npos) {
      url_ = said.substr(at, said.find('\n', at) - at);
    }
    repository_ = Value(OpenRepository(root(), {"t", "r"}));
    workspace_ = Value(Workspace::Open(*repository_, "w"));
  }

  ~MountScene() {
    workspace_.reset();
    repository_.reset();
    const Ran ran = Run(Stagefs() + " unmount " + mnt());
    if (ran.status != 0) {
      Run(Stagefs() + " unmount --lazy " + mnt());
      FAIL_CHECK(ran.output);
    }
    // The daemon ends after the unmount; its mount row goes last but one.
    RunOk("while pgrep -f '[m]ount t/r:w " + mnt() + "'; do sleep 0.02; done");
    // What a background daemon has to say, a sanitizer's report above all, is in its log.
    INFO(Run("cat " + root() + "/t/r/mount.log").output);
    CHECK(Run("grep -E 'Sanitizer|runtime error|Assertion' " + root() + "/t/r/mount.log").status != 0);
  }

  std::string Put(const std::string& text) {
    return ToHex(Value(repository_->PutBytes(text)).content.sha256);
  }

  void Stage(const std::string& path, const std::string& text) {
    const std::string at = mnt() + '/' + path;
    const std::string parent = at.substr(0, at.rfind('/'));
    const std::string hash = Put(text);
    const std::string version = mnt() + "/.stagefs/versions/" + hash;
    switch (door_) {
      case Door::kInbox:
      case Door::kDropped:
      case Door::kHttp:
      case Door::kCommand: StageLines({{hash, path}}); return;
      case Door::kLink: RunOk("mkdir -p " + Quote(parent) + " && ln -f " + version + ' ' + Quote(at)); return;
      case Door::kSymlink:
        RunOk("mkdir -p " + Quote(parent) + " && ln -sf " + hash + ' ' + Quote(at));
        return;
      case Door::kCopy: RunOk("mkdir -p " + Quote(parent) + " && cp " + version + ' ' + Quote(at)); return;
      case Door::kWrite:
        RunOk("mkdir -p " + Quote(parent) + " && printf %s " + Quote(text) + " > " + Quote(at));
        return;
    }
  }

  // Stages a list through the doors that take lists; returns the refused paths with their reasons.
  Lines StageLines(const std::vector<std::pair<std::string, std::string>>& entries, bool atomic = false) {
    std::string sums, json;
    for (const auto& [hash, path] : entries) {
      sums += hash + "  " + path + '\n';
      json += (json.empty() ? "" : ",") + ("{\"hash\":\"" + hash + "\",\"path\":\"" + path + "\"}");
    }
    const std::string file = folder_ / "manifest";
    const std::string number = std::to_string(++manifests_);
    const std::string dot = atomic ? ".atomic" : "";
    WriteFile(file, door_ == Door::kHttp ? '[' + json + ']' : sums);
    std::string report;
    if (door_ == Door::kInbox) {
      const std::string name = mnt() + "/.stagefs/inbox/m" + number + dot + ".sum";
      RunOk("cp " + file + ' ' + name);
      report = Run("cat " + name + ".result.json").output;
    } else if (door_ == Door::kDropped) {
      const std::string name = mnt() + "/m" + number + dot + ".stage.sum";
      RunOk("cp " + file + ' ' + name);
      report = Run("cat " + mnt() + "/.stagefs/last.json").output;
    } else if (door_ == Door::kHttp) {
      report = Run("curl -sS -H 'content-type: application/json' --data-binary @" + file + ' ' + url_ +
                   "/api/repos/t/r/workspaces/w/versions/" + (atomic ? "?atomic=true" : ""))
                   .output;
    } else {
      report = Run(Stagefs() + " --json stage t/r:w " + (atomic ? "--atomic " : "") + file).output;
    }
    return RefusedIn(report);
  }

  bool TakesLists() const {
    return door_ == Door::kInbox || door_ == Door::kDropped || door_ == Door::kHttp ||
           door_ == Door::kCommand;
  }

  void Remove(const std::string& path) { RunOk("rm -r " + Quote(mnt() + '/' + path)); }
  void Commit() { Ok(CommitStaged(*workspace_, "story", {"Ann", "ann@example.org"}, std::nullopt).WithoutValue()); }

  // Lines of `status`, without the manifests that a door itself leaves as scratch.
  Lines StatusLines() {
    Lines lines;
    std::string text = Run("cat " + mnt() + "/.stagefs/status").output;
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      if (text[0] != '?') lines.push_back(text.substr(0, end));
    }
    return lines;
  }

  // What `find` and `cat` see.
  std::map<std::string, std::string> Tree() {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(mnt())) {
      const std::string path = entry.path().string().substr(mnt().size() + 1);
      if (entry.is_regular_file() && path.find(".stage.sum") == std::string::npos) {
        files[path] = ReadFile(entry.path().string());
      }
    }
    return files;
  }

  std::string mnt() const { return folder_ / "mnt"; }

 private:
  std::string root() const { return folder_ / "root"; }
  std::string Stagefs() const {
    const char* binary = std::getenv("STAGEFS_BINARY");
    REQUIRE(binary);
    return std::string(binary) + " --root " + root();
  }

  static Lines RefusedIn(const std::string& report) {
    Lines refused;
    for (const std::string key : {"\"error\":\"", "\"reason\":\""}) {
      for (size_t at = 0; (at = report.find(key, at)) != std::string::npos; at += key.size()) {
        const size_t begin = at + key.size();
        refused.push_back(report.substr(begin, report.find('"', begin) - begin));
      }
    }
    return refused;
  }

  const Door door_;
  TempFolder folder_;
  std::string url_;
  int manifests_ = 0;
  std::unique_ptr<Repository> repository_;
  std::unique_ptr<Workspace> workspace_;
};

using Files = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("Doors: one story gives one tree and one status", "[scenario][mount]") {
  for (const Door door : kAllDoors) {
#if !STAGEFS_HTTP
    if (door == Door::kHttp) continue;
#endif
    INFO("door: " << kNames[static_cast<int>(door)]);
    MountScene scene(door);
    scene.Stage("images/cat.jpg", "cat");
    scene.Stage("images/night/dog.jpg", "dog");
    scene.Stage("top", "top");
    CHECK(scene.StatusLines() == Lines{"A  images/cat.jpg", "A  images/night/dog.jpg", "A  top"});
    scene.Commit();
    CHECK(scene.StatusLines().empty());

    scene.Stage("images/cat.jpg", "kitten");
    scene.Stage("images/cat.jpg", "tomcat");  // The later of two entries wins.
    scene.Stage("images/new.jpg", "");
    scene.Remove("images/night");
    CHECK(scene.StatusLines() == Lines{"M  images/cat.jpg", "A  images/new.jpg", "D  images/night/dog.jpg"});
    CHECK(scene.Tree() == Files{{"images/cat.jpg", "tomcat"}, {"images/new.jpg", ""}, {"top", "top"}});

    // Content that the base has withdraws what was pending for the path.
    scene.Stage("images/night/dog.jpg", "dog");
    scene.Stage("images/cat.jpg", "cat");
    scene.Remove("images/new.jpg");
    CHECK(scene.StatusLines().empty());
    CHECK(scene.Tree() == Files{{"images/cat.jpg", "cat"}, {"images/night/dog.jpg", "dog"}, {"top", "top"}});
  }
}

TEST_CASE("Doors: lists refuse the same entries for the same reasons", "[scenario][mount]") {
  Lines first;
  for (const Door door : kAllDoors) {
#if !STAGEFS_HTTP
    if (door == Door::kHttp) continue;
#endif
    INFO("door: " << kNames[static_cast<int>(door)]);
    MountScene scene(door);
    if (!scene.TakesLists()) continue;
    const std::string hash = scene.Put("x");
    const std::vector<std::pair<std::string, std::string>> entries = {{hash, "a/good"},
                                                                      {std::string(64, '0'), "a/unknown"},
                                                                      {"xyz", "a/nohash"},
                                                                      {hash, "../up"},
                                                                      {hash, "/etc/passwd"},
                                                                      {hash, ".stagefs/status"},
                                                                      {hash, "a"},
                                                                      {hash, "a/good/below"},
                                                                      {hash, std::string(256, 'n')}};
    const Lines refused = scene.StageLines(entries);
    CHECK(refused.size() == 8);
    if (first.empty()) first = refused;
    CHECK(refused == first);
    CHECK(scene.Tree() == Files{{"a/good", "x"}});
    CHECK(scene.StageLines({{hash, "b"}, {"00", "c"}}, /*atomic=*/true).size() == 1);
    CHECK(scene.Tree() == Files{{"a/good", "x"}});
    CHECK(scene.StatusLines() == Lines{"A  a/good"});
  }
}

}  // namespace stagefs::test
