// Versions in an index: which contents are known, since when, and whether anything names them.
#pragma once

#include "stagefs/index_rows.h"
#include "stagefs/result.h"

namespace stagefs {

// A missing thing is std::nullopt; an Error is trouble with the index itself. Listings return at most `limit` rows.
class VersionQuestions {
 public:
  virtual ~VersionQuestions() = default;

  virtual Result<std::optional<VersionInfo>> FindVersion(const HashRef& hash) = 0;
  virtual Result<std::optional<VersionInfo>> GetVersion(VersionId id) = 0;
  // In order of SHA-256; std::nullopt starts at the beginning.
  virtual Result<std::vector<VersionInfo>> ListVersions(const std::optional<Sha256>& after, size_t limit) = 0;
  // The same of the hashes and numbers alone. They may be there yet where other parts of a damaged row are not.
  virtual Result<std::vector<std::pair<Sha256, VersionId>>> ListVersionIds(const std::optional<Sha256>& after,
                                                                           size_t limit) = 0;
  // In order of id, from `first` on.
  virtual Result<std::vector<VersionInfo>> ListVersionsFrom(VersionId first, size_t limit) = 0;
  virtual Result<std::vector<VersionInfo>> ListUnsynced(size_t limit) = 0;
  // Versions that nothing names and that were last renewed before `before_ns`.
  virtual Result<std::vector<VersionInfo>> ListUnused(int64_t before_ns, size_t limit) = 0;
  // Of `first` to `last`, those that rows name: of trees, only rows of commits after `after`.
  virtual Result<std::vector<VersionId>> ListNamed(VersionId /*first*/, VersionId /*last*/, CommitSeq /*after*/) {
    return Error(ErrorCode::kUnsupported, "this index does not say what names a version");
  }
  // Whether any commit names it; every row of every commit is looked at.
  virtual Result<bool> IsCommitted(VersionId version) = 0;
  // Rows of trees and workspaces that name a version that has no row: always 0, or the index is damaged.
  virtual Result<int64_t> CountDangling() = 0;

  // The largest number that any has or had; 0: not known.
  virtual Result<VersionId> NewestVersion() { return VersionId{0}; }
  // Those with holes whose numbers are larger, in order. Without an answer a file takes what its size says.
  virtual Result<std::vector<SparseVersion>> ListSparse(VersionId /*after*/) { return std::vector<SparseVersion>(); }

  // The newest time that any version or commit has.
  virtual Result<int64_t> NewestNs() = 0;

  // FindVersion() for many. An index that is far away finds them in one round trip.
  virtual Result<std::vector<std::optional<VersionInfo>>> FindVersions(const std::vector<HashRef>& hashes);
};

class VersionChanges {
 public:
  virtual ~VersionChanges() = default;

  // The row of a version that has none, or got one a moment ago. kConflict if another content has the same XXH3.
  virtual Result<VersionId> AddVersion(const VersionInfo& version) = 0;
  virtual Status RenewVersion(VersionId id, int64_t now_ns) = 0;
  // What was noted by PutUnsyncedEntry() for it is forgotten.
  virtual Status SetSynced(VersionId id) = 0;
  virtual Status EraseVersion(VersionId id) = 0;
  virtual Status PutSparse(const SparseVersion& /*sparse*/) { return {}; }

  // For removing many unused versions without holding others back. Once the transaction that begins a sweep is
  // committed, every version that any process comes to name is noted. So what ListUnused() says later can be erased in
  // small transactions: SweepVersion() erases it, unless it was noted or renewed since. EndSweep() ends the noting.
  // REQUIRES: one sweep at a time. kUnsupported: there are none, and no gc.
  virtual Status BeginSweep() { return Error(ErrorCode::kUnsupported, "this index has no sweeps"); }
  virtual Result<bool> SweepVersion(VersionId /*id*/, int64_t /*before_ns*/) { return false; }
  virtual Status EndSweep() { return {}; }
};

}  // namespace stagefs
