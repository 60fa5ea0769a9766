// The repositories below a root: made, found, opened, deleted.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "stagefs/repository.h"
#include "stagefs/repository_places.h"

namespace stagefs {

// Makes a repository in `places`. One that another machine made there is the same repository from then on.
// kExists if this root knows it already; kCorrupt if it holds versions whose index is gone. What fails leaves nothing.
Status CreateRepository(const std::string& root, const RepositoryName& name, const RepositoryPlaces& places = {});
Result<std::vector<RepositoryName>> ListRepositories(const std::string& root);
// With all that is in it, wherever that is. kBusy while it is mounted; kConflict where it is not in `places`.
Status DeleteRepository(const std::string& root, const RepositoryName& name, const RepositoryPlaces& places = {});

// Opens it and recovers what a crash left; where nothing can be written, to read (Repository::CheckWritable()). One
// that this root does not know is looked for in `places`; one that it knows must be in those that are named. Errors:
// kNotFound; kConflict; kUnsupported if a newer stagefs made it; kReadOnly; kCorrupt; kIo.
Result<std::unique_ptr<Repository>> OpenRepository(const std::string& root, const RepositoryName& name,
                                                   const RepositoryPlaces& places = {});
// The same of any index and store, as tests want it; `folder` holds incoming/ and recovered/. `versions_mark`: what the
// index says of where the versions are, if it says so.
Result<std::unique_ptr<Repository>> AssembleRepository(const std::string& folder, RepositoryName name,
                                                       std::unique_ptr<StagingIndex> index,
                                                       std::unique_ptr<VersionStore> versions,
                                                       std::string versions_mark = {});

// Repositories of one root, each opened once and kept open while the Root lives. Safe for concurrent use.
class Root {
 public:
  // Repositories that `folder` does not know are looked for, and made, in `places`.
  explicit Root(std::string folder, RepositoryPlaces places = {});
  ~Root();
  const std::string& folder() const { return folder_; }
  // The handle must not outlive the Root. A repository that was deleted, also by another process, is let go
  // of.
  Result<std::shared_ptr<Repository>> Open(const RepositoryName& name);
  // Those that are open now.
  std::vector<std::shared_ptr<Repository>> Opened();
  // kExists.
  Result<std::shared_ptr<Repository>> Create(const RepositoryName& name);
  // Waits a moment for requests that use it. kNotFound; kBusy while it is mounted or in use.
  Status Delete(const RepositoryName& name);

 private:
  struct State;
  const std::string folder_;
  const RepositoryPlaces places_;
  const std::unique_ptr<State> state_;
};

}  // namespace stagefs
