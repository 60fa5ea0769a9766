#include "stagefs/working_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "durable/durable_change.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr std::string_view kCopyPrefix = "wc-";
constexpr std::string_view kPlaceSuffix = ".place";

std::string PlaceOf(const std::string& file) { return file + std::string(kPlaceSuffix); }

int64_t ParseInt(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Slot SlotOf(FolderId folder, const std::string& path) { return {folder, path.substr(path.rfind('/') + 1)}; }

// Takes the fields before the first `count` tabs off `line`.
bool TakeFields(std::string_view* line, std::string_view* fields, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const size_t tab = line->find('\t');
    if (tab == std::string_view::npos) return false;
    fields[i] = line->substr(0, tab);
    line->remove_prefix(tab + 1);
  }
  return true;
}

WorkingCopyState StateOf(std::string_view word) {
  return word == "r" ? WorkingCopyState::kRefused : WorkingCopyState::kWriting;
}

std::string TextOf(const WorkingCopyPlace& place) {
  return std::string(place.state == WorkingCopyState::kRefused ? "r" : "w") + '\t' + std::to_string(place.workspace) +
         '\t' + std::to_string(place.slot.folder) + '\t' + std::to_string(place.path.size()) + '\n' + place.path;
}

std::optional<WorkingCopyPlace> ParsePlace(std::string_view text, const std::string& file) {
  const size_t end = text.find('\n');
  std::string_view fields[3], line = text.substr(0, end);
  if (end == std::string_view::npos || !TakeFields(&line, fields, 3)) return std::nullopt;
  WorkingCopyPlace place;
  place.file = file;
  place.state = StateOf(fields[0]);
  place.workspace = ParseInt(fields[1]);
  const std::string_view path = text.substr(end + 1);
  if (path.size() == static_cast<uint64_t>(ParseInt(line))) place.path = path;
  place.slot = SlotOf(ParseInt(fields[2]), place.path);
  return place;
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

}  // namespace

bool IsWorkingCopyName(std::string_view name) {
  return name.starts_with(kCopyPrefix) && name.find('.') == std::string_view::npos;
}

std::string WorkingCopyKey(const std::string& file) { return file.substr(file.rfind('/', file.rfind('/') - 1) + 1); }

Result<std::unique_ptr<WorkingCopies>> WorkingCopies::Open(Repository& repository) {
  return std::unique_ptr<WorkingCopies>(new WorkingCopies(repository));
}

Result<UniqueFd> WorkingCopies::Create(WorkingCopyPlace* place) {
  place->file = repository_.incoming() + '/' + std::string(kCopyPrefix) + std::to_string(next_.fetch_add(1));
  const std::string text = TextOf(*place);
  Status noted;
  {
    // No copy is there yet, so nobody looks for this.
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(PlaceOf(place->file), O_WRONLY | O_CREAT | O_EXCL));
    noted = WriteAll(fd.get(), text.data(), text.size());
  }
  auto fd = noted ? OpenFd(place->file, O_RDWR | O_CREAT | O_EXCL) : Result<UniqueFd>(noted.error());
  if (!fd) unlink(PlaceOf(place->file).c_str());
  return fd;
}

Status WorkingCopies::Note(const WorkingCopyPlace& place) {
  const std::string text = TextOf(place);
  const std::string fresh = PlaceOf(place.file) + ".new";
  Status noted;
  {
    STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(fresh, O_WRONLY | O_CREAT | O_TRUNC));
    noted = WriteAll(fd.get(), text.data(), text.size());
  }
  if (noted) noted = RenameFile(fresh, PlaceOf(place.file));
  if (!noted) unlink(fresh.c_str());
  return noted;
}

Status WorkingCopies::Keep(const WorkingCopyPlace& place, std::optional<VersionId> base_version) {
  STAGEFS_RETURN_IF_ERROR(SyncFolder(repository_.incoming()));
  if (!folder_synced_) {
    STAGEFS_RETURN_IF_ERROR(SyncFolder(repository_.folder() + "/incoming"));
    folder_synced_ = true;
  }
  // What was acknowledged earlier survives what survives this.
  STAGEFS_ASSIGN_OR_RETURN(const auto change, DurableChange::Begin(repository_, Durability::kPowerLoss,
                                                                   Turn::NothingElse(), Earlier::kSynced));
  STAGEFS_RETURN_IF_ERROR(change->index().PutWorkingCopy(
      {WorkingCopyKey(place.file), place.workspace, place.slot, base_version}));
  return change->Commit();
}

Status WorkingCopies::Forget(const WorkingCopyPlace& place, bool kept) {
  if (kept) {
    STAGEFS_ASSIGN_OR_RETURN(const auto change,
                           DurableChange::Begin(repository_, Durability::kProcessDeath, Turn::NothingElse()));
    STAGEFS_RETURN_IF_ERROR(change->index().EraseWorkingCopy(WorkingCopyKey(place.file)));
    STAGEFS_RETURN_IF_ERROR(change->Commit());
  }
  return RemoveFile(PlaceOf(place.file));
}

Result<std::vector<std::string>> ListInstances(const Repository& repository) {
  const std::string folder = repository.folder() + "/incoming";
  STAGEFS_ASSIGN_OR_RETURN(const auto names, ListNames(folder));
  std::vector<std::string> instances;
  for (const std::string& name : names) {
    struct stat found {};
    const std::string path = folder + '/' + name;
    if (lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) instances.push_back(path);
  }
  return instances;
}

Result<std::optional<WorkingCopyPlace>> ReadPlace(const std::string& file) {
  const auto text = ReadWholeFile(PlaceOf(file));
  if (text) return ParsePlace(*text, file);
  if (text.error().code() == ErrorCode::kNotFound) return std::optional<WorkingCopyPlace>();
  return text.error();
}

Result<std::map<std::string, WorkingCopyPlace>> ReadPlacesOf010(const std::string& instance) {
  std::map<std::string, WorkingCopyPlace> places;
  const auto text = ReadWholeFile(instance + "/places");
  if (!text && text.error().code() == ErrorCode::kNotFound) return places;
  if (!text) return text.error();
  std::string_view rest = *text;  // A last line that is cut short is passed over.
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    std::string_view fields[4], line = rest.substr(0, end);
    if (!TakeFields(&line, fields, 4)) continue;
    const std::string file = instance + '/' + std::string(fields[0]);
    if (fields[1] == "-") {
      places.erase(file);
      continue;
    }
    const std::string path = Unescape(line);
    places[file] = {file, StateOf(fields[1]), ParseInt(fields[2]), SlotOf(ParseInt(fields[3]), path), path};
  }
  return places;
}

Result<std::vector<WorkingCopyPlace>> ListWorkingCopyPlaces(Repository& repository) {
  std::vector<WorkingCopyPlace> places;
  STAGEFS_ASSIGN_OR_RETURN(const auto instances, ListInstances(repository));
  for (const std::string& instance : instances) {
    const auto names = ListNames(instance);
    if (!names && names.error().code() == ErrorCode::kNotFound) continue;  // It ended.
    if (!names) return names.error();
    STAGEFS_ASSIGN_OR_RETURN(const auto of_010, ReadPlacesOf010(instance));
    for (const std::string& name : *names) {
      if (!IsWorkingCopyName(name)) continue;
      const std::string file = instance + '/' + name;
      STAGEFS_ASSIGN_OR_RETURN(const auto place, ReadPlace(file));
      if (place) places.push_back(*place);
      else if (const auto old = of_010.find(file); old != of_010.end()) places.push_back(old->second);
    }
  }
  return places;
}

}  // namespace stagefs
