#include "open_files.h"

#include <algorithm>
#include <mutex>

#include "stagefs/daemon_log.h"
#include "stagefs/interruption.h"
#include "stagefs/posix_env.h"
#include "stagefs/status_text.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

// A close() waits so long for its turn.
constexpr auto kCloseWaitMax = std::chrono::milliseconds(50);
constexpr auto kLookAgainAfter = std::chrono::milliseconds(10);
// What is closed again and again is synced so often.
constexpr auto kSyncedAgainAfter = std::chrono::milliseconds(500);
// What may be gone by then, or closed once more.
constexpr auto kSyncedAfter = std::chrono::milliseconds(300);
constexpr auto kTurnWait = std::chrono::milliseconds(200);
constexpr size_t kManifestsMax = 16;
// An unmount so long for all that were closed; then the next start stages them.
constexpr auto kStopWaitMax = std::chrono::seconds(30);

bool WasInterrupted(const Status& status) { return !status && status.error().code() == ErrorCode::kInterrupted; }

// Of what nobody can be told any more.
void Complain(const Node& node, const Error& error) {
  Log(LogLevel::kError, ShowText(node.slot.name) + " was closed: " + error.message());
}

}  // namespace

NodePlace OpenFiles::PlaceOf(const Node& node) {
  auto table = nodes_.Lock();
  return {node.slot, node.extra().path};
}

Placer OpenFiles::PlacerOf(const std::shared_ptr<Node>& node) {
  return [this, node] { return HomeOf(*node).PlaceOf(PlaceOf(*node)); };
}

Result<std::shared_ptr<OpenFile>> OpenFiles::Open(const std::shared_ptr<Node>& node, bool writes, bool empty) {
  std::shared_ptr<OpenFile> file;
  Entry staged;
  {
    auto table = nodes_.Lock();
    if (writes && !node->attached) return Error(ErrorCode::kStale, "replaced");
    if (!node->open()) table->SetOpen(node, std::make_shared<OpenFile>(env_, node->entry()));
    if (writes) table->SetWritten(node, true);
    file = node->open();
    ++file->handles;
    file->writers += writes;
    staged = node->entry();
  }
  auto locked = LockInterruptibly(file->mutex());
  if (!locked) {
    Release(node, file, writes);
    return locked.error();
  }
  FileLock lock = std::move(*locked);
  // Others may have changed them while it was only read.
  if (writes && !file->waits()) file->SetTraits(staged.mtime_ns, staged.mode());
  Status emptied;
  if (empty) emptied = Empty(node, *file);
  if (!emptied) {
    lock.unlock();
    Release(node, file, writes);
    return emptied.error();
  }
  // Also what is only appended to: it stays open should it leave the store.
  if (!empty) return OpenToRead(std::move(lock), node, file, writes);
  return file;
}

// What was promised is there until what replaces it is.
Status OpenFiles::Empty(const std::shared_ptr<Node>& node, OpenFile& file) {
  if (file.MayBeRewritten(0)) {
    STAGEFS_RETURN_IF_ERROR(file.Rewrite());
    return file.Truncate(0, PlacerOf(node));
  }
  if (file.promised()) STAGEFS_RETURN_IF_ERROR(Stage(node, file));
  return file.Empty();
}

// Where no descriptor is left the program is told now, not when it reads, or by a signal when it looks at a mapping.
// What else is wrong with a version its reader is told, who also waits for what is fetched.
Result<std::shared_ptr<OpenFile>> OpenFiles::OpenToRead(FileLock lock,
                                                        const std::shared_ptr<Node>& node,
                                                        const std::shared_ptr<OpenFile>& file, bool writes) {
  const bool here = !env_.repository.versions().IsElsewhere();
  const Status opened = here ? file->ForReading().WithoutValue() : file->TakeDescriptorForReading();
  if (opened || (opened.error().code() != ErrorCode::kBusy && DescriptorsAreLeft())) return file;
  lock.unlock();
  Release(node, file, writes);
  return opened.error();
}

Result<std::shared_ptr<OpenFile>> OpenFiles::OpenNew(const std::shared_ptr<Node>& node, mode_t mode) {
  {
    auto table = nodes_.Lock();
    ++node->lookups;
    if (!node->open()) table->SetOpen(node, std::make_shared<OpenFile>(env_, std::nullopt));
  }
  STAGEFS_ASSIGN_OR_RETURN(auto file, Open(node, /*writes=*/true, /*empty=*/false));
  std::lock_guard lock(file->mutex());
  file->SetTraits(std::nullopt, nodes_.ModeOfNew(mode, /*is_folder=*/false));
  return file;
}

std::shared_ptr<OpenFile> OpenFiles::FileOf(const std::shared_ptr<Node>& node) {
  if (!node) return nullptr;
  auto table = nodes_.Lock();
  return node->written ? node->open() : nullptr;
}

Attributes OpenFiles::AttributesOf(const std::shared_ptr<Node>& node) {
  std::shared_ptr<OpenFile> file;
  Attributes attributes;
  VersionId version = 0;
  {
    auto table = nodes_.Lock();
    const uint32_t links = table->CountLinks(node);
    attributes = nodes_.AttributesOf(*node);
    if (node->kind == NodeKind::kFile) {
      version = node->entry().version;
      attributes.links = links;
    }
    attributes.fleeting |= node->shares_number;  // What becomes of a link nobody tells the kernel of the others.
    if (node->written) file = node->open();
  }
  if (!file) {
    attributes.blocks = sparse_.BlocksOf(version, attributes.size_bytes);
    return attributes;
  }
  const OpenFile::Shown shown = file->shown();
  // What takes long with the file has it meanwhile.
  if (const FileLock lock(file->mutex(), std::try_to_lock); lock.owns_lock()) {
    attributes.blocks = file->is_version() ? sparse_.BlocksOf(version, shown.size_bytes) : file->blocks();
  }
  attributes.size_bytes = shown.size_bytes;
  attributes.mtime_ns = shown.mtime_ns;
  attributes.permissions = nodes_.PermissionsOf(shown.mode);
  if (shown.detached) attributes.links = 0;
  return attributes;
}

Status OpenFiles::Stage(const std::shared_ptr<Node>& node, OpenFile& file, std::chrono::milliseconds wait_max) {
  FileHome& home = HomeOf(*node);
  const NodePlace place = PlaceOf(*node);
  const VersionId from = file.grown_from();
  bool brought = false;
  const auto begun = GrowingFiles::Clock::now();
  const Status staged = file.Stage(
      [&](const std::string& path, const ContentId& content, uint64_t size_bytes,
          const StageHow& how) -> Result<Entry> {
        STAGEFS_ASSIGN_OR_RETURN(const StagedFile done, home.StageFile(place, path, content, size_bytes, how));
        brought = done.brought;
        return done.entry;
      },
      [&](VersionId version, const StageHow& how) { return home.StageVersion(place, version, how); },
      PlacerOf(node), wait_max);
  if (!staged && file.closed() && IsTakenByOthers(staged.error().code())) {
    STAGEFS_RETURN_IF_ERROR(file.PutAside());
    notifier_.ShowStagedAgain(node);
    return Error(ErrorCode::kStale, "others staged something here since it was closed: it was recovered");
  }
  if (!staged) {
    if (file.refused() && file.part_waits()) (void)StageClosedPart(node, file, kCloseWaitMax);
    return staged;
  }
  MountCounters::Add(counters_.staged);
  growing_.Note({from, file.version(), brought, GrowingFiles::Clock::now() - begun}, home);
  auto table = nodes_.Lock();
  node->SetEntry(file.entry());
  return {};
}

// Others go on to write to the file.
Status OpenFiles::StageClosedPart(const std::shared_ptr<Node>& node, OpenFile& file,
                                  std::chrono::milliseconds wait_max) {
  FileHome& home = HomeOf(*node);
  const NodePlace place = PlaceOf(*node);
  const VersionId from = file.grown_from();
  bool brought = false;
  const auto begun = GrowingFiles::Clock::now();
  STAGEFS_RETURN_IF_ERROR(file.StageClosedPart(
      [&](const std::string& path, const ContentId& content, uint64_t size_bytes,
          const StageHow& how) -> Result<Entry> {
        STAGEFS_ASSIGN_OR_RETURN(const StagedFile done, home.StageFile(place, path, content, size_bytes, how));
        brought = done.brought;
        return done.entry;
      },
      wait_max));
  if (file.version() != from) MountCounters::Add(counters_.staged);
  growing_.Note({from, file.version(), brought, GrowingFiles::Clock::now() - begun}, home);
  auto table = nodes_.Lock();
  node->SetEntry(file.entry());
  return {};
}

Status OpenFiles::StageIfWaiting(const std::shared_ptr<Node>& node, OpenFile& file) {
  if (!file.waits()) return {};
  return Stage(node, file);
}

Status OpenFiles::AwaitHashed(OpenFile* file) {
  while (file != nullptr) {
    {
      STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file->mutex()));
      if (!file->unhashed()) break;
    }
    STAGEFS_RETURN_IF_ERROR(CheckInterrupted());
    SleepFor(kLookAgainAfter);
  }
  return {};
}

Status OpenFiles::StageIfClosed(const std::shared_ptr<Node>& node, OpenFile& file,
                                std::chrono::milliseconds wait_max) {
  if (file.part_waits()) return StageClosedPart(node, file, wait_max);
  return file.closed() && !file.unhashed() ? Stage(node, file, wait_max) : Status();
}

void OpenFiles::StageAllClosed() {
  const std::vector<std::shared_ptr<Node>> nodes = *closed_.Lock();
  for (const auto& node : nodes) {
    const auto file = FileOf(node);
    if (!file) continue;
    const auto lock = LockInterruptibly(file->mutex());
    if (!lock || !StageIfClosed(node, *file, kTurnWait)) return;
  }
}

Status OpenFiles::BeforeWriting(const std::shared_ptr<Node>& node, OpenFile& file, uint64_t offset) {
  if (!file.closed()) return {};
  return file.MayBeRewritten(offset) ? file.Rewrite() : Stage(node, file);
}

// Where much is to be hashed, or the turn does not come in time, the file's own copy keeps what close() promises.
// So does what a child wrote that ended: else a file that many of them write would be stored once for each.
Status OpenFiles::StageOrClose(const std::shared_ptr<Node>& node, OpenFile& file, bool goes_on) {
  const bool here = !env_.repository.versions().IsElsewhere();
  const OpenFile::Until until = UntilWhen(node, file, goes_on);
  const bool waits = until.last_writer || until.due != OpenFile::Clock::time_point();
  if (here && (waits || file.TakesLong()) && CloseUnstaged(node, file, until)) return {};
  const Status staged = Stage(node, file, kCloseWaitMax);
  if (staged || staged.error().code() != ErrorCode::kBusy || file.refused()) return staged;
  return CloseUnstaged(node, file) ? Status() : Stage(node, file);
}

// A file that is appended to by one program after the other is staged now and then: each time stores all of it.
OpenFile::Until OpenFiles::UntilWhen(const std::shared_ptr<Node>& node, OpenFile& file, bool goes_on) {
  OpenFile::Until until;
  if (file.refused()) return until;
  until.last_writer = goes_on && file.mostly_staged();
  if (until.last_writer || !file.only_appended()) return until;
  const auto due = growing_.DueAfter(file.grown_from());
  if (due > OpenFile::Clock::now() && !HomeOf(*node).IsFollowed()) until.due = due;
  return until;
}

bool OpenFiles::CloseUnstaged(const std::shared_ptr<Node>& node, OpenFile& file, const OpenFile::Until& until) {
  const auto held = HomeOf(*node).HeldAt(PlaceOf(*node));
  if (!held || !*held || !file.CloseUnstaged(**held, PlacerOf(node), until)) return false;
  AddClosed(node);
  if (file.unhashed()) hasher_.Wake();
  closer_.Wake();
  return true;
}

void OpenFiles::AddClosed(const std::shared_ptr<Node>& node) {
  auto closed = closed_.Lock();
  if (std::find(closed->begin(), closed->end(), node) == closed->end()) closed->push_back(node);
}

// One round of the thread that does. False: some are left.
bool OpenFiles::HashClosed() {
  Caller unless_stopped([this] { return stopping_.load(); });
  const WorkingFor scope(&unless_stopped);
  const std::vector<std::shared_ptr<Node>> nodes = *closed_.Lock();
  for (const auto& node : nodes) {
    if (const auto file = FileOf(node)) Hash(*node, *file);
  }
  closer_.Wake();
  return true;
}

void OpenFiles::Hash(const Node& node, OpenFile& file) {
  FileLock lock(file.mutex());
  if (!file.unhashed()) return;
  const uint64_t changes = file.changes();
  const auto bytes = file.ForReading();
  lock.unlock();
  const auto hashed = bytes ? HashFile((*bytes)->get()) : Result<HashedFile>(bytes.error());
  lock.lock();
  const bool stopped = !hashed && hashed.error().code() == ErrorCode::kInterrupted;
  if (stopped || !file.unhashed() || file.changes() != changes) return;
  const Status noted = hashed ? file.NoteHashed(*hashed) : Status(file.RefuseUnhashed(hashed.error()));
  if (!noted) Complain(node, noted.error());
}

bool OpenFiles::IsToBeStaged(const Node& node, OpenFile& file) {
  if (stage_now_) return true;
  auto table = nodes_.Lock();
  if (file.waits_for_last()) return file.writers == 0;
  return node.passed_over || file.due() <= OpenFile::Clock::now();  // Others may have staged something there.
}

// One round of the thread that does. False: some are left.
bool OpenFiles::StageClosed() {
  std::vector<std::shared_ptr<Node>> nodes = *closed_.Lock();
  if (nodes.empty()) return true;
  if (unlink(StageNowMark(env_.repository.incoming()).c_str()) == 0) stage_now_ = true;
  for (const auto& node : nodes) {
    if (const auto file = FileOf(node)) SyncClosed(*node, *file);
  }
  std::erase_if(nodes, [&](const std::shared_ptr<Node>& node) {
    const auto file = FileOf(node);
    return file && !IsToBeStaged(*node, *file);
  });
  if (nodes.empty()) return false;
  // Waited for without the lock of any file.
  const Turn any = Turn::NothingElse();
  if (!env_.repository.index().Begin(Durability::kProcessDeath, any.Within(kTurnWait))) return false;
  for (const auto& node : nodes) {
    if (!StageClosed(node)) return false;
  }
  stage_now_ = false;
  return closed_.Lock()->empty();
}

// False: it is others' turn.
bool OpenFiles::StageClosed(const std::shared_ptr<Node>& node) {
  std::erase(*closed_.Lock(), node);  // First: it may be closed once more as soon as its lock is free.
  const auto file = FileOf(node);
  if (!file) return true;
  std::lock_guard lock(file->mutex());
  const bool part = stage_now_ && file->part_waits();
  const bool can_be_staged = part || (!file->unhashed() && !file->writes_on());
  const Status staged = can_be_staged ? StageIfClosed(node, *file, kCloseWaitMax) : Status();
  if (!can_be_staged || (!staged && (file->closed() || file->part_waits()))) {
    AddClosed(node);
    return staged || staged.error().code() != ErrorCode::kBusy;  // It holds up no other.
  }
  if (!staged) Complain(*node, staged.error());
  auto table = nodes_.Lock();
  if (file->writers == 0 && !file->holds_bytes()) LetGo(*table, node, *file);
  if (node->passed_over) notifier_.LookAtClosed(node);
  table->DropIfUnused(node);
  return true;
}

void OpenFiles::SyncClosed(const Node& node, OpenFile& file) {
  FileLock lock(file.mutex());
  const auto now = OpenFile::Clock::now();
  const bool just_synced = now < file.closed_synced_at() + kSyncedAgainAfter;
  const bool just_closed = now < file.due() && now < file.unsynced_since() + kSyncedAfter;
  if (!file.closed_unsynced() || just_synced || just_closed) return;
  const auto bytes = file.ForReading();
  lock.unlock();
  if (bytes && *bytes) (void)SyncFile((*bytes)->get(), "a closed file");  // Most of it while others can read it.
  lock.lock();
  if (const Status synced = file.SyncClosed(); !synced) Complain(node, synced.error());
}

bool OpenFiles::IsManifest(const Node& node) {
  auto table = nodes_.Lock();
  return HomeOf(node).IsManifest(node.slot.name);
}

// A manifest that was just written: staged without its file's lock, so that others can look at it meanwhile.
Status OpenFiles::StageManifest(const Node& node, bool appended) {
  NodePlace place;
  {
    auto table = nodes_.Lock();
    if (!node.attached) return {};
    place = {node.slot, node.extra().path};
  }
  return HomeOf(node).StageManifest(place, SoFarOf(place, appended).get());
}

// What is known of it is nothing, unless it was only appended to.
std::shared_ptr<ManifestSoFar> OpenFiles::SoFarOf(const NodePlace& place, bool appended) {
  const std::pair key(place.inbox_directory, place.slot);
  auto manifests = manifests_.Lock();
  const auto known = manifests->find(key);
  if (known != manifests->end() && appended) return known->second;
  if (known == manifests->end() && manifests->size() >= kManifestsMax) manifests->erase(manifests->begin());
  return (*manifests)[key] = std::make_shared<ManifestSoFar>();
}

Status OpenFiles::Flush(const std::shared_ptr<Node>& node, OpenFile& file, bool goes_on) {
  std::lock_guard flushing(file.flushing());
  bool appended = false;
  {
    STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file.mutex()));
    appended = file.only_appended();
    // Created or emptied and not written yet: the last close decides.
    const bool closed = file.closed() && (goes_on || !file.waits_for_last());
    const bool nothing_new = (!file.dirty() && !file.refused()) || closed;
    if (nothing_new && !WasInterrupted(file.manifest_outcome)) return file.manifest_outcome;
    if (!nothing_new) STAGEFS_RETURN_IF_ERROR(StageOrClose(node, file, goes_on));
  }
  file.manifest_outcome = IsManifest(*node) ? StageManifest(*node, appended) : Status();
  return file.manifest_outcome;
}

// REQUIRES: the mutex of `file` is held.
void OpenFiles::LetGo(InodeTable& table, const std::shared_ptr<Node>& node, const OpenFile& file) {
  if (file.handles == 0 && node->open().get() == &file) table.SetOpen(node, nullptr);
  else if (file.writers == 0 && !file.waits()) table.SetWritten(node, false);
}

void OpenFiles::Release(const std::shared_ptr<Node>& node, const std::shared_ptr<OpenFile>& file, bool writes) {
  bool last = false;
  {
    auto table = nodes_.Lock();
    file->writers -= writes;
    last = --file->handles == 0 || (writes && file->writers == 0);
  }
  if (!last) return;
  if (file->waits_for_last()) closer_.Wake();
  std::lock_guard flushing(file->flushing());
  bool late = false;
  {
    std::lock_guard lock(file->mutex());
    // What came after the last FLUSH (mmap), and files that nobody wrote to.
    late = !file->closed() && (file->dirty() || file->fresh()) && Stage(node, *file);
  }
  late = late || WasInterrupted(file->manifest_outcome);
  if (late && IsManifest(*node)) file->manifest_outcome = StageManifest(*node);
  std::lock_guard lock(file->mutex());
  const bool lost = !file->holds_bytes() && (file->dirty() || file->fresh());
  if (lost && node->kind == NodeKind::kFile) notifier_.ShowStagedAgain(node);
  auto table = nodes_.Lock();
  // Refused: it stays until it is written again, retried or dismissed. Closed: until it is staged.
  if (file->writers > 0 || file->holds_bytes()) return;
  LetGo(*table, node, *file);
  if (node->passed_over) notifier_.LookAtClosed(node);
  table->DropIfUnused(node);
}

Result<bool> OpenFiles::SetOn(const std::shared_ptr<Node>& node, OpenFile& file, const SetAttributes& set,
                              bool staged_at_once) {
  STAGEFS_ASSIGN_OR_RETURN(const FileLock lock, LockInterruptibly(file.mutex()));
  Status status;
  const uint64_t from = set.size_bytes ? std::min(*set.size_bytes, file.shown().size_bytes) : 0;
  if (set.size_bytes) status = BeforeWriting(node, file, from);
  if (status && set.size_bytes) status = file.Truncate(*set.size_bytes, PlacerOf(node));
  std::optional<FileMode> mode;
  if (set.mode) mode = nodes_.ModeOf(*set.mode, /*is_folder=*/false);
  file.SetTraits(set.mtime_ns, mode);
  const bool waits = file.dirty() || file.fresh() || file.shown().detached;
  if (status && set.size_bytes && staged_at_once) status = StageOrClose(node, file);
  if (!status) return status.error();
  return waits;
}

Status OpenFiles::Remove(const std::shared_ptr<Node>& node, const std::function<Status()>& remove) {
  const auto file = FileOf(node);
  FileLock lock;
  if (file) {
    STAGEFS_ASSIGN_OR_RETURN(lock, LockInterruptibly(file->mutex()));
  }
  // So that its bytes stay as long as those of any file that was staged.
  if (file) {
    if (const Status staged = StageIfClosed(node, *file); WasInterrupted(staged)) return staged;
  }
  const Status removed = remove();
  // A file that was never staged exists here alone.
  if (!removed && !(file && removed.error().code() == ErrorCode::kNotFound)) return removed;
  if (file) file->Detach();
  if (!node) return {};
  auto table = nodes_.Lock();
  table->Detach(node);
  if (file && file->handles == 0) table->SetOpen(node, nullptr);  // It waited, refused.
  table->DropIfUnused(node);
  return {};
}

Status OpenFiles::CheckNothingIsWrittenIn(FolderId folder) {
  if (nodes_.Lock()->WrittenChildrenOf(folder).empty()) return {};
  return Error(ErrorCode::kNotEmpty, "a file in it is being written");
}

std::vector<std::shared_ptr<Node>> OpenFiles::AllOpen() {
  auto table = nodes_.Lock();
  auto nodes = table->All();
  std::erase_if(nodes, [](const std::shared_ptr<Node>& node) { return node->open() == nullptr; });
  return nodes;
}

Result<OpenFiles::Refused> OpenFiles::Settle(
    const std::string& path, const std::function<Status(const std::shared_ptr<Node>&, OpenFile&)>& settle) {
  for (const auto& node : AllOpen()) {
    const auto file = FileOf(node);
    if (!file) continue;
    const auto place = HomeOf(*node).PlaceOf(PlaceOf(*node));
    if (!place || place->path != path) continue;
    std::lock_guard lock(file->mutex());
    if (!file->refused()) continue;
    STAGEFS_RETURN_IF_ERROR(settle(node, *file));
    auto table = nodes_.Lock();
    LetGo(*table, node, *file);
    table->DropIfUnused(node);
    return Refused::kSettled;
  }
  return Refused::kNoSuchFile;
}

Result<OpenFiles::Refused> OpenFiles::Retry(const std::string& path) {
  return Settle(path, [this](const std::shared_ptr<Node>& node, OpenFile& file) -> Status {
    file.ForgetRefusal();
    STAGEFS_RETURN_IF_ERROR(Stage(node, file));
    return IsManifest(*node) ? StageManifest(*node) : Status();
  });
}

Result<OpenFiles::Refused> OpenFiles::Dismiss(const std::string& path) {
  return Settle(path, [this](const std::shared_ptr<Node>& node, OpenFile& file) -> Status {
    file.Detach();
    if (node->kind == NodeKind::kFile) notifier_.ShowStagedAgain(node);
    return {};
  });
}

void OpenFiles::KeepUnstaged() {
  const auto deadline = std::chrono::steady_clock::now() + kStopWaitMax;
  for (const auto& node : AllOpen()) {
    const auto file = FileOf(node);
    if (!file) continue;
    std::lock_guard lock(file->mutex());
    // The kernel drops the RELEASE of a last close that ends a lazy unmount: new files wait for it.
    const bool created = file->fresh() && file->version() == 0;
    if (!file->dirty() && !file->refused() && !created) continue;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const auto wait_max = file->closed() ? std::max(left, std::chrono::milliseconds(0)) : Turn::kWaitMax;
    if (!file->refused() && !file->unhashed() && Stage(node, *file, wait_max)) continue;
    file->KeepForNextStart(PlacerOf(node));
  }
  growing_.RemoveRest();
}

}  // namespace stagefs
