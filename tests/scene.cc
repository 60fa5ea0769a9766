#include "tests/scene.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/servers.h"
#include "stagefs/byte_source.h"
#include "index/sqlite/sqlite_staging_index.h"
#include "stagefs/posix_env.h"
#include "stagefs/commit.h"
#include "stagefs/repositories.h"
#include "stagefs/repository_places.h"
#include "stagefs/status.h"
#include "stagefs/version_store.h"
#include "stagefs/workspaces.h"

namespace stagefs::test {

TempFolder::TempFolder() {
  std::string pattern = std::filesystem::temp_directory_path().string() + "/stagefs-test-XXXXXX";
  path_ = mkdtemp(pattern.data());
}

TempFolder::~TempFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void Ok(const Status& status) {
  if (!status) FAIL(status.error().message());
}

void InKilledProcess(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    try {
      body();
    } catch (...) {
      _exit(1);  // A check that failed: else the child goes on with all other tests.
    }
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

ContentId HashOf(const std::string& text) {
  ContentHasher hasher;
  hasher.Update(text.data(), text.size());
  return hasher.Finish();
}

void WriteFile(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  REQUIRE(file);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  INFO(path);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// $STAGEFS_TEST_PLACES names what is not to be in the repository's folder: postgres, s3 or postgres+s3.
RepositoryPlaces PlacesToTest() {
  const char* text = std::getenv("STAGEFS_TEST_PLACES");
  const std::string_view where = text == nullptr ? "" : text;
  RepositoryPlaces places;
  if (where.starts_with("postgres")) places.index = NewDatabaseUrl();
  if (where.ends_with("s3")) places.versions = S3Url(RandomHex());
  return places;
}

WorkingCopyPlace PlaceAtRoot(Workspace& workspace, const std::string& name) {
  WorkingCopyPlace place;
  place.workspace = workspace.id();
  place.slot = {kRootFolder, name};
  place.path = name;
  return place;
}

Scene::Scene(bool in_memory_store) {
  const std::string folder = root_.path() + "/t/r";
  Ok(MakeFolders(folder));
  if (in_memory_store) {
    repository_ = Value(AssembleRepository(
        folder, name(), Value(OpenSqliteStagingIndex(folder + "/stagefs.db")), NewMemoryVersionStore()));
  } else {
    Ok(CreateRepository(root_.path(), name(), PlacesToTest()));
    repository_ = Value(OpenRepository(root_.path(), name()));
  }
  Ok(Workspaces(*repository_).Create("main", "w", std::nullopt).WithoutValue());
  workspace_ = Value(Workspace::Open(*repository_, "w"));
}

std::string Scene::Put(const std::string& text) {
  return ToHex(Value(repository_->PutBytes(text)).content.sha256);
}

StageOutcome Scene::Stage(const std::string& path, const std::string& text, bool update_timestamp) {
  StageHow how;
  how.update_timestamp = update_timestamp;
  return Value(workspace_->StagePath(Value(RepoPath::Parse(path)), Put(text), how)).outcome;
}

StageReport Scene::StageManifest(const std::string& manifest, const std::string& directory,
                                 ManifestOptions options, ManifestFormat format) {
  const auto source = NewStringSource(manifest);
  Workspace::ManifestRequest request;
  request.source = source.get();
  request.directory = Value(RepoPath::ParseDirectory(directory));
  request.options = options;
  request.format = format;
  return Value(workspace_->StageManifest(request));
}

void Scene::StageLinkIn(Workspace& workspace, const std::string& path, const std::string& target) {
  const std::string manifest = "[{\"path\": \"" + path + "\", \"target\": \"" + target + "\"}]";
  const auto source = NewStringSource(manifest);
  Workspace::ManifestRequest request;
  request.source = source.get();
  (void)Value(workspace.StageManifest(request));
}

Slot Scene::SlotOf(const std::string& path) {
  const RepoPath parsed = Value(RepoPath::Parse(path));
  return {Value(workspace_->tree().Find(parsed.parent())).entry.child, std::string(parsed.name())};
}

StageOutcome Scene::Write(const std::string& path, const std::string& text) {
  const std::string file = repository_->incoming() + "/test";
  WriteFile(file, text);
  StageHow how;
  how.origin = Origin::kWritten;
  how.mtime_ns = NowNs();
  how.keep_mtime = true;
  return Value(workspace_->StageFile(SlotOf(path), file, HashOf(text), text.size(), how)).outcome;
}

void Scene::Remove(const std::string& path) { Ok(workspace_->RemovePaths({Value(RepoPath::Parse(path))})); }

void Scene::Rename(const std::string& from, const std::string& to) {
  Ok(workspace_->Rename(SlotOf(from), SlotOf(to), RenameMode::kReplace));
}

void Scene::MakeFolder(const std::string& path) { Ok(workspace_->MakeFolder(SlotOf(path)).WithoutValue()); }

void Scene::Unstage(const std::string& path) {
  Ok(workspace_->Unstage({Value(RepoPath::Parse(path))}).WithoutValue());
}

std::string Scene::Commit(const std::string& message) {
  return Value(CommitStaged(*workspace_, message, {"Ann", "ann@example.org"}, std::nullopt)).commit.id;
}

std::unique_ptr<Workspace> Scene::Other() {
  const WorkspaceInfo info = Value(Workspaces(*repository_).Create("main", std::nullopt, std::nullopt));
  return Value(Workspace::Open(*repository_, info.uid));
}

bool Scene::Exists(const std::string& path) {
  return workspace_->tree().Find(Value(RepoPath::Parse(path))).has_value();
}

std::string Scene::ReadFrom(Tree& tree, const std::string& path) {
  const Located located = Value(tree.Find(Value(RepoPath::Parse(path))));
  REQUIRE(located.entry.kind == EntryKind::kFile);
  const VersionInfo version = Value(repository_->GetVersion(located.entry.version));
  const auto bytes = Value(repository_->versions().Open(version.content.sha256));
  std::string text(bytes->size_bytes(), '\0');
  REQUIRE(Value(bytes->ReadAt(text.data(), text.size(), 0)) == text.size());
  return text;
}

void Scene::AddFiles(Tree& tree, FolderId folder, const std::string& path, std::map<std::string, std::string>* files) {
  std::string after;
  for (;;) {
    const auto page = Value(tree.List(folder, after, 3));
    for (const auto& [name, entry] : page) {
      const std::string at = path.empty() ? name : path + '/' + name;
      if (entry.kind == EntryKind::kFolder) AddFiles(tree, entry.child, at, files);
      if (entry.kind == EntryKind::kFile) (*files)[at] = ReadFrom(tree, at);
      if (entry.kind == EntryKind::kSymlink) (*files)[at] = "-> " + entry.target;
    }
    if (page.size() < 3) return;
    after = page.back().name;
  }
}

std::map<std::string, std::string> Scene::FilesOf(Tree& tree) {
  std::map<std::string, std::string> files;
  AddFiles(tree, kRootFolder, "", &files);
  return files;
}

Revision Scene::At(const std::string& revision) {
  return Value(ResolveRevision(*Value(repository_->index().Read()), revision));
}

std::map<std::string, std::string> Scene::FilesAt(const std::string& revision) {
  return FilesOf(*Value(OpenTree(*repository_, At(revision).commit)));
}

Lines Scene::StatusLines() {
  std::string text;
  Ok(WriteStatusText(*workspace_, {}, [&](std::string_view piece) -> Status {
    text += piece;
    return {};
  }));
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

void Scene::Close() {
  workspace_.reset();
  repository_.reset();
}

void Scene::Reopen() {
  Close();
  repository_ = Value(OpenRepository(root_.path(), name()));
  workspace_ = Value(Workspace::Open(*repository_, "w"));
}

}  // namespace stagefs::test
