#include "stagefs/working_copy.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>

#include "durable/durable_change.h"
#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"
#include "stagefs/workspace.h"

namespace stagefs {
namespace {

std::string Escape(std::string_view path) {
  std::string escaped;
  for (const char c : path) {
    if (c == '\\') escaped += "\\\\";
    else if (c == '\n') escaped += "\\n";
    else escaped += c;
  }
  return escaped;
}

std::string Unescape(std::string_view escaped) {
  std::string path;
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] == '\\' && i + 1 < escaped.size()) {
      path += escaped[++i] == 'n' ? '\n' : escaped[i];
    } else {
      path += escaped[i];
    }
  }
  return path;
}

int64_t ParseInt(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The last line of each file counts. A torn last line, or one of a file that is gone, is passed over.
std::map<std::string, WorkingCopyPlace> ReadPlaces(const std::string& instance) {
  std::map<std::string, WorkingCopyPlace> places;
  const auto text = ReadWholeFile(instance + kWorkingCopyPlaces);
  if (!text) return places;
  std::string_view rest = *text;
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    std::string_view line = rest.substr(0, end);
    std::string_view fields[4];
    bool whole = true;
    for (auto& field : fields) {
      const size_t tab = line.find('\t');
      if (tab == std::string_view::npos) {
        whole = false;
        break;
      }
      field = line.substr(0, tab);
      line.remove_prefix(tab + 1);
    }
    if (!whole) continue;
    const std::string file = instance + '/' + std::string(fields[0]);
    if (fields[1] == "-") {
      places.erase(file);
      continue;
    }
    WorkingCopyPlace place;
    place.file = file;
    place.state = fields[1] == "r" ? WorkingCopyState::kRefused : WorkingCopyState::kWriting;
    place.workspace = ParseInt(fields[2]);
    place.path = Unescape(line);
    const size_t slash = place.path.rfind('/');
    place.slot = {ParseInt(fields[3]),
                  slash == std::string::npos ? place.path : place.path.substr(slash + 1)};
    places[file] = std::move(place);
  }
  return places;
}

std::vector<std::string> Instances(const Repository& repository) {
  std::vector<std::string> instances;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(repository.folder() + "/incoming", error)) {
    if (entry.is_directory(error)) instances.push_back(entry.path().string());
  }
  return instances;
}

// Stages a copy that fsync() kept if its path still is what it was when it was opened; one that was staged
// already, just before the crash, is done.
Result<bool> Restage(Repository& repository, const WorkingCopyRow& row, const std::string& file) {
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> info, reader->GetWorkspace(row.workspace));
  reader.reset();
  if (!info) return false;
  STAGEFS_ASSIGN_OR_RETURN(const auto workspace, Workspace::Open(repository, info->uid));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> now, workspace->tree().LookUp(row.slot));
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(file, O_RDONLY));
  STAGEFS_ASSIGN_OR_RETURN(const HashedFile hashed, HashFile(fd.get()));
  if (now && now->version != 0) {
    STAGEFS_ASSIGN_OR_RETURN(reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, reader->GetVersion(now->version));
    reader.reset();
    if (version && version->content == hashed.id) {
      STAGEFS_RETURN_IF_ERROR(RemoveFile(file));
      return true;
    }
  }
  const bool unchanged = row.base_version ? now && now->version == *row.base_version : !now;
  if (!unchanged || !workspace->tree().PathOf(row.slot.folder)) return false;
  StageHow how;
  how.origin = Origin::kWritten;
  STAGEFS_RETURN_IF_ERROR(
      workspace->StageFile(row.slot, file, hashed.id, hashed.size_bytes, how).WithoutValue());
  return true;
}

Status MoveToRecovered(Repository& repository, const WorkingCopyPlace& place) {
  STAGEFS_ASSIGN_OR_RETURN(auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<WorkspaceInfo> info, reader->GetWorkspace(place.workspace));
  reader.reset();
  WorkspaceInfo gone;
  gone.uid = "deleted-" + std::to_string(place.workspace);
  const std::string base = RecoveredFolder(repository, info ? *info : gone) + '/' + place.path;
  STAGEFS_RETURN_IF_ERROR(MakeFolders(base.substr(0, base.rfind('/'))));
  std::string target = base;
  for (int n = 2; access(target.c_str(), F_OK) == 0; ++n) target = base + ".recovered-" + std::to_string(n);
  STAGEFS_RETURN_IF_ERROR(RenameFile(place.file, target));
  return SyncFolder(base.substr(0, base.rfind('/')));
}

// REQUIRES: we hold the lock of `instance`.
Status RecoverInstance(Repository& repository, const std::string& instance,
                       const std::map<std::string, WorkingCopyRow>& kept, RecoveryReport* report) {
  const auto places = ReadPlaces(instance);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(instance, error)) {
    const std::string file = entry.path().string();
    const auto row = kept.find(file.substr(file.rfind('/', file.rfind('/') - 1) + 1));
    const auto place = places.find(file);
    bool restaged = false;
    if (row != kept.end()) {
      STAGEFS_ASSIGN_OR_RETURN(restaged, Restage(repository, row->second, file));
    }
    if (restaged) {
      ++report->restaged;
    } else if (place != places.end() && entry.file_size(error) > 0) {
      STAGEFS_RETURN_IF_ERROR(MoveToRecovered(repository, place->second));
      ++report->recovered;
    } else if (!file.ends_with(kWorkingCopyPlaces)) {
      STAGEFS_RETURN_IF_ERROR(RemoveFile(file));
    }
    if (row != kept.end()) {
      STAGEFS_ASSIGN_OR_RETURN(
          const auto change, DurableChange::Begin(repository, Durability::kPowerLoss, Turn::Everything()));
      STAGEFS_RETURN_IF_ERROR(change->index().EraseWorkingCopy(row->first));
      STAGEFS_RETURN_IF_ERROR(change->Commit());
    }
  }
  unlink((instance + kWorkingCopyPlaces).c_str());
  rmdir(instance.c_str());
  return {};
}

}  // namespace

Result<std::unique_ptr<WorkingCopies>> WorkingCopies::Open(Repository& repository) {
  auto copies = std::unique_ptr<WorkingCopies>(new WorkingCopies(repository));
  const std::string path = repository.incoming() + kWorkingCopyPlaces;
  copies->places_fd_ = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (copies->places_fd_ < 0) return ErrnoError("create " + path);
  return copies;
}

WorkingCopies::~WorkingCopies() {
  if (places_fd_ >= 0) close(places_fd_);
}

Result<UniqueFd> WorkingCopies::Create(WorkingCopyPlace* place) {
  place->file = repository_.incoming() + "/wc-" + std::to_string(next_.fetch_add(1));
  STAGEFS_RETURN_IF_ERROR(Note(*place));
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd fd, OpenFd(place->file, O_RDWR | O_CREAT | O_EXCL));
  live_.fetch_add(1);
  return fd;
}

Status WorkingCopies::Note(const WorkingCopyPlace& place) {
  static constexpr char kStates[] = {'w', 'r', '-'};
  std::string line = place.file.substr(place.file.rfind('/') + 1) + '\t' +
                     kStates[static_cast<int>(place.state)] + '\t' + std::to_string(place.workspace) + '\t' +
                     std::to_string(place.slot.folder) + '\t' + Escape(place.path) + '\n';
  return WriteAll(places_fd_, line.data(), line.size());
}

Status WorkingCopies::Keep(const WorkingCopyPlace& place, std::optional<VersionId> base_version) {
  STAGEFS_RETURN_IF_ERROR(SyncFolder(repository_.incoming()));
  // What was acknowledged earlier survives what survives this.
  STAGEFS_ASSIGN_OR_RETURN(const auto change, DurableChange::Begin(repository_, Durability::kPowerLoss,
                                                                   Turn::NothingElse(), Earlier::kSynced));
  const std::string& file = place.file;
  const std::string key = file.substr(file.rfind('/', file.rfind('/') - 1) + 1);
  STAGEFS_RETURN_IF_ERROR(change->index().PutWorkingCopy({key, place.workspace, place.slot, base_version}));
  return change->Commit();
}

Status WorkingCopies::Forget(const WorkingCopyPlace& place, bool kept) {
  if (kept) {
    const std::string& file = place.file;
    STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kProcessDeath, Turn::NothingElse()));
    STAGEFS_RETURN_IF_ERROR(
        change->index().EraseWorkingCopy(file.substr(file.rfind('/', file.rfind('/') - 1) + 1)));
    STAGEFS_RETURN_IF_ERROR(change->Commit());
  }
  // With nothing left to place, the file can start afresh instead of growing for ever.
  if (live_.fetch_sub(1) == 1 && lseek(places_fd_, 0, SEEK_END) > (1 << 20)) {
    if (ftruncate(places_fd_, 0) != 0) return ErrnoError("shorten places");
    return {};
  }
  WorkingCopyPlace gone = place;
  gone.state = WorkingCopyState::kGone;
  return Note(gone);
}

Result<std::vector<WorkingCopyPlace>> ListWorkingCopyPlaces(Repository& repository) {
  std::vector<WorkingCopyPlace> places;
  for (const std::string& instance : Instances(repository)) {
    for (auto& [file, place] : ReadPlaces(instance)) {
      if (access(file.c_str(), F_OK) == 0) places.push_back(std::move(place));
    }
  }
  return places;
}

Status RecoverWorkingCopies(Repository& repository, RecoveryReport* report) {
  std::map<std::string, WorkingCopyRow> kept;
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(auto rows, reader->ListWorkingCopies());
    for (WorkingCopyRow& row : rows) kept[row.file] = std::move(row);
  }
  for (const std::string& instance : Instances(repository)) {
    if (instance == repository.incoming()) continue;
    const auto lock = OpenFd(instance + ".lock", O_RDWR | O_CREAT);
    if (!lock) return lock.error();
    if (flock(lock->get(), LOCK_EX | LOCK_NB) != 0) continue;  // Its process lives.
    STAGEFS_RETURN_IF_ERROR(RecoverInstance(repository, instance, kept, report));
    unlink((instance + ".lock").c_str());
  }
  return {};
}

std::string RecoveredFolder(const Repository& repository, const WorkspaceInfo& workspace) {
  return repository.folder() + "/recovered/" + workspace.uid;
}

Result<std::vector<std::string>> ListRecovered(Repository& repository, const WorkspaceInfo& workspace) {
  std::vector<std::string> paths;
  const std::string folder = RecoveredFolder(repository, workspace);
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
    if (entry.is_regular_file(error)) paths.push_back(entry.path().string().substr(folder.size() + 1));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Status RetryRecovered(Repository& repository, const WorkspaceInfo& info, const std::string& path) {
  const std::string file = RecoveredFolder(repository, info) + '/' + path;
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath target, RepoPath::Parse(path));
  const auto fd = OpenFd(file, O_RDONLY);
  if (!fd && fd.error().code() == ErrorCode::kNotFound) {
    return Error(ErrorCode::kNotFound, "nothing at " + ToDisplayUtf8(path) + " was refused or recovered");
  }
  if (!fd) return fd.error();
  STAGEFS_ASSIGN_OR_RETURN(const HashedFile hashed, HashFile(fd->get()));
  STAGEFS_ASSIGN_OR_RETURN(IncomingFile copy, repository.NewIncoming());
  STAGEFS_RETURN_IF_ERROR(CopyBytes(fd->get(), copy.fd(), hashed.size_bytes));
  STAGEFS_ASSIGN_OR_RETURN(const auto workspace, Workspace::Open(repository, info.uid));
  STAGEFS_RETURN_IF_ERROR(SyncFd(copy.fd(), copy.path()));
  STAGEFS_RETURN_IF_ERROR(repository.versions().Send(hashed.id.sha256, copy.path()));
  VersionInfo version;
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto change,
                             DurableChange::Begin(repository, Durability::kPowerLoss, Turn::Everything()));
    STAGEFS_ASSIGN_OR_RETURN(version, change->Take(copy.path(), hashed.id, hashed.size_bytes, /*synced=*/true));
    STAGEFS_RETURN_IF_ERROR(change->Commit());
    copy.Release();
  }
  STAGEFS_RETURN_IF_ERROR(workspace->StagePath(target, ToHex(version.content.sha256), {}).WithoutValue());
  return DismissRecovered(repository, info, path);
}

Status DismissRecovered(Repository& repository, const WorkspaceInfo& workspace, const std::string& path) {
  STAGEFS_RETURN_IF_ERROR(RepoPath::Parse(path).WithoutValue());
  std::string at = RecoveredFolder(repository, workspace) + '/' + path;
  auto removed = RemoveFile(at);
  if (!removed) return Error(removed.error().code(), "no recovered file " + ToDisplayUtf8(path));
  // Folders that held it alone go with it.
  for (at.resize(at.rfind('/')); at.size() > repository.folder().size(); at.resize(at.rfind('/'))) {
    if (rmdir(at.c_str()) != 0) break;
  }
  return {};
}

}  // namespace stagefs
