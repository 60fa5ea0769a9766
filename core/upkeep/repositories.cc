#include "stagefs/repositories.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "durable/repository_places.h"
#include "recovery.h"
#include "stagefs/parallel.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"
#include "stagefs/working_copy.h"
#include "stagefs/workspaces.h"

namespace stagefs {
namespace {

std::string FolderOf(const std::string& root, const RepositoryName& name) {
  return root + '/' + name.space + '/' + name.name;
}

bool IsRepository(const std::string& folder) {
  return access((folder + "/stagefs.db").c_str(), F_OK) == 0 || access((folder + "/places.json").c_str(), F_OK) == 0;
}

IndexPlace IndexPlaceOf(const std::string& folder, const RepositoryName& name, const RepositoryPlaces& places,
                        WhereMissing missing) {
  return {places.index, name.ToString(), folder + "/stagefs.db", missing};
}

// They may have moved since places.json was written, also by another machine: then the index says where to.
Status FollowVersions(StagingIndex& index, const std::string& folder, RepositoryPlaces* places) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, index.Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto known, reader->GetMeta(kVersionsKey));
  if (!known || *known == VersionsMark(folder, *places)) return {};
  const bool here = *known == VersionsMark(folder, {places->index, ""});
  if (!here && known->starts_with(kFolderOfMachine)) {
    return Error(ErrorCode::kConflict, "the repository has its versions in the " + *known +
                                           ", which no other machine sees: move them there with stagefs migrate");
  }
  places->versions = here ? "" : *known;
  return places->Write(folder);
}

Status AgreeOnVersions(StagingIndex& index, const RepositoryName& name, const std::string& folder,
                       RepositoryPlaces* places) {
  if (!index.IsShared()) return {};
  const std::string ours = VersionsMark(folder, *places);
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index.Begin(Durability::kPowerLoss));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<std::string> known, transaction->GetMeta(kVersionsKey));
  if (!known) {
    STAGEFS_RETURN_IF_ERROR(transaction->PutMeta(kVersionsKey, ours));
    return transaction->Commit();
  }
  if (known == ours) return {};
  if (places->versions.empty() && !known->starts_with(kFolderOfMachine)) {
    places->versions = *known;
    return {};
  }
  const std::string theirs = known->starts_with(kFolderOfMachine) ? "the " + *known : *known;
  return Error(ErrorCode::kConflict, "repository " + name.ToString() + " has its versions in " + theirs + ", not in " +
                                         (places->versions.empty() ? folder : places->versions));
}

Status EraseVersions(VersionStore& versions) {
  std::vector<Sha256> all;
  STAGEFS_RETURN_IF_ERROR(versions.List([&](const Sha256& hash) {
    all.push_back(hash);
    return true;
  }));
  return InParallel(all.size(), kRequestsAtOnce, [&](uint64_t i) -> Status {
    const Status removed = versions.Remove(all[i]);
    if (!removed && removed.error().code() != ErrorCode::kNotFound) return removed;
    return {};
  });
}

// Makes the folder of a repository that is made, or was made elsewhere, in `places`.
Status Join(const std::string& root, const RepositoryName& name, RepositoryPlaces places,
            WhereMissing missing) {
  const std::string folder = FolderOf(root, name);
  // Nothing is left of a repository that its database does not know.
  if (places.index.empty()) STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
  STAGEFS_ASSIGN_OR_RETURN(auto index, OpenStagingIndex(IndexPlaceOf(folder, name, places, missing)));
  STAGEFS_RETURN_IF_ERROR(MakeFolders(folder));
  STAGEFS_RETURN_IF_ERROR(AgreeOnVersions(*index, name, folder, &places));
  STAGEFS_ASSIGN_OR_RETURN(auto versions, OpenVersions(folder, name, places));
  const std::string mark = VersionsMark(folder, places);
  const auto made = AssembleRepository(folder, name, std::move(index), std::move(versions), mark);
  STAGEFS_RETURN_IF_ERROR(made.WithoutValue());
  if (!places.index.empty() || !places.versions.empty()) STAGEFS_RETURN_IF_ERROR(places.Write(folder));
  // The folders above are new too.
  for (const std::string& above : {folder, root + '/' + name.space, root}) {
    STAGEFS_RETURN_IF_ERROR(SyncFolder(above));
  }
  return {};
}

}  // namespace

Status CreateRepository(const std::string& root, const RepositoryName& name, const RepositoryPlaces& places) {
  const std::string folder = FolderOf(root, name);
  if (IsRepository(folder)) return Error(ErrorCode::kExists, "repository " + name.ToString() + " exists");
  return Join(root, name, places, WhereMissing::kMake);
}

Result<std::vector<RepositoryName>> ListRepositories(const std::string& root) {
  std::vector<RepositoryName> names;
  std::error_code error;
  for (const auto& space : std::filesystem::directory_iterator(root, error)) {
    for (const auto& entry : std::filesystem::directory_iterator(space.path(), error)) {
      const auto name =
          RepositoryName::Parse(space.path().filename().string() + '/' + entry.path().filename().string());
      if (name && IsRepository(entry.path())) names.push_back(*name);
    }
  }
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return a.ToString() < b.ToString(); });
  return names;
}

Status DeleteRepository(const std::string& root, const RepositoryName& name) {
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto repository, OpenRepository(root, name));
    STAGEFS_ASSIGN_OR_RETURN(const auto mounts, Workspaces(*repository).LiveMounts());
    if (!mounts.empty()) {
      return Error(ErrorCode::kBusy, "repository " + name.ToString() + " is mounted at " +
                                         mounts.front().mountpoint + ": unmount it first");
    }
    // What other machines see goes first: a repository that is still listed can be deleted again.
    STAGEFS_ASSIGN_OR_RETURN(const RepositoryPlaces places, RepositoryPlaces::Read(repository->folder()));
    if (!places.versions.empty()) STAGEFS_RETURN_IF_ERROR(EraseVersions(repository->versions()));
    STAGEFS_RETURN_IF_ERROR(repository->index().Erase());
  }
  // Out of the way in one step, so that nobody opens a half-removed one.
  const std::string doomed = root + '/' + name.space + "/.deleted-" + RandomHex();
  STAGEFS_RETURN_IF_ERROR(RenameFile(FolderOf(root, name), doomed));
  std::error_code error;
  std::filesystem::remove_all(doomed, error);
  if (error) return Error(ErrorCode::kIo, "remove " + doomed + ": " + error.message());
  return SyncFolder(root + '/' + name.space);
}

Result<std::unique_ptr<Repository>> OpenRepository(const std::string& root, const RepositoryName& name,
                                                     const RepositoryPlaces& places) {
  const std::string folder = FolderOf(root, name);
  if (!IsRepository(folder)) {
    if (places.index.empty()) return Error(ErrorCode::kNotFound, "Repository '" + name.ToString() + "' not found");
    STAGEFS_RETURN_IF_ERROR(Join(root, name, places, WhereMissing::kRefuse));
  }
  if (access(folder.c_str(), W_OK) != 0) return ErrnoError("write to " + folder);
  STAGEFS_ASSIGN_OR_RETURN(RepositoryPlaces known, RepositoryPlaces::Read(folder));
  STAGEFS_ASSIGN_OR_RETURN(auto index, OpenStagingIndex(IndexPlaceOf(folder, name, known, WhereMissing::kRefuse)));
  STAGEFS_RETURN_IF_ERROR(FollowVersions(*index, folder, &known));
  STAGEFS_ASSIGN_OR_RETURN(auto versions, OpenVersions(folder, name, known));
  return AssembleRepository(folder, name, std::move(index), std::move(versions), VersionsMark(folder, known));
}

Result<std::unique_ptr<Repository>> AssembleRepository(const std::string& folder, RepositoryName name,
                                                       std::unique_ptr<StagingIndex> index,
                                                       std::unique_ptr<VersionStore> versions,
                                                       std::string versions_mark) {
  STAGEFS_ASSIGN_OR_RETURN(auto repository,
                           Repository::Assemble(folder, std::move(name), std::move(index), std::move(versions),
                                                std::move(versions_mark)));
  STAGEFS_ASSIGN_OR_RETURN(const RecoveryReport recovery, Recover(*repository));
  repository->Start(recovery);
  return repository;
}

}  // namespace stagefs
