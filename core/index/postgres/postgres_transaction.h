// Reading and changing an index on PostgreSQL.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "postgres_pool.h"
#include "postgres_turns.h"
#include "index/sql_changes.h"

namespace stagefs {

// Tells of a slot that it was never added, or may have been: one in a hundred wrongly, after five million. Takes no
// memory before the first one, and 8 MiB afterwards.
class SlotFilter {
 public:
  void Add(const Slot& slot) {
    if (bits_.empty()) bits_.resize(kBits);
    for (const size_t bit : BitsOf(slot)) bits_[bit] = true;
  }
  bool MayHave(const Slot& slot) const {
    if (bits_.empty()) return false;
    const auto bits = BitsOf(slot);
    return std::all_of(bits.begin(), bits.end(), [this](size_t bit) { return bits_[bit]; });
  }

 private:
  static constexpr size_t kBits = 64 << 20;
  static std::array<size_t, 3> BitsOf(const Slot& slot) {
    const size_t name = std::hash<std::string_view>()(slot.name);
    const size_t hash = name ^ static_cast<size_t>(slot.folder) * 0x9e3779b97f4a7c15;
    return {hash % kBits, (hash >> 19) % kBits, (hash >> 38) % kBits};
  }
  std::vector<bool> bits_;
};

// FindVersions() in one round trip.
Result<std::vector<std::optional<VersionInfo>>> FindVersionsTogether(PostgresConnection& connection,
                                                                     const std::vector<HashRef>& hashes);

class PostgresReader : public SqlQuestions<IndexReader, PostgresConnection> {
 public:
  explicit PostgresReader(PostgresLease lease) : lease_(std::move(lease)) {
    lease_->ExecuteLater("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  }
  ~PostgresReader() override { lease_->ExecuteUnanswered("COMMIT"); }

  Result<std::vector<std::optional<VersionInfo>>> FindVersions(const std::vector<HashRef>& hashes) override {
    return FindVersionsTogether(*lease_, hashes);
  }
  Result<bool> IsCommitted(VersionId version) override {
    lease_->set_patience(kLongPatience);
    return SqlQuestions::IsCommitted(version);
  }
  Result<int64_t> CountDangling() override {
    lease_->set_patience(kLongPatience);
    return SqlQuestions::CountDangling();
  }
  Result<std::vector<VersionInfo>> ListUnused(int64_t before_ns, size_t limit) override {
    lease_->set_patience(kLongPatience);
    return SqlQuestions::ListUnused(before_ns, limit);
  }

 protected:
  PostgresConnection& connection() override { return *lease_; }

 private:
  PostgresLease lease_;
};

// Slots that were expected are answered from memory, and what is staged there is written together, before anything
// looks at the rows in another way.
class PostgresTransaction : public SqlTransaction<PostgresConnection> {
 public:
  using Base = SqlTransaction<PostgresConnection>;

  // Begun on `lease`, in `turn`. `notify` is a statement that tells others, `committed` is called afterwards.
  PostgresTransaction(PostgresTurns::Held turn, PostgresLease lease, std::string notify,
                      std::function<void()> committed)
      : turn_(std::move(turn)),
        lease_(std::move(lease)),
        notify_(std::move(notify)),
        committed_(std::move(committed)) {}
  ~PostgresTransaction() override {
    if (!ended_) lease_->ExecuteUnanswered("ROLLBACK");
  }
  Status Commit() override;

  Result<std::vector<std::optional<VersionInfo>>> FindVersions(const std::vector<HashRef>& hashes) override {
    return FindVersionsTogether(*lease_, hashes);
  }
  Status Expect(WorkspaceId workspace, const TreeView& base, const std::vector<Slot>& slots) override;
  Result<bool> HasBaseRows(FolderId folder) override;
  Result<FolderId> NewFolder() override;
  Result<std::optional<StagedEntry>> LookUpStaged(WorkspaceId workspace, FolderId folder,
                                                  std::string_view name) override;
  Result<std::optional<Entry>> LookUpBase(const TreeView& view, FolderId folder, std::string_view name) override;
  Result<bool> AddStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status PutStaged(WorkspaceId workspace, const Slot& slot, const StagedEntry& staged) override;
  Status EraseStaged(WorkspaceId workspace, const Slot& slot) override;
  // Many rows are renewed in one order, so that no two transactions wait for each other.
  Status RenewVersion(VersionId id, int64_t now_ns) override {
    renewed_[id] = now_ns;
    return {};
  }

  Status EraseAllStaged(WorkspaceId workspace) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::EraseAllStaged(workspace);
  }
  Status MoveStaged(WorkspaceId from, WorkspaceId to) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::MoveStaged(from, to);
  }
  Status EraseWorkspace(WorkspaceId id) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::EraseWorkspace(id);
  }
  Result<int64_t> EraseEntriesOf(VersionId version) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::EraseEntriesOf(version);
  }
  Result<int64_t> MoveStagedTo(const CommitInfo& commit, WorkspaceId workspace) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::MoveStagedTo(commit, workspace);
  }
  Result<std::vector<Named<StagedEntry>>> ListStaged(WorkspaceId workspace, FolderId folder, std::string_view after,
                                                     size_t limit) override {
    const auto known = expected_.lower_bound(Slot{folder, std::string(after)});
    if (known != expected_.end() && known->first.folder == folder) STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::ListStaged(workspace, folder, after, limit);
  }
  Result<std::vector<StagedRow>> ScanStaged(WorkspaceId workspace, const std::optional<Slot>& after,
                                            size_t limit) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::ScanStaged(workspace, after, limit);
  }
  Result<std::vector<VersionInfo>> ListUnused(int64_t before_ns, size_t limit) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    STAGEFS_RETURN_IF_ERROR(WriteRenewed());
    return Base::ListUnused(before_ns, limit);
  }
  Result<int64_t> CountDangling() override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::CountDangling();
  }
  Result<int64_t> CountStaged(WorkspaceId workspace) override {
    STAGEFS_RETURN_IF_ERROR(WriteExpected());
    return Base::CountStaged(workspace);
  }
  Status BeginSweep() override;
  Result<bool> SweepVersion(VersionId id, int64_t before_ns) override;
  Status EndSweep() override;
  Status PutRow(size_t table, const IndexRow& row) override;
  Status EndRows() override {
    STAGEFS_RETURN_IF_ERROR(WriteCopied());
    return Base::EndRows();
  }

 protected:
  PostgresConnection& connection() override { return *lease_; }

 private:
  struct Expected {
    std::optional<StagedEntry> staged;
    std::optional<Entry> base;
    bool was_staged = false;  // There is a row in the table.
    bool changed = false;
    // A folder is also found by its number, so its row is written at once.
    bool IsFolder() const { return staged && staged->entry.child != 0; }
  };

  Expected* FindExpected(WorkspaceId workspace, FolderId folder, std::string_view name) {
    if (expected_.empty() || workspace != expected_workspace_) return nullptr;
    const auto at = expected_.find(Slot{folder, std::string(name)});
    return at == expected_.end() ? nullptr : &at->second;
  }
  // What is known of a folder since this transaction first looked.
  struct Folder {
    bool has_base_rows = true, had_staged_rows = true;
  };
  void NoteWritten(const Slot& slot) {
    if (expected_workspace_ != 0) written_.Add(slot);
  }
  Status LookAtFolders(WorkspaceId workspace, const std::vector<Slot>& slots);
  // What is at those of many slots where anything is.
  Status LookAtStaged(WorkspaceId workspace, const std::vector<const Slot*>& slots);
  Status LookAtBase(const TreeView& view, const std::vector<const Slot*>& slots);
  Status EraseStagedAt(WorkspaceId workspace, const std::vector<const Slot*>& slots);
  Status WriteExpected();
  Status WriteRenewed();
  Status WriteCopied();

  PostgresTurns::Held turn_;
  PostgresLease lease_;
  const std::string notify_;
  const std::function<void()> committed_;
  bool ended_ = false;
  WorkspaceId expected_workspace_ = 0;
  int64_t expected_lineage_ = 0;  // Of the view whose rows are expected.
  CommitSeq expected_seq_ = 0;
  std::map<Slot, Expected> expected_;
  std::unordered_map<FolderId, Folder> folders_;
  std::vector<FolderId> new_folders_;  // Numbers that nothing has yet.
  int64_t new_folders_together_ = 1;
  SlotFilter written_;  // Slots that have a row since WriteExpected().
  std::map<VersionId, int64_t> renewed_;
  CopyRows copied_;
  size_t copied_table_ = 0;
};

}  // namespace stagefs
