#include "stagefs/migrate.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <set>

#include "durable/repository_places.h"
#include "durable/version_bytes.h"
#include "index/sqlite/sqlite_alone.h"
#include "stagefs/byte_source.h"
#include "stagefs/index_move.h"
#include "stagefs/parallel.h"
#include "stagefs/posix_env.h"
#include "stagefs/repositories.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1000;
constexpr char kFromKey[] = "moving from";  // In the new one, until it is complete.
constexpr char kMoveKey[] = "moved by";     // In both: a name of the move. An index that moves on gets another.

std::string TextOf(const RepositoryPlaces& places) { return places.index + ' ' + places.versions; }

bool IsThere(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// One at a time on this machine: two would fill one new index.
Result<UniqueFd> TakeMigrateLock(const std::string& folder) {
  STAGEFS_ASSIGN_OR_RETURN(UniqueFd lock, OpenFd(folder + "/migrate.lock", O_RDWR | O_CREAT));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  return Error(ErrorCode::kBusy, "another migrate of this repository is running");
}

// The file of an index that moved away from here, so that its name is free. Nobody may read on by it: its log goes by
// that name.
Status SetAsideOldIndex(const std::string& path) {
  const std::string before = path + ".before";
  if (IsThere(path)) return RenameSqliteIndex(path, before);
  return MoveSqliteLog(path, before);
}

// Versions of `from` that `copied` does not name yet. `index` is for this thread alone: the others, which copy, have a
// reader of their own where bytes are missing.
Status CopyVersions(Repository& from, IndexReader& index, VersionStore& to, std::set<Sha256>* copied,
                    MigrateReport* report, const std::function<void(int64_t, int64_t)>& progress) {
  int64_t total = static_cast<int64_t>(copied->size());
  for (std::optional<Sha256> after;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, index.ListVersions(after, kPage));
    if (page.empty()) return {};
    after = page.back().content.sha256;
    total += static_cast<int64_t>(page.size());
    Guarded<MigrateReport*> guarded(report);
    STAGEFS_RETURN_IF_ERROR(InParallel(page.size(), kRequestsAtOnce, [&](uint64_t i) -> Status {
      const VersionInfo& version = page[i];
      if (copied->contains(version.content.sha256)) return {};
      STAGEFS_ASSIGN_OR_RETURN(const Presence there, to.Locate(version.content.sha256));
      if (there == Presence::kNowhere) {
        STAGEFS_ASSIGN_OR_RETURN(const auto bytes, from.OpenVersion(version));
        const auto source = NewReaderSource(*bytes);
        STAGEFS_RETURN_IF_ERROR(to.Put(version.content.sha256, *source, version.size_bytes));
        auto counts = guarded.Lock();
        ++(*counts)->versions;
        (*counts)->bytes += version.size_bytes;
      }
      return {};
    }));
    for (const VersionInfo& version : page) copied->insert(version.content.sha256);
    if (progress) progress(static_cast<int64_t>(copied->size()), total);
  }
}

Status CopyRows(IndexRows& from, IndexMove& to, MigrateReport* report) {
  for (size_t table = 0; table < kMovedTables; ++table) {
    for (std::optional<IndexRow> after;;) {
      STAGEFS_ASSIGN_OR_RETURN(const auto page, from.ListRows(table, after, kPage));
      if (page.empty()) break;
      after = page.back();
      for (const IndexRow& row : page) STAGEFS_RETURN_IF_ERROR(to.PutRow(table, row));
      report->rows += static_cast<int64_t>(page.size());
    }
  }
  return to.EndRows();
}

// Who has it mounted goes on reading by the old index, so that the new one must know of them.
Status CopyMounts(IndexReader& from, IndexTransaction& to) {
  STAGEFS_ASSIGN_OR_RETURN(const auto mounts, from.ListMounts());
  for (const MountRow& mount : mounts) STAGEFS_RETURN_IF_ERROR(to.PutMount(mount));
  return {};
}

Status CompareRows(IndexRows& from, IndexRows& to) {
  for (size_t table = 0; table < kMovedTables; ++table) {
    for (std::optional<IndexRow> after;;) {
      STAGEFS_ASSIGN_OR_RETURN(const auto page, from.ListRows(table, after, kPage));
      STAGEFS_ASSIGN_OR_RETURN(const auto other, to.ListRows(table, after, kPage));
      if (page != other) return Error(ErrorCode::kCorrupt, "what was copied is not what was read: nothing was moved");
      if (page.empty()) break;
      after = page.back();
    }
  }
  return {};
}

// The index stays, and tells everybody where they are from then on.
Status MoveVersions(Repository& source, const RepositoryPlaces& to, MigrateReport* report,
                    const std::function<void(int64_t, int64_t)>& progress) {
  STAGEFS_ASSIGN_OR_RETURN(const auto versions, OpenVersions(source.folder(), source.name(), to));
  std::set<Sha256> copied;
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, source.index().Read());
    STAGEFS_RETURN_IF_ERROR(CopyVersions(source, *reader, *versions, &copied, report, progress));
  }
  {
    // Nobody changes anything meanwhile.
    STAGEFS_ASSIGN_OR_RETURN(const auto index, source.index().Begin(Durability::kPowerLoss));
    STAGEFS_RETURN_IF_ERROR(CopyVersions(source, *index, *versions, &copied, report, progress));
    STAGEFS_RETURN_IF_ERROR(index->PutMeta(kVersionsKey, VersionsMark(source.folder(), to)));
    STAGEFS_RETURN_IF_ERROR(index->Commit());
  }
  return to.Write(source.folder());
}

// Tells one repository from another of the same name, also once it moved.
Result<std::string> FirstCommitOf(IndexReader& index) {
  STAGEFS_ASSIGN_OR_RETURN(const auto first, index.GetCommit(1));
  return first ? first->id : "";
}

// A new index that has nothing but the mark of where it comes from.
Result<std::unique_ptr<StagingIndex>> NewIndex(const std::string& folder, const RepositoryName& name,
                                               const RepositoryPlaces& to, const std::string& mark,
                                               const std::string& first_commit) {
  if (to.index.empty()) {
    unlink((folder + "/stagefs.db.new").c_str());
    for (const char* suffix : kSqliteBeside) unlink((folder + "/stagefs.db.new" + suffix).c_str());
  }
  STAGEFS_ASSIGN_OR_RETURN(auto index, OpenStagingIndex({to.index, name.ToString(), folder + "/stagefs.db.new",
                                                         WhereMissing::kMake}));
  if (to.index.empty()) return index;
  {
    STAGEFS_ASSIGN_OR_RETURN(auto transaction, index->Begin(Durability::kPowerLoss));
    STAGEFS_ASSIGN_OR_RETURN(const auto from, transaction->GetMeta(kFromKey));
    STAGEFS_ASSIGN_OR_RETURN(const auto branches, transaction->ListBranches());
    STAGEFS_ASSIGN_OR_RETURN(const auto moved, transaction->GetMeta(kMovedKey));
    STAGEFS_ASSIGN_OR_RETURN(const std::string first, FirstCommitOf(*transaction));
    // It was here before, and all that this index has went with it.
    const bool left_behind = moved && first == first_commit;
    if (from != mark && !left_behind && !branches.empty()) {
      return Error(ErrorCode::kExists, "there is a repository " + name.ToString() + " at " + to.index + " already");
    }
    if (branches.empty()) {
      STAGEFS_RETURN_IF_ERROR(transaction->PutMeta(kFromKey, mark));
      STAGEFS_RETURN_IF_ERROR(transaction->Commit());
      return index;
    }
  }
  // Left behind, or copied before by a run that did not get to its end.
  STAGEFS_RETURN_IF_ERROR(index->Erase());
  index.reset();
  return NewIndex(folder, name, to, mark, first_commit);
}

// What was used before the move from `at` to `to`, without passwords.
std::vector<std::string> LeftBehind(const std::string& folder, const RepositoryName& name, const RepositoryPlaces& at,
                                    const RepositoryPlaces& to) {
  std::vector<std::string> left;
  if (at.index != to.index) {
    if (to.index.empty()) left.push_back("index " + name.ToString() + " at " + PlaceOfUrl(at.index));
    const std::string file = folder + (to.index.empty() ? "/stagefs.db.before" : "/stagefs.db");
    if (IsThere(file)) left.push_back("index " + file);
  }
  if (at.versions != to.versions) {
    left.push_back("versions " + (at.versions.empty() ? folder + "/versions"
                                                      : PlaceOfUrl(at.versions) + '/' + name.ToString()));
  }
  return left;
}

// From here on nobody takes the new index for one that a move left behind half-way.
Status Complete(StagingIndex& index) {
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, index.Begin(Durability::kPowerLoss));
  STAGEFS_RETURN_IF_ERROR(transaction->EraseMeta(kFromKey));
  return transaction->Commit();
}

// That `path` is the index of this move: another root may have taken the repository, or left one here that moved away.
Status CheckIsOf(const std::string& move, const std::string& path) {
  const auto index = OpenStagingIndex({"", "", path, WhereMissing::kRefuse});
  if (!index && index.error().code() != ErrorCode::kNotFound) return index.error();
  std::optional<std::string> moved, by;
  if (index) {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, (*index)->Read());
    STAGEFS_ASSIGN_OR_RETURN(moved, reader->GetMeta(kMovedKey));
    STAGEFS_ASSIGN_OR_RETURN(by, reader->GetMeta(kMoveKey));
  }
  const bool is_it = index && !moved && (move.empty() || by == move);  // An older stagefs gave it no name.
  return is_it ? Status() : Error(ErrorCode::kStale, "it moved elsewhere already, below another root");
}

// The last step, once the old index takes no change any more. Killed anywhere in it, the next call goes on.
Status Switch(const std::string& folder, const RepositoryPlaces& to, const std::string& move) {
  const std::string path = folder + "/stagefs.db", fresh = path + ".new";
  if (to.index.empty()) {
    STAGEFS_RETURN_IF_ERROR(CheckIsOf(move, IsThere(fresh) ? fresh : path));
    if (IsThere(fresh)) {
      STAGEFS_RETURN_IF_ERROR(SetAsideOldIndex(path));
      STAGEFS_RETURN_IF_ERROR(RenameSqliteIndex(fresh, path));
    }
  }
  return to.Write(folder);
}

// Contents that were closed just now: what their entries would fall back to does not move. One that cannot be read and
// synced moves as it is.
Status SyncRest(VersionStore& versions, IndexTransaction& old) {
  STAGEFS_ASSIGN_OR_RETURN(auto rest, old.ListUnsynced(SIZE_MAX >> 1));
  std::erase_if(rest, [&](const VersionInfo& version) {
    const auto whole = AreWhole(versions, version);
    return !whole || !*whole;
  });
  std::vector<Sha256> hashes;
  for (const VersionInfo& version : rest) hashes.push_back(version.content.sha256);
  const bool all = hashes.empty() || versions.Sync(hashes);
  for (const VersionInfo& version : rest) {
    if (all || versions.Sync({version.content.sha256})) STAGEFS_RETURN_IF_ERROR(old.SetSynced(version.id));
  }
  return {};
}

// The rows of `old`, which nobody changes meanwhile, into `index`; `old` is frozen.
Status MoveRows(const Repository& source, IndexTransaction& old, StagingIndex& index, const RepositoryPlaces& to,
                const std::string& move, MigrateReport* report) {
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto fresh, index.Begin(Durability::kPowerLoss));
    if (old.rows() == nullptr || old.move() == nullptr || fresh->move() == nullptr) {
      return Error(ErrorCode::kUnsupported, "an index of this kind cannot be moved");
    }
    STAGEFS_RETURN_IF_ERROR(CopyRows(*old.rows(), *fresh->move(), report));
    STAGEFS_RETURN_IF_ERROR(CopyMounts(old, *fresh));
    STAGEFS_RETURN_IF_ERROR(fresh->PutMeta(kVersionsKey, VersionsMark(source.folder(), to)));
    STAGEFS_RETURN_IF_ERROR(fresh->PutMeta(kMoveKey, move));
    STAGEFS_RETURN_IF_ERROR(fresh->Commit());
  }
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto fresh, index.Read());
    STAGEFS_RETURN_IF_ERROR(CompareRows(*old.rows(), *fresh->rows()));
  }
  STAGEFS_RETURN_IF_ERROR(SyncFolder(source.folder()));  // The new index's name, before it is the only one.
  STAGEFS_RETURN_IF_ERROR(old.PutMeta(kMovedKey, TextOf(to)));
  STAGEFS_RETURN_IF_ERROR(old.PutMeta(kMoveKey, move));
  return old.move()->Freeze("repository " + source.name().ToString() + " moved to " +
                            (to.index.empty() ? source.folder() : to.index) + ": unmount, and mount it again");
}

// The index, and the versions where they move too.
Status MoveIndex(Repository& source, const RepositoryPlaces& at, const RepositoryPlaces& to, MigrateReport* report,
                 const std::function<void(int64_t, int64_t)>& progress) {
  const std::string& folder = source.folder();
  if (to.index.empty()) STAGEFS_RETURN_IF_ERROR(SetAsideOldIndex(folder + "/stagefs.db"));
  const std::string move = RandomHex();
  std::string first_commit;
  {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, source.index().Read());
    STAGEFS_ASSIGN_OR_RETURN(first_commit, FirstCommitOf(*reader));
  }
  STAGEFS_ASSIGN_OR_RETURN(auto index, NewIndex(folder, source.name(), to, MachineId() + ' ' + folder, first_commit));
  STAGEFS_ASSIGN_OR_RETURN(const auto versions, OpenVersions(folder, source.name(), to));
  const bool same_store = at.versions == to.versions;
  std::set<Sha256> copied;
  if (!same_store) {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, source.index().Read());
    STAGEFS_RETURN_IF_ERROR(CopyVersions(source, *reader, *versions, &copied, report, progress));
  }
  {
    // Nobody changes anything from here on.
    STAGEFS_ASSIGN_OR_RETURN(const auto old, source.index().Begin(Durability::kPowerLoss));
    if (!same_store) {
      STAGEFS_RETURN_IF_ERROR(CopyVersions(source, *old, *versions, &copied, report, progress));
    }
    STAGEFS_RETURN_IF_ERROR(SyncRest(source.versions(), *old));
    STAGEFS_RETURN_IF_ERROR(MoveRows(source, *old, *index, to, move, report));
    STAGEFS_RETURN_IF_ERROR(old->Commit());
  }
  STAGEFS_RETURN_IF_ERROR(Complete(*index));
  index.reset();  // Closed before its file gets its name.
  return Switch(folder, to, move);
}

}  // namespace

Result<MigrateReport> Migrate(const std::string& root, const RepositoryName& name,
                              std::optional<RepositoryPlaces> places,
                              const std::function<void(int64_t, int64_t)>& progress) {
  STAGEFS_ASSIGN_OR_RETURN(const auto source, OpenRepository(root, name));
  STAGEFS_RETURN_IF_ERROR(source->CheckWritable());
  const std::string& folder = source->folder();
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd lock, TakeMigrateLock(folder));
  STAGEFS_ASSIGN_OR_RETURN(const RepositoryPlaces at, RepositoryPlaces::Read(folder));
  RepositoryPlaces to = places.value_or(RepositoryPlaces());
  if (places && to.index.empty()) to.index = at.index;
  if (places && to.versions.empty()) to.versions = at.versions;
  MigrateReport report;
  STAGEFS_ASSIGN_OR_RETURN(auto reader, source->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto moved, reader->GetMeta(kMovedKey));
  STAGEFS_ASSIGN_OR_RETURN(const auto move, reader->GetMeta(kMoveKey));
  reader.reset();
  if (moved == TextOf(to)) {
    if (!to.index.empty()) {
      STAGEFS_ASSIGN_OR_RETURN(const auto index,
                               OpenStagingIndex({to.index, name.ToString(), "", WhereMissing::kRefuse}));
      STAGEFS_RETURN_IF_ERROR(Complete(*index));
    }
    STAGEFS_RETURN_IF_ERROR(Switch(folder, to, move.value_or("")));
    return report;
  }
  if (moved) return Error(ErrorCode::kStale, "it moved elsewhere already, to " + *moved);
  if (TextOf(at) == TextOf(to)) return Error(ErrorCode::kExists, "repository " + name.ToString() + " is there already");
  STAGEFS_RETURN_IF_ERROR(source->SyncAll());
  if (at.index == to.index) {
    STAGEFS_RETURN_IF_ERROR(MoveVersions(*source, to, &report, progress));
    report.left = LeftBehind(folder, name, at, to);
    return report;
  }
  STAGEFS_RETURN_IF_ERROR(MoveIndex(*source, at, to, &report, progress));
  report.left = LeftBehind(folder, name, at, to);
  return report;
}

}  // namespace stagefs
