// The words in which staging stories are told.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <memory>
#include <string>
#include <vector>

#include "stagefs/revision.h"
#include "stagefs/status_text.h"
#include "stagefs/workspace.h"
#include "stagefs/status.h"
#include "stagefs/working_copy.h"

namespace stagefs::test {

// A folder that goes with its owner.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

// The value, or a failed test with the error's message.
template <class T>
T Value(Result<T> result);
void Ok(const Status& status);

// Runs `body` in a process of its own that ends as if killed: no destructor runs.
void InKilledProcess(const std::function<void()>& body);

ContentId HashOf(const std::string& text);
void WriteFile(const std::string& path, const std::string& text);
std::string ReadFile(const std::string& path);

// Where the working copy of a file belongs that is at the root of a workspace.
WorkingCopyPlace PlaceAtRoot(Workspace& workspace, const std::string& name);

// A repository with one workspace `w`, used through core.
class Scene {
 public:
  explicit Scene(bool in_memory_store = false);

  Repository& repository() { return *repository_; }
  Workspace& workspace() { return *workspace_; }
  const std::string& root() const { return root_.path(); }
  RepositoryName name() const { return {"t", "r"}; }

  // Stores `text` and returns its SHA-256.
  std::string Put(const std::string& text);
  StageOutcome Stage(const std::string& path, const std::string& text, bool update_timestamp = false);
  StageReport StageManifest(const std::string& manifest, const std::string& directory = "",
                            ManifestOptions options = {}, ManifestFormat format = ManifestFormat::kSniff);
  // As a mount does it: by slot, from a file of its own.
  StageOutcome Write(const std::string& path, const std::string& text);
  // Stages a symbolic link, as a manifest does, in this workspace or in another one.
  void StageLink(const std::string& path, const std::string& target) { StageLinkIn(*workspace_, path, target); }
  void StageLinkIn(Workspace& workspace, const std::string& path, const std::string& target);
  void Remove(const std::string& path);
  void Rename(const std::string& from, const std::string& to);
  void MakeFolder(const std::string& path);
  Slot SlotOf(const std::string& path);
  void Unstage(const std::string& path);
  std::string Commit(const std::string& message = "change");
  // Another workspace on the same branch.
  std::unique_ptr<Workspace> Other();

  bool Exists(const std::string& path);
  std::string Read(const std::string& path) { return ReadFrom(*workspace_, path); }
  std::string ReadFrom(Workspace& workspace, const std::string& path) { return ReadFrom(workspace.tree(), path); }
  std::string ReadFrom(Tree& tree, const std::string& path);
  // Path → content of every file, of the workspace and of its base.
  std::map<std::string, std::string> AllFiles() {
    workspace_->AwaitClosed();
    return FilesOf(workspace_->tree());
  }
  std::map<std::string, std::string> BaseFiles() { return FilesOf(workspace_->base()); }
  std::map<std::string, std::string> FilesOf(Tree& tree);
  // What a revision is, and its files.
  Revision At(const std::string& revision);
  std::map<std::string, std::string> FilesAt(const std::string& revision);
  // Lines of `status`.
  std::vector<std::string> StatusLines();

  // Ends the process as far as the repository can tell.
  void Close();
  void Reopen();

 private:
  void AddFiles(Tree& tree, FolderId folder, const std::string& path, std::map<std::string, std::string>* files);

  TempFolder root_;
  std::unique_ptr<Repository> repository_;
  std::unique_ptr<Workspace> workspace_;
};

using Lines = std::vector<std::string>;

}  // namespace stagefs::test

#include "tests/catch.h"

namespace stagefs::test {

template <class T>
T Value(Result<T> result) {
  if (!result) FAIL(result.error().message());
  return std::move(*result);
}

}  // namespace stagefs::test
