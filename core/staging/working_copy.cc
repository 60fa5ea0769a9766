#include "stagefs/working_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "durable/durable_change.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr std::string_view kCopyPrefix = "wc-";
constexpr std::string_view kPlacePrefix = "place-";
constexpr char kPlacesOf010[] = "places";
constexpr int64_t kPlacesBeforehand = 16;
constexpr size_t kFreePlacesMax = 64;

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

FileMode ParseMode(std::string_view word) {
  if (word.size() != 3) return {word == "1", std::nullopt};
  uint16_t bits = 0;
  for (const char digit : word) bits = static_cast<uint16_t>(bits << 3 | ((digit - '0') & 7));
  return {(bits & 0111) != 0, bits};
}

std::string TextOf(const FileMode& mode) {
  if (!mode.permissions) return mode.executable ? "1" : "0";
  std::string text;
  for (const int shift : {6, 3, 0}) text += static_cast<char>('0' + ((*mode.permissions >> shift) & 7));
  return text;
}

std::string ThisBoot() { return BootId().substr(0, 8); }

struct ParsedState {
  WorkingCopyState state = WorkingCopyState::kWriting;
  ClosedCopy closed;
};

ParsedState ParseState(std::string_view word) {
  std::string_view fields[6];
  if (word == "r") return {WorkingCopyState::kRefused, {}};
  for (std::string_view& field : fields) {
    const size_t comma = word.find(',');
    if (comma == std::string_view::npos) return {};
    field = word.substr(0, comma);
    word.remove_prefix(comma + 1);
  }
  const auto content = HashRef::ParseFull(word);
  const bool known = fields[0] == "c" || fields[0] == "x" || fields[0] == "s";
  if (!known || (word != "-" && (!content || !content->sha256()))) return {};
  ParsedState parsed{fields[0] == "c" ? WorkingCopyState::kClosed : WorkingCopyState::kRewritten, {}};
  parsed.closed.staged = fields[0] == "s";
  parsed.closed.mode = ParseMode(fields[1]);
  parsed.closed.mtime_ns = ParseInt(fields[2]);
  parsed.closed.over = ParseInt(fields[3]);
  parsed.closed.size_bytes = static_cast<uint64_t>(ParseInt(fields[4]));
  parsed.closed.synced = fields[5] == "-" || fields[5] == ThisBoot();
  if (content) parsed.closed.content = *content->sha256();
  return parsed;
}

std::string TextOf(const WorkingCopyPlace& place) {
  if (!place.was_closed()) return place.state == WorkingCopyState::kRefused ? "r" : "w";
  const ClosedCopy& closed = place.closed;
  return std::string(closed.staged ? "s," : place.state == WorkingCopyState::kClosed ? "c," : "x,") +
         TextOf(closed.mode) + ',' +
         std::to_string(closed.mtime_ns) + ',' + std::to_string(closed.over) + ',' +
         std::to_string(closed.size_bytes) + ',' + (closed.synced ? "-" : ThisBoot()) + ',' +
         (closed.content ? ToHex(*closed.content) : "-");
}

std::string NameOf(const std::string& file) { return file.substr(file.rfind('/') + 1); }

std::string TextOf(const WorkingCopyPlace& place, int64_t changes) {
  std::string text = NameOf(place.file);
  text += '\t' + std::to_string(changes) + '\t' + TextOf(place) + '\t';
  text += std::to_string(place.workspace) + '\t' + std::to_string(place.slot.folder) + '\t';
  return text + std::to_string(place.path.size()) + '\n' + place.path;
}

struct ParsedPlace {
  WorkingCopyPlace place;
  int64_t changes = 0;
};

// std::nullopt: it is not whole, or of no copy.
std::optional<ParsedPlace> ParsePlace(std::string_view text, const std::string& instance) {
  const size_t end = text.find('\n');
  std::string_view fields[5], line = text.substr(0, end);
  if (end == std::string_view::npos || !TakeFields(&line, fields, 5)) return std::nullopt;
  if (!IsWorkingCopyName(fields[0])) return std::nullopt;
  const std::string_view path = text.substr(end + 1);
  const auto path_bytes = static_cast<uint64_t>(ParseInt(line));
  if (path.size() < path_bytes) return std::nullopt;
  ParsedPlace parsed;
  parsed.changes = ParseInt(fields[1]);
  parsed.place.file = instance + '/' + std::string(fields[0]);
  const ParsedState state = ParseState(fields[2]);
  parsed.place.state = state.state;
  parsed.place.closed = state.closed;
  parsed.place.workspace = ParseInt(fields[3]);
  parsed.place.path = path.substr(0, path_bytes);
  parsed.place.slot = SlotOf(ParseInt(fields[4]), parsed.place.path);
  return parsed;
}

// It grows by a byte before what was closed in the instance is synced: what was noted until then must stay until what
// replaces it is durable, too.
std::string SyncsOf(const std::string& instance) { return instance + ".lock"; }

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

// A last line that is cut short is passed over.
void ReadPlacesOf010(const std::string& instance, std::string_view text,
                     std::map<std::string, WorkingCopyPlace>* places) {
  for (size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
    std::string_view fields[4], line = text.substr(0, end);
    if (!TakeFields(&line, fields, 4)) continue;
    const std::string file = instance + '/' + std::string(fields[0]);
    if (fields[1] == "-") {
      places->erase(file);
      continue;
    }
    const std::string path = Unescape(line);
    const Slot slot = SlotOf(ParseInt(fields[3]), path);
    (*places)[file] = {file, ParseState(fields[1]).state, ParseInt(fields[2]), slot, path, {}, {}};
  }
}

}  // namespace

std::string StageNowMark(const std::string& instance) { return instance + "/stage-now"; }

bool IsWorkingCopyName(std::string_view name) {
  return name.starts_with(kCopyPrefix) && name.find('.') == std::string_view::npos;
}

std::string WorkingCopyKey(const std::string& file) { return file.substr(file.rfind('/', file.rfind('/') - 1) + 1); }

Result<std::unique_ptr<WorkingCopies>> WorkingCopies::Open(Repository& repository) {
  return std::unique_ptr<WorkingCopies>(new WorkingCopies(repository));
}

WorkingCopies::~WorkingCopies() {
  RemoveLeft();
  unlink(StageNowMark(repository_.incoming()).c_str());
  auto places = places_.Lock();
  for (const int64_t place : places->free) unlink(PathOf(place).c_str());
}

std::string WorkingCopies::PathOf(int64_t place) const {
  return repository_.incoming() + '/' + std::string(kPlacePrefix) + std::to_string(place);
}

int64_t WorkingCopies::AnyPlace() {
  auto places = places_.Lock();
  // The first time of all. Where the disk is full already they are made when there is room.
  for (; places->next <= kPlacesBeforehand; ++places->next) {
    (void)Write(places->next, "\n", How::kWritten);
    places->free.push_back(places->next);
  }
  if (places->free.empty()) return places->next++;
  const int64_t place = places->free.back();
  places->free.pop_back();
  return place;
}

void WorkingCopies::Free(int64_t place) {
  {
    auto places = places_.Lock();
    if (places->free.size() < kFreePlacesMax) {
      places->free.push_back(place);
      return;
    }
  }
  unlink(PathOf(place).c_str());
}

Status WorkingCopies::Write(int64_t place, const std::string& text, How how) {
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(PathOf(place), O_WRONLY | O_CREAT));
  if (how == How::kWritten) return WriteAllAt(fd.get(), text.data(), text.size(), 0);
  const std::string unmarked = '-' + text.substr(1);
  STAGEFS_RETURN_IF_ERROR(WriteAllAt(fd.get(), unmarked.data(), unmarked.size(), 0));
  return WriteAllAt(fd.get(), text.data(), 1, 0);
}

// Its name goes first: a place that is written over for another copy must not be missed by this one.
Status WorkingCopies::RemoveNow(const WorkingCopyPlace& place, bool kept) {
  const bool outlives_power = kept || MayBeDurable(place);
  if (outlives_power) STAGEFS_RETURN_IF_ERROR(repository_.SyncAll());
  STAGEFS_RETURN_IF_ERROR(RemoveFile(place.file));
  if (outlives_power && place.was_closed()) (void)SyncNames();
  (void)Forget(place, kept);
  return {};
}

void WorkingCopies::RemoveStaged(const WorkingCopyPlace& place, bool kept) {
  if (RemoveNow(place, kept)) return;
  Left left{place, kept};
  if (place.was_closed()) {
    left.place.state = WorkingCopyState::kRewritten;
    left.place.closed.staged = true;
  }
  (void)Note(left.place);
  left_.Lock()->push_back(std::move(left));
}

void WorkingCopies::RemoveLeft() {
  if (left_.Lock()->empty() || !repository_.SyncAll()) return;
  std::vector<Left> left = std::exchange(*left_.Lock(), {});
  std::erase_if(left, [&](const Left& copy) { return RemoveNow(copy.place, copy.kept).has_value(); });
  auto waiting = left_.Lock();
  waiting->insert(waiting->end(), left.begin(), left.end());
}

Result<UniqueFd> WorkingCopies::Create(WorkingCopyPlace* place) {
  RemoveLeft();
  place->file = repository_.incoming() + '/' + std::string(kCopyPrefix) + std::to_string(next_.fetch_add(1));
  const int64_t at = AnyPlace();
  const Status written = Write(at, TextOf(*place, 0), How::kWritten);  // Nobody looks for this copy yet.
  auto copy = written ? OpenFd(place->file, O_RDWR | O_CREAT | O_EXCL) : Result<UniqueFd>(written.error());
  if (copy) places_.Lock()->uses[NameOf(place->file)] = {at, 0, CountSyncs(), false, {}};
  else Free(at);
  return copy;
}

uint64_t WorkingCopies::CountSyncs() const {
  struct stat mark {};
  return stat(SyncsOf(repository_.incoming()).c_str(), &mark) == 0 ? static_cast<uint64_t>(mark.st_size) : 0;
}

bool WorkingCopies::MayBeDurable(const WorkingCopyPlace& place) {
  const uint64_t syncs = CountSyncs();
  auto places = places_.Lock();
  const auto known = places->uses.find(NameOf(place.file));
  if (known == places->uses.end()) return true;
  return known->second.durable || !known->second.held.empty() || known->second.syncs != syncs;
}

// What was synced, by this process or another one, may not be lost with what is not: it is neither written over nor
// given to another copy.
Status WorkingCopies::Note(const WorkingCopyPlace& place) {
  Places::Use use;
  {
    auto places = places_.Lock();
    const auto known = places->uses.find(NameOf(place.file));
    if (known == places->uses.end()) return Error(ErrorCode::kNotFound, "no working copy " + place.file);
    use = known->second;
  }
  const int64_t at = AnyPlace();
  const std::string text = TextOf(place, use.changes + 1);
  const Status elsewhere = Write(at, text, How::kMarkedLast);
  // On a full disk over the old one, which has its room.
  const Status noted = elsewhere ? elsewhere : Write(use.place, text, How::kWritten);
  // Who syncs from now on sees this one.
  const uint64_t syncs = CountSyncs();
  Places::Use now{elsewhere ? at : use.place, use.changes + 1, syncs, false, use.held};
  const bool was_durable = elsewhere && (use.durable || syncs != use.syncs);
  if (was_durable) now.held.push_back(use.place);
  places_.Lock()->uses[NameOf(place.file)] = std::move(now);
  if (!elsewhere) Free(at);
  else if (!was_durable) Free(use.place);
  return noted;
}

Status WorkingCopies::SyncNames() {
  STAGEFS_RETURN_IF_ERROR(SyncFolder(repository_.incoming()));
  if (folder_synced_) return {};
  STAGEFS_RETURN_IF_ERROR(SyncFolder(repository_.folder() + "/incoming"));
  folder_synced_ = true;
  return {};
}

Status WorkingCopies::SyncPlace(const WorkingCopyPlace& place) {
  Places::Use use;
  {
    auto places = places_.Lock();
    const auto known = places->uses.find(NameOf(place.file));
    if (known == places->uses.end()) return Error(ErrorCode::kNotFound, "no working copy " + place.file);
    use = known->second;
  }
  const std::string path = PathOf(use.place);
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(path, O_WRONLY));
  if (!SyncFd(fd.get(), path)) {
    // The disk may lack what memory has, and the kernel takes it for written.
    STAGEFS_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
    STAGEFS_RETURN_IF_ERROR(WriteAllAt(fd.get(), text.data(), text.size(), 0));
    STAGEFS_RETURN_IF_ERROR(SyncFd(fd.get(), path));
  }
  STAGEFS_RETURN_IF_ERROR(SyncNames());
  {
    auto places = places_.Lock();
    Places::Use& now = places->uses[NameOf(place.file)];
    now.durable = true;
    now.held.clear();
  }
  for (const int64_t older : use.held) Free(older);
  return {};
}

Status WorkingCopies::Keep(const WorkingCopyPlace& place, std::optional<VersionId> base_version) {
  STAGEFS_RETURN_IF_ERROR(SyncNames());
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
  Places::Use use;
  {
    auto places = places_.Lock();
    const auto known = places->uses.find(NameOf(place.file));
    if (known == places->uses.end()) return {};
    use = known->second;
    places->uses.erase(known);
  }
  Free(use.place);
  for (const int64_t older : use.held) Free(older);
  return {};
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

Result<KnownPlaces> ReadPlaces(const std::string& instance) {
  KnownPlaces known;
  std::map<std::string, std::vector<ParsedPlace>> all;
  STAGEFS_ASSIGN_OR_RETURN(const auto names, ListNames(instance));
  for (const std::string& name : names) {
    const bool of_010 = name == kPlacesOf010;
    if (!of_010 && !name.starts_with(kPlacePrefix)) continue;
    const auto text = ReadWholeFile(instance + '/' + name);
    if (!text && text.error().code() != ErrorCode::kNotFound) known.trouble = text.error();
    if (!text) continue;
    if (of_010) ReadPlacesOf010(instance, *text, &known.of);
    auto parsed = of_010 ? std::nullopt : ParsePlace(*text, instance);
    if (!parsed) continue;
    parsed->place.noted_in = instance + '/' + name;
    all[parsed->place.file].push_back(std::move(*parsed));
  }
  for (auto& [file, places] : all) {
    std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.changes > b.changes; });
    known.of[file] = places.front().place;
    for (size_t i = 1; i < places.size(); ++i) known.earlier[file].push_back(places[i].place);
  }
  std::erase_if(known.of, [&](const auto& place) {
    return !std::binary_search(names.begin(), names.end(), NameOf(place.first));
  });
  return known;
}

Result<bool> IsAsClosed(const WorkingCopyPlace& place, const HashedFile& now) {
  const ClosedCopy& closed = place.closed;
  if (!closed.content) {
    return closed.synced && (place.state == WorkingCopyState::kRewritten || now.size_bytes == closed.size_bytes);
  }
  if (now.size_bytes <= closed.size_bytes) return now.id.sha256 == *closed.content;
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFd(place.file, O_RDONLY));
  STAGEFS_ASSIGN_OR_RETURN(const HashedFile first, HashFile(fd.get(), closed.size_bytes));
  return first.id.sha256 == *closed.content;
}

Result<std::vector<WorkingCopyPlace>> ListWorkingCopyPlaces(Repository& repository) {
  std::vector<WorkingCopyPlace> places;
  STAGEFS_ASSIGN_OR_RETURN(const auto instances, ListInstances(repository));
  for (const std::string& instance : instances) {
    const auto known = ReadPlaces(instance);
    if (!known && known.error().code() == ErrorCode::kNotFound) continue;  // It ended.
    if (!known) return known.error();
    STAGEFS_RETURN_IF_ERROR(known->trouble);
    for (const auto& [file, place] : known->of) places.push_back(place);
  }
  return places;
}

namespace {

// By the copies' files.
Result<std::map<std::string, WorkingCopyPlace>> ListHashedClosed(Repository& repository) {
  STAGEFS_ASSIGN_OR_RETURN(const auto places, ListWorkingCopyPlaces(repository));
  std::map<std::string, WorkingCopyPlace> closed;
  for (const WorkingCopyPlace& place : places) {
    if (place.was_closed() && place.closed.content) closed.emplace(place.file, place);
  }
  return closed;
}

// Once a sync failed its holder writes all of it to another file, when it comes to that; what was closed is written
// again where it is.
Status SyncClosedCopy(int copy, const WorkingCopyPlace& place) {
  const Status synced = SyncFile(copy, place.file);
  if (synced) return synced;
  const auto writable = OpenFd(place.file, O_RDWR);
  if (!writable) return {};  // It was staged meanwhile.
  STAGEFS_ASSIGN_OR_RETURN(const HashedFile closed, HashFile(writable->get(), place.closed.size_bytes));
  if (closed.id.sha256 != *place.closed.content) return synced;
  return RewriteFile(writable->get(), place.file, place.closed.size_bytes);
}

}  // namespace

Status SyncClosedCopies(Repository& repository) {
  STAGEFS_ASSIGN_OR_RETURN(auto closed, ListHashedClosed(repository));
  if (closed.empty()) return {};
  std::set<std::string> instances;
  for (const auto& [file, place] : closed) instances.insert(file.substr(0, file.rfind('/')));
  for (const std::string& instance : instances) {
    const auto mark = OpenFd(SyncsOf(instance), O_WRONLY | O_APPEND);
    if (mark) STAGEFS_RETURN_IF_ERROR(WriteAll(mark->get(), "s", 1));
  }
  STAGEFS_ASSIGN_OR_RETURN(closed, ListHashedClosed(repository));
  for (const auto& [file, place] : closed) {
    const auto copy = OpenFd(file, O_RDONLY);
    const auto noted = OpenFd(place.noted_in, O_RDONLY);
    if (!copy || !noted) continue;  // It was staged meanwhile.
    STAGEFS_RETURN_IF_ERROR(SyncClosedCopy(copy->get(), place));
    STAGEFS_RETURN_IF_ERROR(SyncFd(noted->get(), place.noted_in));
  }
  for (const std::string& instance : instances) STAGEFS_RETURN_IF_ERROR(SyncFolder(instance));
  return SyncFolder(repository.folder() + "/incoming");
}

}  // namespace stagefs
