// The metadata of one repository: versions, commits, trees, workspaces and what is staged in them.
//
// What can be asked and changed is promised by subject: index_versions.h, index_history.h, index_workspaces.h and
// index_administration.h. Whoever needs one subject takes that class by reference. Each implementation runs the same
// contract suite (tests/core/staging_index_contract_test.cc).
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "stagefs/index_administration.h"
#include "stagefs/index_history.h"
#include "stagefs/index_rows.h"
#include "stagefs/index_versions.h"
#include "stagefs/index_workspaces.h"

namespace stagefs {

class IndexMove;
class IndexRows;

// All answers of one reader are of one moment: that of its first question. For one thread at a time.
class IndexReader : public VersionQuestions,
                    public HistoryQuestions,
                    public WorkspaceQuestions,
                    public AdministrationQuestions {
 public:
  // Everything as plain rows. A null pointer: this index cannot be moved.
  virtual IndexRows* rows() { return nullptr; }
};

// A unit of work: everything or nothing. Destroyed without Commit() it rolls back. Reads see its own writes. An index
// that is far away says with a later question, or at the commit, that a change failed.
class IndexTransaction : public IndexReader,
                         public VersionChanges,
                         public HistoryChanges,
                         public WorkspaceChanges,
                         public AdministrationChanges {
 public:
  virtual Status Commit() = 0;

  Result<bool> AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  // A null pointer: this index cannot be moved.
  virtual IndexMove* move() { return nullptr; }
};

// What a transaction changes, for an index that lets others run beside it. Every one may also add and renew versions
// and make folders.
struct Turn {
  enum class Of { kEverything, kHistory, kWorkspace, kWorkspaceAndHistory, kNothingElse };
  static constexpr std::chrono::milliseconds kWaitMax = std::chrono::minutes(1);
  Of of = Of::kEverything;
  WorkspaceId workspace = 0;
  std::chrono::milliseconds wait_max = kWaitMax;  // Then kBusy. An index that machines share may wait longer.

  // Also removes: nobody runs beside it.
  static Turn Everything() { return {}; }
  // Branches, commits, and workspaces that it makes itself.
  static Turn History() { return {Of::kHistory, 0}; }
  static Turn Workspace(WorkspaceId id) { return {Of::kWorkspace, id}; }
  static Turn Commit(WorkspaceId id) { return {Of::kWorkspaceAndHistory, id}; }
  // Rows that no two transactions want at once: versions, mounts, working copies.
  static Turn NothingElse() { return {Of::kNothingElse, 0}; }
  Turn Within(std::chrono::milliseconds time) const { return {of, workspace, time}; }
};

// What a committed transaction survives.
enum class Durability {
  kProcessDeath,  // kill -9
  kPowerLoss,     // this one and every one before it
};

// Safe for concurrent use from any number of threads and processes.
class StagingIndex {
 public:
  virtual ~StagingIndex() = default;

  // A reader for a few questions on one thread, short-lived: it holds back the clean-up of the log.
  virtual Result<std::unique_ptr<IndexReader>> Read() = 0;
  // The same for one quick question: cheaper where it can be, but transactions may have to wait while it lives.
  // REQUIRES: this thread begins no transaction meanwhile.
  virtual Result<std::unique_ptr<IndexReader>> Glance() { return Read(); }

  // Waits for others to end that want the same, and came first; then kBusy; kInterrupted (interruption.h).
  virtual Result<std::unique_ptr<IndexTransaction>> Begin(Durability durability, Turn turn = Turn::Everything()) = 0;

  // Changes when another process (or this one) committed something. Cheap enough to ask often.
  virtual Result<int64_t> ChangeMark() = 0;

  // Changes when anybody's change of `workspace` is heard of, a moment after its commit; while the connection that
  // tells is lost nothing is heard, and once it is back this changes, too. std::nullopt: nobody tells, so ask.
  virtual std::optional<int64_t> HeardMark(WorkspaceId /*workspace*/) { return std::nullopt; }

  // Makes everything committed so far survive power loss.
  virtual Status Sync() = 0;

  // A sync may have failed without a trace: the next Sync(), by any process, writes anew what it would sync.
  virtual Status DoubtSyncs() { return {}; }

  // Whether other machines may use it, too: whose processes cannot be looked at, and who have clocks of their own.
  virtual bool IsShared() const = 0;
  // What whoever runs it should change, a sentence each.
  virtual Result<std::vector<std::string>> Advice() { return std::vector<std::string>(); }
  // What is wrong with the index's own pages, a sentence each; whole: none. Reads all of it, and holds nobody back.
  // A database that has checks of its own, for whoever runs it, is not asked.
  virtual Result<std::vector<std::string>> CheckIntegrity() { return std::vector<std::string>(); }
  // Removes the whole index, which nobody uses any more. REQUIRES: it is only destroyed afterwards.
  virtual Status Erase() = 0;
};

enum class WhereMissing { kRefuse, kMake };

// Where the index of a repository is.
struct IndexPlace {
  std::string url;         // Empty: SQLite, at `path`.
  std::string repository;  // Its name: a database keeps the indexes of many.
  std::string path;        // The file of an index that is in the repository's folder.
  WhereMissing missing = WhereMissing::kRefuse;
  // Why nothing may be written there, which every Begin() answers then.
  std::optional<Error> only_read{};
};

// The index at `place`, by the scheme of its URL.
//
// - None: the embedded default, SQLite in WAL mode at `path`. An empty file is none: kCorrupt, unless it shall be made.
// - postgresql:// or postgres://: PostgreSQL, for teams that outgrow one machine. The URL is what libpq takes
//   (postgresql://HOST/DATABASE?sslmode=verify-full); libpq's environment and files say the rest, such as passwords. A
//   commit is flushed before it is answered, whatever its Durability.
//
// While a database cannot be reached, Read() and Begin() try for $STAGEFS_INDEX_WAIT seconds (30), questions wait as
// long for their answers, changes for ten minutes; then they fail with kIo, as does what was in progress. A transaction
// whose Commit() fails with kIo may have been committed nevertheless.
// Errors: kNotFound if it is not there and shall not be made; kCorrupt if the file is not an index; kUnsupported if a
// newer stagefs made it, or the URL has another scheme; kPermission; kReadOnly; kIo.
Result<std::unique_ptr<StagingIndex>> OpenStagingIndex(const IndexPlace& place);

}  // namespace stagefs
