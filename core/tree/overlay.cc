#include "overlay.h"

#include <algorithm>
#include <cassert>

#include "stagefs/posix_env.h"
#include "stagefs/scratch_names.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 512;
// In the index, before a workspace's number: the newest number of what was taken back there.
constexpr char kTakenBackKey[] = "taken back ";

Error NotFound(const Slot& slot) {
  return Error(ErrorCode::kNotFound, "'" + ToDisplayUtf8(slot.name) + "': no such file or folder");
}

Error Refuse(ErrorCode code, const Slot& slot, const std::string& why) {
  return Error(code, "'" + ToDisplayUtf8(slot.name) + "' " + why);
}

void NameScratch(const std::string& name, Entry* entry) {
  const bool is_link = entry->kind == EntryKind::kSymlink;
  entry->scratch = is_link ? IsScratchLink(name) : IsScratchFile(name, entry->size_bytes);
  entry->unfinished = entry->scratch && !is_link && !FinishedNameOf(name).empty();
}

// What staging `version` makes of `slot`, where `existing` is, and `base` in the base.
Entry NewEntry(const Slot& slot, const VersionInfo& version, const StageHow& how, const Entry* existing,
               const Entry* base) {
  const int64_t mtime_ns = how.update_timestamp ? NowNs() : how.mtime_ns.value_or(version.stored_ns);
  Entry entry = Entry::OfFile(version.id, version.size_bytes, mtime_ns);
  entry.SetMode(how.mode.value_or(existing ? existing->mode() : FileMode()));
  if (how.origin == Origin::kWritten && !base) NameScratch(slot.name, &entry);
  return entry;
}

StageOutcome OutcomeOf(StagedState state) {
  if (state == StagedState::kKept) return StageOutcome::kUnchanged;
  return state == StagedState::kModified ? StageOutcome::kModified : StageOutcome::kAdded;
}

// The state of something that is never committed itself.
StagedState StateOver(const std::optional<Entry>& base, const Entry& entry) {
  const bool same_folder = base && base->kind == EntryKind::kFolder && entry.kind == EntryKind::kFolder &&
                           base->child == entry.child;
  return base && !same_folder ? StagedState::kRemoved : StagedState::kKept;
}

}  // namespace

void Overlay::NoteTakenBack(std::string actor, std::string door) {
  taking_.emplace();
  taking_->next.workspace = workspace().id;
  taking_->next.actor = std::move(actor);
  taking_->next.door = std::move(door);
}

Result<bool> Overlay::TakeBack(const Slot& slot, const StagedEntry& staged, const Entry* entry) {
  if (!TakesBack() || staged.entry.kind != EntryKind::kFile || staged.state == StagedState::kKept) return false;
  const VersionId version = staged.entry.version;
  if ((entry != nullptr && entry->kind == EntryKind::kFile && entry->version == version) ||
      version == taking_->grown_from) {
    return false;
  }
  TakenBack& taken = taking_->next;
  if (taken.number == 0) {
    const std::string key = kTakenBackKey + std::to_string(workspace().id);
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<std::string> last, index().GetMeta(key));
    taken.number = (last ? std::stoll(*last) : 0) + 1;
    STAGEFS_RETURN_IF_ERROR(transaction().PutMeta(key, std::to_string(taken.number)));
    taken.taken_ns = change().ClockNs();
  }
  ++taken.item;
  STAGEFS_ASSIGN_OR_RETURN(taken.path, PathOf(slot));
  taken.entry = staged.entry;
  STAGEFS_RETURN_IF_ERROR(transaction().PutTakenBack(taken));
  return true;
}

// What is durable now is fallen back to, and nothing that was there before it.
Status Overlay::ForgetOlderThan(const Slot& slot, const StagedEntry& previous) {
  const VersionId id = previous.entry.kind == EntryKind::kFile ? previous.entry.version : 0;
  if (id != 0) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, index().GetVersion(id));
    if (version && !version->synced) return {};
  }
  return transaction().PutUnsyncedEntry({workspace().id, slot, 0, std::nullopt});
}

Result<bool> Overlay::IsUnsynced(const Entry& entry) {
  if (entry.kind != EntryKind::kFile || entry.version == known_synced_) return false;
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, index().GetVersion(entry.version));
  if (!version) return Error(ErrorCode::kCorrupt, "a staged entry names a version that is gone");
  return !version->synced;
}

Status Overlay::PutStaged(const Slot& slot, const StagedEntry& staged) {
  NoteChange(slot.folder);
  STAGEFS_ASSIGN_OR_RETURN(const bool unsynced, IsUnsynced(staged.entry));
  std::optional<StagedEntry> previous;
  if (unsynced || TakesBack()) {
    STAGEFS_ASSIGN_OR_RETURN(previous, LookUpStaged(slot));
  }
  if (previous) {
    STAGEFS_ASSIGN_OR_RETURN(const bool taken, TakeBack(slot, *previous, &staged.entry));
    if (taken) {
      STAGEFS_RETURN_IF_ERROR(transaction().RenewVersion(previous->entry.version, change().ClockNs()));
    }
  }
  if (unsynced) {
    if (previous) STAGEFS_RETURN_IF_ERROR(ForgetOlderThan(slot, *previous));
    STAGEFS_RETURN_IF_ERROR(
        transaction().PutUnsyncedEntry({workspace().id, slot, staged.entry.version, std::move(previous)}));
  }
  return transaction().PutStaged(workspace().id, slot, staged);
}

Result<StagedState> Overlay::Place(const Slot& slot, const Entry& entry) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, LookUpBase(slot));
  StagedState state = StagedState::kKept;
  if (IsFileOrLink(entry) && !entry.scratch) {
    if (base && IsSameFile(*base, entry)) {
      // The path is as in the base again; a time or permissions of its own are kept, not staged.
      if (base->mtime_ns == entry.mtime_ns && !entry.permissions) {
        STAGEFS_RETURN_IF_ERROR(Withdraw(slot).WithoutValue());
        return StagedState::kKept;
      }
    } else {
      state = base && IsFileOrLink(*base) ? StagedState::kModified : StagedState::kAdded;
    }
  } else if (entry.kind == EntryKind::kFolder) {
    const bool as_in_base = base && base->kind == EntryKind::kFolder && base->child == entry.child;
    if (as_in_base && !entry.permissions) {
      STAGEFS_RETURN_IF_ERROR(Withdraw(slot).WithoutValue());
      return StagedState::kKept;
    }
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> home, this->base().PlaceOf(entry.child));
    const bool renamed = home && !as_in_base;
    state = renamed ? StagedState::kModified : StateOver(base, entry);  // A folder of the base; a new one.
  }
  STAGEFS_RETURN_IF_ERROR(PutStaged(slot, {entry, state}));
  return state;
}

Status Overlay::Vacate(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, LookUpBase(slot));
  if (!base) return Withdraw(slot).WithoutValue();
  StagedEntry removed;
  removed.state = StagedState::kRemoved;
  return PutStaged(slot, removed);
}

Status Overlay::VacateToMove(const Slot& slot) {
  if (taking_) taking_->is_paused = true;
  const Status vacated = Vacate(slot);
  if (taking_) taking_->is_paused = false;
  return vacated;
}

Result<bool> Overlay::Withdraw(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> staged, LookUpStaged(slot));
  if (!staged) return false;
  NoteChange(slot.folder);
  STAGEFS_RETURN_IF_ERROR(TakeBack(slot, *staged, nullptr).WithoutValue());
  // Whoever takes something back may want it again: gc leaves it alone for a while.
  if (staged->entry.version != 0) {
    STAGEFS_RETURN_IF_ERROR(transaction().RenewVersion(staged->entry.version, change().ClockNs()));
  }
  STAGEFS_RETURN_IF_ERROR(transaction().EraseStaged(workspace().id, slot));
  return true;
}

Result<StagedFile> Overlay::StageVersion(const Slot& slot, const VersionInfo& version, const StageHow& how) {
  STAGEFS_RETURN_IF_ERROR(CheckEntryName(slot.name));
  if (taking_) taking_->grown_from = how.grown_from;
  if (version.synced) known_synced_ = version.id;
  if (!how.brings && !version.IsWanted()) {
    STAGEFS_RETURN_IF_ERROR(transaction().RenewVersion(version.id, change().ClockNs()));
  }
  // Most often the name is new: then one statement finds that out and stages it.
  STAGEFS_ASSIGN_OR_RETURN(const bool has_base_rows, base().HasRows(slot.folder));
  if (!has_base_rows && version.synced) {
    const Entry entry = NewEntry(slot, version, how, nullptr, nullptr);
    const StagedState state = entry.scratch ? StagedState::kKept : StagedState::kAdded;
    STAGEFS_ASSIGN_OR_RETURN(const bool added, transaction().AddStaged(workspace().id, slot, {entry, state}));
    if (added) {
      NoteChange(slot.folder);
      return StagedFile{entry.scratch ? StageOutcome::kScratch : StageOutcome::kAdded, entry};
    }
  }
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<StagedEntry> staged, LookUpStaged(slot));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, LookUpBase(slot));
  const Entry* existing = staged ? &staged->entry : base ? &*base : nullptr;
  if (how.exclusive && existing && existing->kind != EntryKind::kRemoved) {
    return Refuse(ErrorCode::kExists, slot, "exists");
  }
  if (existing && existing->kind == EntryKind::kFolder) {
    return Refuse(ErrorCode::kIsDirectory, slot, "is a folder");
  }
  Entry entry = NewEntry(slot, version, how, existing, base ? &*base : nullptr);
  const bool same = base && IsSameFile(*base, entry);
  if (same && how.update_timestamp) {
    STAGEFS_RETURN_IF_ERROR(PutStaged(slot, {entry, StagedState::kModified}));
    return StagedFile{StageOutcome::kModified, entry};
  }
  if (same && !how.keep_mtime) entry.mtime_ns = base->mtime_ns;
  STAGEFS_ASSIGN_OR_RETURN(const StagedState state, Place(slot, entry));
  if (entry.scratch) return StagedFile{StageOutcome::kScratch, entry};
  return StagedFile{OutcomeOf(state), entry};
}

Status Overlay::Remove(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, LookUp(slot));
  if (!entry) return NotFound(slot);
  if (entry->kind == EntryKind::kFolder) return Refuse(ErrorCode::kIsDirectory, slot, "is a folder");
  return Vacate(slot);
}

Result<bool> Overlay::HasFoldersOnly(FolderId folder) {
  bool only = true;
  const Status walked = Walk(folder, "", [&](const Tree::Walked& at) -> Status {
    only = at.entry.kind == EntryKind::kFolder;
    return only ? Status() : Error(ErrorCode::kNotEmpty, "");  // Ends the walk.
  });
  if (!walked && only) return walked.error();
  return only;
}

Status Overlay::RemoveRecursively(const Slot& slot, const Entry& entry) {
  if (entry.kind != EntryKind::kFolder) return Remove(slot);
  struct Folder {
    Slot slot;
    FolderId id;
    std::vector<Named<Entry>> page;
    size_t at = 0;
    bool end = false;
  };
  std::vector<Folder> open;
  open.push_back({slot, entry.child, {}, 0, false});
  while (!open.empty()) {
    Folder& here = open.back();
    if (here.at < here.page.size()) {
      const auto& [name, child] = here.page[here.at++];
      if (child.kind == EntryKind::kFolder) open.push_back({{here.id, name}, child.child, {}, 0, false});
      else STAGEFS_RETURN_IF_ERROR(Remove({here.id, name}));
      continue;
    }
    if (here.end) {
      STAGEFS_RETURN_IF_ERROR(Vacate(here.slot));
      open.pop_back();
      continue;
    }
    const std::string after = here.page.empty() ? "" : here.page.back().name;
    STAGEFS_ASSIGN_OR_RETURN(here.page, List(here.id, after, kListPage));
    here.at = 0;
    here.end = here.page.size() < kListPage;
    std::vector<Slot> slots;
    for (const auto& [name, child] : here.page) slots.push_back({here.id, name});
    STAGEFS_RETURN_IF_ERROR(Expect(slots));
  }
  return {};
}

Status Overlay::CheckPathFits(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const std::string path, PathOf(slot));
  if (path.size() <= kPathBytesMax) return {};
  return Refuse(ErrorCode::kNameTooLong, slot, "would have a path of more than 4096 bytes");
}

Result<Entry> Overlay::MakeFolder(const Slot& slot, const FileMode& mode) {
  STAGEFS_RETURN_IF_ERROR(CheckEntryName(slot.name));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> existing, LookUp(slot));
  if (existing) return Refuse(ErrorCode::kExists, slot, "exists");
  Entry folder;
  folder.kind = EntryKind::kFolder;
  folder.permissions = mode.permissions;
  folder.mtime_ns = NowNs();
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, LookUpBase(slot));
  if (base && base->kind == EntryKind::kFolder) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> elsewhere,
                             index().PlaceInStaged(workspace().id, base->child));
    // Made again where it was removed: the same folder, whose removed files stay removed.
    if (!elsewhere) folder.child = base->child;
  }
  if (folder.child == 0) {
    STAGEFS_ASSIGN_OR_RETURN(folder.child, transaction().NewFolder());
  }
  STAGEFS_RETURN_IF_ERROR(PutStaged(slot, {folder, StateOver(base, folder)}));
  return folder;
}

Result<FolderId> Overlay::EnsureFolder(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> existing, LookUp(slot));
  if (!existing) return MakeFolder(slot).map([](const Entry& folder) { return folder.child; });
  if (existing->kind != EntryKind::kFolder) return Refuse(ErrorCode::kNotDirectory, slot, "is a file");
  return existing->child;
}

Result<FolderId> Overlay::EnsureFolders(const RepoPath& directory) {
  FolderId folder = kRootFolder;
  for (const std::string_view name : directory.components()) {
    STAGEFS_ASSIGN_OR_RETURN(folder, EnsureFolder({folder, std::string(name)}));
  }
  return folder;
}

Status Overlay::RemoveFolder(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> entry, LookUp(slot));
  if (!entry) return NotFound(slot);
  if (entry->kind != EntryKind::kFolder) return Refuse(ErrorCode::kNotDirectory, slot, "is not a folder");
  STAGEFS_ASSIGN_OR_RETURN(const bool empty, IsEmpty(entry->child));
  if (!empty) return Refuse(ErrorCode::kNotEmpty, slot, "is not empty");
  return Vacate(slot);
}

Status Overlay::CheckNotBelow(FolderId folder, FolderId moving) {
  while (folder != kRootFolder) {
    if (folder == moving) return Error(ErrorCode::kInvalidArgument, "a folder cannot move into itself");
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Slot> place, PlaceOf(folder));
    if (!place) return Error(ErrorCode::kStale, "the folder is gone");
    folder = place->folder;
  }
  return {};
}

Status Overlay::Rename(const Slot& from, const Slot& to, RenameMode mode) {
  STAGEFS_RETURN_IF_ERROR(CheckEntryName(to.name));
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> source, LookUp(from));
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> target, LookUp(to));
  if (!source) return NotFound(from);
  if (from == to) return {};
  if (source->kind == EntryKind::kFolder) STAGEFS_RETURN_IF_ERROR(CheckNotBelow(to.folder, source->child));
  // What is renamed gets its meaning from its new name.
  const auto arrive = [&](const Slot& slot, Entry entry) -> Status {
    if (IsFileOrLink(entry)) {
      STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, LookUpBase(slot));
      entry.scratch = entry.unfinished = false;
      if (!base) NameScratch(slot.name, &entry);
    }
    return Place(slot, entry).WithoutValue();
  };
  if (mode == RenameMode::kExchange) {
    if (!target) return NotFound(to);
    if (target->kind == EntryKind::kFolder) {
      STAGEFS_RETURN_IF_ERROR(CheckNotBelow(from.folder, target->child));
    }
    STAGEFS_RETURN_IF_ERROR(VacateToMove(from));
    STAGEFS_RETURN_IF_ERROR(VacateToMove(to));
    STAGEFS_RETURN_IF_ERROR(arrive(from, *target));
    return arrive(to, *source);
  }
  if (target) {
    if (mode == RenameMode::kNoReplace) return Refuse(ErrorCode::kExists, to, "exists");
    if (target->kind == EntryKind::kFolder) {
      if (source->kind != EntryKind::kFolder) return Refuse(ErrorCode::kIsDirectory, to, "is a folder");
      STAGEFS_RETURN_IF_ERROR(RemoveFolder(to));
    } else if (source->kind == EntryKind::kFolder) {
      return Refuse(ErrorCode::kNotDirectory, to, "is not a folder");
    }
  }
  STAGEFS_RETURN_IF_ERROR(VacateToMove(from));
  return arrive(to, *source);
}

Result<Entry> Overlay::MakeSymlink(const Slot& slot, const std::string& target) {
  STAGEFS_RETURN_IF_ERROR(CheckEntryName(slot.name));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> existing, LookUp(slot));
  if (existing) return Refuse(ErrorCode::kExists, slot, "exists");
  return PlaceSymlink(slot, target, std::nullopt, Origin::kWritten).map([](const StagedFile& link) {
    return link.entry;
  });
}

Result<StagedFile> Overlay::StageSymlink(const Slot& slot, const std::string& target,
                                         std::optional<int64_t> mtime_ns) {
  STAGEFS_RETURN_IF_ERROR(CheckEntryName(slot.name));
  STAGEFS_RETURN_IF_ERROR(CheckLinkTarget(target));
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> existing, LookUp(slot));
  if (existing && existing->kind == EntryKind::kFolder) return Refuse(ErrorCode::kIsDirectory, slot, "is a folder");
  return PlaceSymlink(slot, target, mtime_ns, Origin::kNamed);
}

Result<StagedFile> Overlay::PlaceSymlink(const Slot& slot, const std::string& target, std::optional<int64_t> mtime_ns,
                                         Origin origin) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, LookUpBase(slot));
  Entry link = Entry::OfSymlink(target, mtime_ns.value_or(NowNs()));
  if (!mtime_ns && base && IsSameFile(*base, link)) link.mtime_ns = base->mtime_ns;
  if (origin == Origin::kWritten && !base) NameScratch(slot.name, &link);
  STAGEFS_ASSIGN_OR_RETURN(const StagedState state, Place(slot, link));
  return StagedFile{OutcomeOf(state), link};
}

Status Overlay::KeepUnstaged(const Slot& slot, const Entry& link) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, LookUpBase(slot));
  return PutStaged(slot, {link, StateOver(base, link)});
}

Result<Entry> Overlay::SetTraits(const Slot& slot, std::optional<int64_t> mtime_ns,
                                 const std::optional<FileMode>& mode) {
  STAGEFS_ASSIGN_OR_RETURN(std::optional<StagedEntry> staged, LookUpStaged(slot));
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry, LookUp(slot));
  if (!entry) return NotFound(slot);
  if (mtime_ns) entry->mtime_ns = *mtime_ns;
  if (mode && entry->kind == EntryKind::kFile) entry->executable = mode->executable;
  if (mode && entry->kind != EntryKind::kSymlink) entry->permissions = mode->permissions;
  if (IsFileOrLink(*entry)) {
    // Staged with update_timestamp: same content, and still modified.
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<Entry> base, LookUpBase(slot));
    const bool forced = staged && staged->state == StagedState::kModified && base &&
                        IsSameFile(*base, staged->entry) && IsSameFile(*base, *entry);
    if (forced) {
      STAGEFS_RETURN_IF_ERROR(PutStaged(slot, {*entry, StagedState::kModified}));
    } else {
      STAGEFS_RETURN_IF_ERROR(Place(slot, *entry).WithoutValue());
    }
  } else {
    STAGEFS_RETURN_IF_ERROR(PutStaged(slot, {*entry, staged ? staged->state : StagedState::kKept}));
  }
  return *entry;
}

Status Overlay::Finish() {
  // Nobody else's mount, nobody to tell: that saves most of what a small change writes.
  STAGEFS_ASSIGN_OR_RETURN(const bool watched, index().IsMounted(workspace().id, writer_));
  if (!watched) changed_.clear();
  for (const FolderId folder : changed_) {
    STAGEFS_RETURN_IF_ERROR(transaction().NoteChange(workspace().id, folder, writer_));
  }
  changed_.clear();
  return {};
}

}  // namespace stagefs
