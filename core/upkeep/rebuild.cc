// fsck --rebuild: an index from what can be read of the old one, and from the versions.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "durable/repository_places.h"
#include "index/sqlite/sqlite_alone.h"
#include "stagefs/history.h"
#include "stagefs/index_move.h"
#include "stagefs/posix_env.h"
#include "stagefs/repositories.h"
#include "stagefs/text.h"
#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"
#include "version_health.h"

namespace stagefs {
namespace {

constexpr size_t kPage = 1000;
constexpr char kTableNames[kMovedTables][16] = {"versions", "lineages",       "commits", "branches",  "tree entries",
                                                "workspaces", "staged entries", "inbox",   "meta entries",
                                                "sparse versions", "tags", "taken back"};
constexpr size_t kVersionRows = 0, kCommitRows = 2;

using Lines = std::vector<std::string>;

// Whoever has it open has made a file here that it holds locked.
Status CheckNobodyHasItOpen(const std::string& folder, const RepositoryName& name) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder + "/incoming", error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() != ".lock") continue;
    const auto fd = OpenFd(at->path(), O_RDWR);
    if (fd && flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
      return Error(ErrorCode::kBusy, "repository " + name.ToString() +
                                         " is in use: unmount it, and stop what serves it, before its index is built");
    }
  }
  return {};
}

bool IsThere(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// Reads a table past what cannot be read of it.
class Salvage {
 public:
  Salvage(IndexRows& old, size_t table) : old_(old), table_(table) {}

  // Empty: there is no more.
  std::vector<IndexRow> Next() {
    for (size_t limit = kPage; limit > 0; limit /= 10) {
      auto page = old_.ListRows(table_, after_, limit);
      if (!page) continue;
      if (!page->empty()) after_ = page->back();
      return std::move(*page);
    }
    is_whole_ = false;
    return SkipDamage() ? Next() : std::vector<IndexRow>();
  }
  bool is_whole() const { return is_whole_; }

 private:
  bool CanReadAfter(const IndexRow& row) {
    if (!old_.ListRows(table_, row, 1)) return false;
    after_ = row;
    return true;
  }
  // What was read last, with another value in one of its keys, and the least in those behind it.
  static IndexRow With(const IndexRow& last, size_t column, IndexValue value) {
    IndexRow row(kColumnsMax, INT64_MIN);
    std::copy_n(last.begin(), column, row.begin());
    row[column] = std::move(value);
    return row;
  }
  // To the first key, nearly, after which rows can be read again: most likely another name in the same folder.
  bool SkipDamage() {
    const IndexRow last = after_.value_or(IndexRow(kColumnsMax, int64_t{0}));
    for (size_t column = kKeys[table_]; column-- > 0;) {
      const auto* number = std::get_if<int64_t>(&last[column]);
      const auto* name = std::get_if<std::string>(&last[column]);
      if (number != nullptr && SkipNumbers(last, column, *number)) return true;
      if (name != nullptr && SkipNames(last, column, *name)) return true;
    }
    return false;
  }
  bool SkipNumbers(const IndexRow& last, size_t column, int64_t key) {
    int64_t low = 0, high = 1;
    while (!CanReadAfter(With(last, column, key + high))) {
      if (high > INT64_MAX / 4 - std::max<int64_t>(key, 0)) return false;
      low = high;
      high *= 2;
    }
    while (high - low > 1) {
      const int64_t middle = low + (high - low) / 2;
      (CanReadAfter(With(last, column, key + middle)) ? high : low) = middle;
    }
    return true;
  }
  // Names that begin ever less like the last one, then, from there, ever more like those that cannot be read.
  bool SkipNames(const IndexRow& last, size_t column, const std::string& name) {
    for (size_t length = name.size(); length > 0; --length) {
      std::string prefix = name.substr(0, length - 1);
      int byte = FirstAfter(last, column, prefix, static_cast<unsigned char>(name[length - 1]) + 1);
      if (byte > 255) continue;
      for (int depth = 0; depth < kDepthMax && byte > 0; ++depth) {
        prefix += static_cast<char>(byte - 1);
        byte = FirstAfter(last, column, prefix, 0);
        if (byte > 255) break;
      }
      return true;
    }
    return false;
  }
  // The first byte behind `prefix` after which rows can be read; 256: none.
  int FirstAfter(const IndexRow& last, size_t column, const std::string& prefix, int byte) {
    while (byte <= 255 && !CanReadAfter(With(last, column, prefix + static_cast<char>(byte)))) ++byte;
    return byte;
  }

  static constexpr size_t kColumnsMax = 12;
  static constexpr int kDepthMax = 4;
  static constexpr size_t kKeys[kMovedTables] = {1, 1, 1, 1, 3, 1, 3, 3, 1, 1, 1, 3};
  IndexRows& old_;
  const size_t table_;
  std::optional<IndexRow> after_;
  bool is_whole_ = true;
};

bool LooksRight(size_t table, const IndexRow& row) {
  if (table != kVersionRows) return true;
  const auto* sha256 = std::get_if<std::string>(&row[1]);
  const auto* xxh3 = std::get_if<std::string>(&row[2]);
  return sha256 != nullptr && sha256->size() == sizeof(Sha256) && xxh3 != nullptr && xxh3->size() == sizeof(Xxh3);
}

std::string TextOf(const IndexValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr ? "" : ToDisplayUtf8(*text);
}

Status SaveRows(IndexReader& old, IndexTransaction& fresh, Lines* lines) {
  for (size_t table = 0; table < kMovedTables; ++table) {
    Salvage salvage(*old.rows(), table);
    int64_t saved = 0, lost = 0;
    for (auto page = salvage.Next(); !page.empty(); page = salvage.Next()) {
      for (const IndexRow& row : page) {
        const Status put = LooksRight(table, row) ? fresh.move()->PutRow(table, row)
                                                  : Status(Error(ErrorCode::kCorrupt, "no version"));
        if (!put && put.error().code() == ErrorCode::kNoSpace) return put;
        ++(put ? saved : lost);
        if (put && table == kCommitRows) lines->push_back("saved  commit " + TextOf(row[1]) + "  " + TextOf(row[4]));
      }
    }
    const std::string what = std::string(" ") + kTableNames[table];
    lines->push_back("saved  " + std::to_string(saved) + what);
    if (lost > 0) lines->push_back("lost   " + std::to_string(lost) + what + " that made no sense");
    if (!salvage.is_whole()) lines->push_back("lost  " + what + " on pages that cannot be read");
  }
  return fresh.move()->EndRows();
}

// Numbers of versions whose rows were lost, where a part of the row is left: entries go by these.
std::map<Sha256, VersionId> SaveNumbers(IndexReader& old) {
  std::map<Sha256, VersionId> numbers;
  for (std::optional<Sha256> after;;) {
    const auto page = old.ListVersionIds(after, kPage);
    if (!page || page->empty()) return numbers;
    numbers.insert(page->begin(), page->end());
    after = page->back().first;
  }
}

// Rows for bytes that have none.
Status SaveVersions(VersionStore& store, IndexTransaction& fresh, const std::map<Sha256, VersionId>& numbers,
                    Lines* lines, const std::function<void(int64_t)>& progress) {
  std::vector<Sha256> stored;
  STAGEFS_RETURN_IF_ERROR(store.List([&](const Sha256& hash) {
    stored.push_back(hash);
    return true;
  }));
  // First those that have a number, so that no other one takes it.
  std::stable_partition(stored.begin(), stored.end(), [&](const Sha256& hash) { return numbers.contains(hash); });
  int64_t found = 0, done = 0;
  for (const Sha256& hash : stored) {
    if (progress) progress(++done);
    STAGEFS_ASSIGN_OR_RETURN(const auto row, fresh.FindVersion(HashRef(hash)));
    if (row) continue;
    const auto bytes = store.OpenToCheck(hash);
    if (!bytes) continue;
    VersionInfo version;
    const auto hashed = HashVersion(**bytes);
    const bool good = hashed && hashed->sha256 == hash;
    if (hashed) (void)store.NoteHealth(hash, **bytes, good);
    if (!good) {
      lines->push_back("lost   version " + ToHex(hash) + ": its bytes are damaged");
      continue;
    }
    version.content = *hashed;
    version.size_bytes = (*bytes)->size_bytes();
    const auto arrived_ns = store.ArrivedNs(hash);
    version.stored_ns = arrived_ns ? *arrived_ns : NowNs();
    version.renewed_ns = NowNs();
    Status added;
    if (const auto number = numbers.find(hash); number != numbers.end()) {
      added = fresh.move()->PutRow(kVersionRows, {number->second, std::string(BytesOf(version.content.sha256)),
                                           std::string(BytesOf(version.content.xxh3)),
                                           static_cast<int64_t>(version.size_bytes), version.stored_ns,
                                           version.renewed_ns, int64_t{0}});
    } else {
      added = fresh.AddVersion(version).WithoutValue();
    }
    if (!added) return added;
    ++found;
  }
  lines->push_back("found  " + std::to_string(found) + " versions in the store that had no row");
  return {};
}

// What is left names only what is left.
Status MakeConsistent(IndexTransaction& fresh, Lines* lines) {
  CommitSeq newest = 0;
  for (std::optional<IndexRow> after;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, fresh.rows()->ListRows(kCommitRows, after, kPage));
    if (page.empty()) break;
    after = page.back();
    newest = std::get<int64_t>(page.back()[0]);
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto branches, fresh.ListBranches());
  for (const BranchInfo& branch : branches) {
    STAGEFS_ASSIGN_OR_RETURN(const auto head, fresh.GetCommit(branch.head));
    if (head) continue;
    lines->push_back("lost   the commit of branch " + ToDisplayUtf8(branch.name));
    STAGEFS_RETURN_IF_ERROR(fresh.EraseBranch(branch.name));
  }
  STAGEFS_ASSIGN_OR_RETURN(auto main, fresh.FindBranch(std::string(kDefaultBranch)));
  if (!main && newest != 0) {
    main = BranchInfo{std::string(kDefaultBranch), newest, 0};
    STAGEFS_RETURN_IF_ERROR(fresh.PutBranch(*main));
    lines->push_back("made   branch main at the newest commit that was saved");
  }
  STAGEFS_ASSIGN_OR_RETURN(const auto workspaces, fresh.ListWorkspaces());
  for (WorkspaceInfo workspace : workspaces) {
    STAGEFS_ASSIGN_OR_RETURN(const auto base, fresh.GetCommit(workspace.base));
    if (base) continue;
    lines->push_back("lost   the base of workspace " + workspace.name.value_or(workspace.uid));
    if (!main) {
      STAGEFS_RETURN_IF_ERROR(fresh.EraseAllStaged(workspace.id));
      STAGEFS_RETURN_IF_ERROR(fresh.EraseWorkspace(workspace.id));
      continue;
    }
    workspace.base = main->head;
    workspace.branch = main->name;
    STAGEFS_RETURN_IF_ERROR(fresh.PutWorkspace(workspace));
  }
  STAGEFS_ASSIGN_OR_RETURN(const int64_t dangling, fresh.CountDangling());
  if (dangling > 0) lines->push_back("lost   the versions of " + std::to_string(dangling) + " entries");
  return {};
}

// Empty where there is nothing to read any more.
std::unique_ptr<StagingIndex> OpenOld(const std::string& path, Lines* lines) {
  auto old = OpenStagingIndex({"", "", path, WhereMissing::kRefuse});
  if (old) return std::move(*old);
  lines->push_back("lost   the old index: " + old.error().message());
  return nullptr;
}

Status Fill(StagingIndex* old, VersionStore& store, StagingIndex& fresh, Lines* lines,
            const std::function<void(int64_t)>& progress) {
  STAGEFS_ASSIGN_OR_RETURN(const auto transaction, fresh.Begin(Durability::kPowerLoss));
  std::map<Sha256, VersionId> numbers;
  if (old != nullptr) {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, old->Read());
    STAGEFS_RETURN_IF_ERROR(SaveRows(*reader, *transaction, lines));
    numbers = SaveNumbers(*reader);
  }
  STAGEFS_RETURN_IF_ERROR(SaveVersions(store, *transaction, numbers, lines, progress));
  STAGEFS_RETURN_IF_ERROR(MakeConsistent(*transaction, lines));
  STAGEFS_RETURN_IF_ERROR(transaction->move()->EndRows());
  return transaction->Commit();
}

Status CheckIsDamaged(const std::string& path, const RepositoryName& name) {
  const auto index = OpenStagingIndex({"", "", path, WhereMissing::kRefuse});
  if (!index) {
    const ErrorCode code = index.error().code();
    return code == ErrorCode::kCorrupt || code == ErrorCode::kNotFound ? Status() : Status(index.error());
  }
  const auto damage = (*index)->CheckIntegrity();
  if (!damage || !damage->empty()) return {};
  const auto reader = (*index)->Read();
  const auto dangling = reader ? (*reader)->CountDangling() : reader.error();
  if (!dangling || *dangling > 0) return {};
  return Error(ErrorCode::kExists, "the index of " + name.ToString() + " is whole: there is nothing to build");
}

}  // namespace

Result<std::vector<std::string>> RebuildIndex(const std::string& root, const RepositoryName& name,
                                              const std::function<void(int64_t)>& progress) {
  const std::string folder = root + '/' + name.ToString(), path = folder + "/stagefs.db";
  if (!IsThere(folder)) return Error(ErrorCode::kNotFound, "Repository '" + name.ToString() + "' not found");
  STAGEFS_ASSIGN_OR_RETURN(const RepositoryPlaces places, RepositoryPlaces::Read(folder));
  if (!places.index.empty()) {
    return Error(ErrorCode::kUnsupported, "the index is at " + PlaceOfUrl(places.index) +
                                              ": restore the backup of that database");
  }
  STAGEFS_RETURN_IF_ERROR(CheckNobodyHasItOpen(folder, name));
  STAGEFS_ASSIGN_OR_RETURN(const UniqueFd lock, OpenFd(folder + "/gc.lock", O_RDWR | O_CREAT));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error(ErrorCode::kBusy, "another fsck --rebuild, or a gc, is at it");
  }
  // The old one under a name of its own, so that a build that is cut off at any point begins again with all of it.
  const std::string old_path = path + ".rebuilding", fresh_path = path + ".new";
  if (!IsThere(old_path)) {
    STAGEFS_RETURN_IF_ERROR(CheckIsDamaged(path, name));
    if (IsThere(path)) {
      unlink((old_path + "-wal").c_str());
      if (IsThere(path + "-wal") && link((path + "-wal").c_str(), (old_path + "-wal").c_str()) != 0) {
        return ErrnoError("keep " + path + "-wal");
      }
      if (link(path.c_str(), old_path.c_str()) != 0) return ErrnoError("keep " + path);
      STAGEFS_RETURN_IF_ERROR(SyncFolder(folder));
    }
  }
  for (const char* suffix : kSqliteBeside) unlink((fresh_path + suffix).c_str());
  unlink(fresh_path.c_str());
  Lines lines;
  {
    const auto old = IsThere(old_path) ? OpenOld(old_path, &lines) : nullptr;
    STAGEFS_ASSIGN_OR_RETURN(const auto store, OpenVersions(folder, name, places));
    STAGEFS_ASSIGN_OR_RETURN(const auto fresh, OpenStagingIndex({"", "", fresh_path, WhereMissing::kMake}));
    STAGEFS_RETURN_IF_ERROR(Fill(old.get(), *store, *fresh, &lines, progress));
  }
  STAGEFS_RETURN_IF_ERROR(CheckNobodyHasItOpen(folder, name));
  STAGEFS_RETURN_IF_ERROR(RenameSqliteIndex(fresh_path, path));
  if (IsThere(old_path)) {
    const std::string kept = path + ".damaged-" + std::to_string(NowNs() / 1'000'000'000);
    for (const char* suffix : kSqliteBeside) (void)rename((old_path + suffix).c_str(), (kept + suffix).c_str());
    (void)rename(old_path.c_str(), kept.c_str());
    lines.push_back("kept   the old index as " + kept);
  }
  STAGEFS_RETURN_IF_ERROR(OpenRepository(root, name).WithoutValue());
  return lines;
}

}  // namespace stagefs
