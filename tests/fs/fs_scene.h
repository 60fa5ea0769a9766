// A Scene whose workspace a StageFs shows, used as the kernel would use it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mount/stage_fs.h"
#include "tests/scene.h"

namespace stagefs::test {

using Told = std::vector<std::string>;

// The same repository in another process: nothing that it does is heard of here before somebody looks.
class OtherProcess {
 public:
  explicit OtherProcess(const Scene& scene);
  Workspace& workspace() { return *workspace_; }
  void Stage(const std::string& path, const std::string& text);
  void Remove(const std::string& path);

 private:
  std::unique_ptr<Repository> repository_;
  std::unique_ptr<Workspace> workspace_;
};

class FsScene : public Scene {
 public:
  // No thread of its own tells the kernel anything: Refresh() does. kNobodyWaits: so changes of this process do not
  // wait for it.
  enum class Notifier { kNobodyWaits, kIsWaitedFor };
  explicit FsScene(MountOptions options = {}, Notifier notifier = Notifier::kNobodyWaits);
  ~FsScene();
  StageFs& fs() { return *fs_; }

  // Looked up name by name; 0 if the last one is not there.
  NodeId Find(const std::string& path);
  NodeId FolderOf(const std::string& path);
  static std::string NameOf(const std::string& path);
  ErrorCode WhyNot(const std::string& path);  // The error of looking it up.

  std::unique_ptr<FileHandle> Create(const std::string& path);
  std::unique_ptr<FileHandle> Open(const std::string& path, int flags);
  // Created or opened and emptied, written, flushed, released.
  void Save(const std::string& path, const std::string& text);
  std::string Load(const std::string& path);
  void Move(const std::string& from, const std::string& to, RenameMode mode = RenameMode::kReplace);
  // What a listing hands out, "." and ".." aside.
  std::vector<std::string> Names(const std::string& path);
  Attributes AttributesOf(const std::string& path);
  // What the kernel is told: "entry NAME" and "attributes", "gone NAME" and "changed NAME" of folders.
  Told Refresh();

 private:
  std::unique_ptr<StageFs> fs_;
};

void WriteTo(FileHandle& handle, const std::string& text, off_t offset = 0);
std::string ReadAll(FileHandle& handle);
// Flushed and released, as close() does it.
void CloseFile(std::unique_ptr<FileHandle> handle);

}  // namespace stagefs::test
