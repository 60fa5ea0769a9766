#include "stagefs/repositories.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "durable/repository_places.h"
#include "durable/reserve.h"
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

// Nothing can be written there, while all else may be as it should.
bool IsOfDisk(const Error& error) {
  return error.code() == ErrorCode::kReadOnly || error.code() == ErrorCode::kPermission;
}

Status CheckWritable(const std::string& folder) {
  if (access(folder.c_str(), W_OK) == 0) return {};
  const Error error = ErrnoError("write to " + folder);
  if (!IsOfDisk(error)) return error;
  return Error(error.code(), error.message() + ": it can only be read: " +
                                 (error.code() == ErrorCode::kReadOnly
                                      ? "mount its file system writable (mount -o remount,rw), or copy the root"
                                      : "give this user the right to write there, or copy the root"));
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
  const Status written = places->Write(folder);
  return written || !IsOfDisk(written.error()) ? written : Status();
}

// What the index says of where the versions are; `ours` from now on where it says nothing. Only then others are waited
// for.
Result<std::string> AgreedVersions(StagingIndex& index, const std::string& ours) {
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, index.Read());
    STAGEFS_ASSIGN_OR_RETURN(const auto known, reader->GetMeta(kVersionsKey));
    if (known) return *known;
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index.Begin(Durability::kPowerLoss));
  STAGEFS_ASSIGN_OR_RETURN(const auto known, transaction->GetMeta(kVersionsKey));
  if (known) return *known;
  STAGEFS_RETURN_IF_ERROR(transaction->PutMeta(kVersionsKey, ours));
  STAGEFS_RETURN_IF_ERROR(transaction->Commit());
  return ours;
}

Status AgreeOnVersions(StagingIndex& index, const RepositoryName& name, const std::string& folder,
                       RepositoryPlaces* places) {
  if (!index.IsShared()) return {};
  const std::string ours = VersionsMark(folder, *places);
  STAGEFS_ASSIGN_OR_RETURN(const std::string known, AgreedVersions(index, ours));
  if (known == ours) return {};
  if (places->versions.empty() && !known.starts_with(kFolderOfMachine)) {
    places->versions = known;
    return {};
  }
  const std::string theirs = known.starts_with(kFolderOfMachine) ? "the " + known : known;
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

// Anything that somebody may want again: also without an index such a folder is no new repository.
bool HoldsSomething(const std::string& folder) {
  std::error_code error;
  using Walk = std::filesystem::recursive_directory_iterator;
  for (Walk at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code of_file;
    if (at->is_regular_file(of_file) && at->file_size(of_file) > 0) return true;
  }
  return error && error != std::errc::no_such_file_or_directory;
}

Error LostIndex(const std::string& what, const RepositoryName& name) {
  return Error(ErrorCode::kCorrupt, what + ": restore a backup of it, or build one from what is there: stagefs fsck " +
                                        name.ToString() + " --rebuild");
}

Error LostIndexOf(const std::string& folder, const RepositoryName& name) {
  return LostIndex(folder + " holds a repository whose index, stagefs.db, is gone", name);
}

// Who names a place means what is there, not what this disk has by the same name.
Status CheckPlaces(const RepositoryPlaces& wanted, const RepositoryPlaces& known, const std::string& folder,
                   const RepositoryName& name) {
  const auto check = [&](const std::string& url, const std::string& is, const char* option) -> Status {
    if (url.empty() || PlaceOfUrl(url) == PlaceOfUrl(is)) return {};
    return Error(ErrorCode::kConflict,
                 "repository " + name.ToString() + " of this root has its " + option + " in " +
                     (is.empty() ? folder : PlaceOfUrl(is)) + ", not at " + PlaceOfUrl(url) +
                     ": leave out --" + option +
                     ", or use another --root");
  };
  STAGEFS_RETURN_IF_ERROR(check(wanted.index, known.index, "index"));
  return check(wanted.versions, known.versions, "versions");
}

// Lays out in the folder `fresh` what is going to be `folder`.
Status MakeIn(const std::string& fresh, const std::string& folder, const RepositoryName& name, RepositoryPlaces places,
              std::unique_ptr<StagingIndex> index) {
  if (!index) {
    STAGEFS_ASSIGN_OR_RETURN(index, OpenStagingIndex(IndexPlaceOf(fresh, name, places, WhereMissing::kMake)));
  }
  STAGEFS_RETURN_IF_ERROR(AgreeOnVersions(*index, name, folder, &places));
  STAGEFS_ASSIGN_OR_RETURN(auto versions, OpenVersions(fresh, name, places));
  const std::string mark = VersionsMark(folder, places);
  const auto made = AssembleRepository(fresh, name, std::move(index), std::move(versions), mark);
  STAGEFS_RETURN_IF_ERROR(made.WithoutValue());
  if (!places.index.empty() || !places.versions.empty()) STAGEFS_RETURN_IF_ERROR(places.Write(fresh));
  return {};
}

// What is laid out gets its name in one step, so that nobody opens a half of it, and nothing stays of what fails.
Status MakeFolder(const std::string& root, const RepositoryName& name, const RepositoryPlaces& places,
                  std::unique_ptr<StagingIndex> index) {
  const std::string folder = FolderOf(root, name), space = root + '/' + name.space;
  const std::string fresh = space + "/.new-" + RandomHex();
  STAGEFS_RETURN_IF_ERROR(MakeFolders(fresh));
  std::error_code error;
  Status made = MakeIn(fresh, folder, name, places, std::move(index));
  if (made) made = SyncFolder(fresh);
  if (made && !HoldsSomething(folder)) std::filesystem::remove_all(folder, error);  // Empty folders, if any.
  if (made) made = RenameFile(fresh, folder);
  if (!made && (made.error().code() == ErrorCode::kNotEmpty || made.error().code() == ErrorCode::kExists)) {
    made = Error(ErrorCode::kExists, "repository " + name.ToString() + " exists");
  }
  if (!made) {
    std::filesystem::remove_all(fresh, error);
    (void)rmdir(space.c_str());
    return made;
  }
  for (const std::string& above : {space, root}) STAGEFS_RETURN_IF_ERROR(SyncFolder(above));
  return {};
}

// Makes the folder of a repository that is made, or was made elsewhere, in `places`.
Status Join(const std::string& root, const RepositoryName& name, const RepositoryPlaces& places, WhereMissing missing) {
  if (HoldsSomething(FolderOf(root, name))) return LostIndexOf(FolderOf(root, name), name);
  if (places.index.empty()) return MakeFolder(root, name, places, nullptr);
  auto index = OpenStagingIndex(IndexPlaceOf(FolderOf(root, name), name, places, WhereMissing::kRefuse));
  const bool is_new = !index && index.error().code() == ErrorCode::kNotFound && missing == WhereMissing::kMake;
  if (is_new) index = OpenStagingIndex(IndexPlaceOf(FolderOf(root, name), name, places, WhereMissing::kMake));
  if (!index) return index.error();
  const Status made = MakeFolder(root, name, places, std::move(*index));
  if (!made && is_new) {
    auto unfinished = OpenStagingIndex(IndexPlaceOf(FolderOf(root, name), name, places, WhereMissing::kRefuse));
    if (unfinished) (void)(*unfinished)->Erase();
  }
  return made;
}

// `only_read`: why nothing may be written.
Result<std::unique_ptr<Repository>> OpenFolder(const std::string& folder, const RepositoryName& name,
                                               const RepositoryPlaces& places, const std::optional<Error>& only_read) {
  STAGEFS_ASSIGN_OR_RETURN(RepositoryPlaces known, RepositoryPlaces::Read(folder));
  IndexPlace place = IndexPlaceOf(folder, name, known, WhereMissing::kRefuse);
  place.only_read = only_read;
  auto index = OpenStagingIndex(place);
  if (!index && known.index.empty()) {
    if (index.error().code() == ErrorCode::kNotFound) return LostIndexOf(folder, name);
    if (index.error().code() == ErrorCode::kCorrupt) return LostIndex(index.error().message(), name);
  }
  if (!index) return index.error();
  STAGEFS_RETURN_IF_ERROR(FollowVersions(**index, folder, &known));
  STAGEFS_RETURN_IF_ERROR(CheckPlaces(places, known, folder, name));
  STAGEFS_ASSIGN_OR_RETURN(auto versions, OpenVersions(folder, name, known));
  const std::string mark = VersionsMark(folder, known);
  if (!only_read) return AssembleRepository(folder, name, std::move(*index), std::move(versions), mark);
  auto repository =
      Repository::AssembleToRead(folder, name, std::move(*index), std::move(versions), mark, *only_read);
  STAGEFS_ASSIGN_OR_RETURN(const RecoveryReport left, CountLeft(*repository));
  repository->Start(left);
  return repository;
}

}  // namespace

Status CreateRepository(const std::string& root, const RepositoryName& name, const RepositoryPlaces& places) {
  const std::string folder = FolderOf(root, name);
  // An index of no bytes, and nothing else: what a create that was killed long ago left.
  if (IsRepository(folder) && HoldsSomething(folder)) {
    STAGEFS_ASSIGN_OR_RETURN(const RepositoryPlaces known, RepositoryPlaces::Read(folder));
    if (known.index.empty() && access((folder + "/stagefs.db").c_str(), F_OK) != 0) return LostIndexOf(folder, name);
    return Error(ErrorCode::kExists, "repository " + name.ToString() + " exists");
  }
  return Join(root, name, places, WhereMissing::kMake);
}

Result<std::vector<RepositoryName>> ListRepositories(const std::string& root) {
  std::vector<RepositoryName> names;
  const auto spaces = ListNames(root);
  for (const std::string& space : spaces ? *spaces : std::vector<std::string>()) {
    const auto entries = ListNames(root + '/' + space);
    for (const std::string& entry : entries ? *entries : std::vector<std::string>()) {
      const auto name = RepositoryName::Parse(space + '/' + entry);
      if (name && IsRepository(FolderOf(root, *name))) names.push_back(*name);
    }
  }
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return a.ToString() < b.ToString(); });
  return names;
}

Status DeleteRepository(const std::string& root, const RepositoryName& name, const RepositoryPlaces& at) {
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto repository, OpenRepository(root, name, at));
    STAGEFS_RETURN_IF_ERROR(repository->CheckWritable());
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
    if (HoldsSomething(folder)) return LostIndexOf(folder, name);
    if (places.index.empty()) return Error(ErrorCode::kNotFound, "Repository '" + name.ToString() + "' not found");
    const Status joined = Join(root, name, places, WhereMissing::kRefuse);
    if (!joined && joined.error().code() != ErrorCode::kExists) return joined.error();  // Else just now, by another.
  }
  const Status writable = CheckWritable(folder);
  auto opened = writable ? WithReserve(folder, [&] { return OpenFolder(folder, name, places, std::nullopt); })
                         : Result<std::unique_ptr<Repository>>(writable.error());
  if (opened || !IsOfDisk(opened.error())) return opened;
  // Else it was another place that said no.
  STAGEFS_ASSIGN_OR_RETURN(const RepositoryPlaces known, RepositoryPlaces::Read(folder));
  if (writable && !known.index.empty()) return opened;
  return OpenFolder(folder, name, places, opened.error());
}

Result<std::unique_ptr<Repository>> AssembleRepository(const std::string& folder, RepositoryName name,
                                                       std::unique_ptr<StagingIndex> index,
                                                       std::unique_ptr<VersionStore> versions,
                                                       std::string versions_mark) {
  STAGEFS_ASSIGN_OR_RETURN(auto repository,
                           Repository::Assemble(folder, std::move(name), std::move(index), std::move(versions),
                                                std::move(versions_mark)));
  STAGEFS_ASSIGN_OR_RETURN(const RecoveryReport recovery, Recover(*repository));
  const auto recover_dead = [&repository = *repository] {
    RecoveryReport of_dead;
    RecoverWorkingCopies(repository, &of_dead);
  };
  repository->Start(recovery, recover_dead, [&repository = *repository] { return SyncClosedCopies(repository); });
  return repository;
}

}  // namespace stagefs
