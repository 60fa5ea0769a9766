#include "tests/fs/fs_scene.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stagefs/repositories.h"

namespace stagefs::test {

OtherProcess::OtherProcess(const Scene& scene)
    : repository_(Value(OpenRepository(scene.root(), scene.name()))),
      workspace_(Value(Workspace::Open(*repository_, "w"))) {}

void OtherProcess::Stage(const std::string& path, const std::string& text) {
  const std::string hash = ToHex(Value(repository_->PutBytes(text)).content.sha256);
  Ok(workspace_->StagePath(Value(RepoPath::Parse(path)), hash, {}).WithoutValue());
}

void OtherProcess::Remove(const std::string& path) { Ok(workspace_->RemovePaths({Value(RepoPath::Parse(path))})); }

FsScene::FsScene(MountOptions options, Notifier notifier) {
  options.mountpoint = "/nowhere";
  fs_ = Value(StageFs::OfWorkspace(repository(), "w", options));
  Ok(fs_->registration().Note());
  if (notifier == Notifier::kNobodyWaits) fs_->notifier().Stop();
}

FsScene::~FsScene() {
  fs_->Stop();
  (void)fs_->registration().Erase();
}

NodeId FsScene::Find(const std::string& path) {
  NodeId id = kRootNode;
  for (size_t at = 0; at < path.size() && id != 0;) {
    const size_t end = std::min(path.find('/', at), path.size());
    id = Value(fs_->LookUp(id, path.substr(at, end - at))).attributes.id;
    at = end + 1;
  }
  return id;
}

NodeId FsScene::FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? kRootNode : Find(path.substr(0, slash));
}

std::string FsScene::NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

ErrorCode FsScene::WhyNot(const std::string& path) {
  const auto found = fs_->LookUp(FolderOf(path), NameOf(path));
  REQUIRE(!found);
  return found.error().code();
}

std::unique_ptr<FileHandle> FsScene::Create(const std::string& path) {
  return Value(fs_->CreateFile(FolderOf(path), NameOf(path), S_IFREG | 0644)).handle;
}

std::unique_ptr<FileHandle> FsScene::Open(const std::string& path, int flags) {
  return Value(fs_->Open(Find(path), flags));
}

void FsScene::Save(const std::string& path, const std::string& text) {
  const auto found = fs_->LookUp(FolderOf(path), NameOf(path));
  const bool is_there = found && found->attributes.id != 0;
  auto handle = is_there ? Open(path, O_WRONLY | O_TRUNC) : Create(path);
  WriteTo(*handle, text);
  CloseFile(std::move(handle));
}

std::string FsScene::Load(const std::string& path) {
  const auto handle = Open(path, O_RDONLY);
  std::string text = ReadAll(*handle);
  handle->Release();
  return text;
}

void FsScene::Move(const std::string& from, const std::string& to, RenameMode mode) {
  Ok(fs_->Rename(FolderOf(from), NameOf(from), FolderOf(to), NameOf(to), mode));
}

std::vector<std::string> FsScene::Names(const std::string& path) {
  std::vector<std::string> names;
  const auto stream = Value(fs_->OpenFolder(Find(path)));
  Ok(stream->List(0, false, [&](const DirectoryStream::Name& name) {
    if (name.next > 2) names.push_back(name.name);
    return true;
  }));
  return names;
}

Attributes FsScene::AttributesOf(const std::string& path) { return Value(fs_->GetAttributes(Find(path))); }

Told FsScene::Refresh() {
  Told told;
  fs_->notifier().Refresh({[&](NodeId, const std::string& name) { told.push_back("entry " + name); },
                           [&](NodeId) { told.push_back("attributes"); },
                           [&](const std::vector<ChangedFolder>& folders) {
                             for (const ChangedFolder& folder : folders) {
                               for (const std::string& name : folder.gone) told.push_back("gone " + name);
                               for (const std::string& name : folder.changed) told.push_back("changed " + name);
                             }
                           }});
  return told;
}

void WriteTo(FileHandle& handle, const std::string& text, off_t offset) {
  REQUIRE(Value(handle.Write(text.data(), text.size(), offset)) == text.size());
}

std::string ReadAll(FileHandle& handle) {
  std::string text = Value(handle.Read(1 << 20, 0)).bytes;
  const auto file = Value(handle.Read(1 << 20, 0)).file;
  if (!file) return text;
  char buffer[4096];
  for (ssize_t got; (got = pread(file->get(), buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

void CloseFile(std::unique_ptr<FileHandle> handle) {
  Ok(handle->Flush());
  handle->Release();
}

}  // namespace stagefs::test
