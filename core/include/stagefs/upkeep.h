// What an administrator looks after: damage, unused versions, and what may be wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/repository.h"
#include "stagefs/repository_places.h"

namespace stagefs {

constexpr int64_t kGcKeepDaysDefault = 14;

// What fsck found. `Clean()` is what its exit status says.
struct FsckReport {
  int64_t checked = 0;
  std::vector<Sha256> missing;   // Rows without bytes.
  std::vector<Sha256> damaged;   // Bytes that do not hash to their name.
  std::vector<Sha256> orphaned;  // Bytes without a row: harmless, gc removes them.
  // Of the damaged ones: in damaged/ already, as where other machines do not see a mark.
  int64_t set_aside = 0;
  int64_t entries_without_version = 0;
  std::vector<std::string> index_damage;  // Of the index's own pages, a sentence each.
  bool Clean() const {
    return missing.empty() && damaged.empty() && entries_without_version == 0 && index_damage.empty();
  }
};

struct GcReport {
  int64_t versions = 0, orphans = 0;
  uint64_t bytes = 0;
  // Where this machine's clock is later than can be believed: days were counted back from here.
  std::optional<int64_t> counted_until_ns;
};

// Reads the index's pages and every version, and compares that with its hash. What is found wrong fails to be opened
// from then on. Holds nobody back.
Result<FsckReport> Fsck(Repository& repository, const std::function<void(int64_t done)>& progress);
// Moves bytes that Fsck() found to be damaged out of the store, to damaged/, unless they were replaced meanwhile.
// Returns how many. Storing the same content again heals it, with or without this.
Result<int64_t> SetAside(Repository& repository, const std::vector<Sha256>& damaged);
// Removes versions that nothing names and nobody put, found or unstaged in the last `keep_days`, and bytes without a
// row that are as old. Two at once: the second waits. kStale where the repository moved meanwhile.
Result<GcReport> Gc(Repository& repository, int64_t keep_days);

// A version that came with a close() and was written over since by a file that went on from it.
struct OutgrownVersion {
  VersionId id = 0;
  CommitSeq newest_commit = 0;  // There was before it came.
};
// Removes those that nothing names and nobody wanted since (VersionInfo::IsWanted()), as gc would much later. Returns
// those that may be removed another time: what replaced them is not synced yet, or others change the index all the
// time. The turn is short. kUnsupported where machines share the index.
Result<std::vector<OutgrownVersion>> RemoveOutgrown(Repository& repository,
                                                    const std::vector<OutgrownVersion>& versions);

// Where the index below the root is gone, empty or damaged: builds another from the rows of it that can be read, and
// from the versions, each of which is hashed where it has no row. Returns what was saved and what was not, a line each.
// The old one stays, as stagefs.db.damaged-TIME. Errors: kExists where nothing is wrong; kBusy while any process has
// the repository open; kUnsupported for an index elsewhere, which its database looks after; kNotFound.
Result<std::vector<std::string>> RebuildIndex(const std::string& root, const RepositoryName& name,
                                              const std::function<void(int64_t done)>& progress);

// Hashes versions that are on this machine's disks while the process lives, so slowly that nobody notices, one process
// at a time for each repository. What is found wrong fails to be opened from then on. A pass goes on where the last
// process stopped; the next begins a month later, or at once where a disk failed meanwhile (NoteDiskError()).
class BackgroundCheck {
 public:
  // Of what `opened` says, each time anew.
  explicit BackgroundCheck(std::function<std::vector<std::shared_ptr<Repository>>()> opened);
  ~BackgroundCheck();
  BackgroundCheck(const BackgroundCheck&) = delete;
  BackgroundCheck& operator=(const BackgroundCheck&) = delete;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};
// A few of the versions that come next in the pass: how many bytes were read, std::nullopt where nothing is to do.
std::optional<uint64_t> CheckSomeVersions(Repository& repository);

// One thing that Diagnose() looked at, in a sentence that says what to do where it is not good.
struct Finding {
  bool good = false;
  std::string text;
};
// Looks at this machine, and at the places where the repository keeps what it knows.
Result<std::vector<Finding>> Diagnose(const std::string& root, const RepositoryName& name,
                                     const RepositoryPlaces& places);

}  // namespace stagefs
