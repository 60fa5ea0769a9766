// What an administrator looks after: damage, unused versions, and what may be wrong.
#pragma once

#include <cstdint>
#include <functional>
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
  int64_t entries_without_version = 0;
  bool Clean() const { return missing.empty() && damaged.empty() && entries_without_version == 0; }
};

struct GcReport {
  int64_t versions = 0, orphans = 0;
  uint64_t bytes = 0;
};

// Reads every version and compares it with its hash.
Result<FsckReport> Fsck(Repository& repository, const std::function<void(int64_t done)>& progress);
// Moves damaged bytes out of the store, to damaged/: storing the same content again heals it.
Status SetAside(Repository& repository, const std::vector<Sha256>& damaged);
// Removes versions that nothing names and nobody put, found or unstaged in the last `keep_days`.
Result<GcReport> Gc(Repository& repository, int64_t keep_days);

// One thing that Diagnose() looked at, in a sentence that says what to do where it is not good.
struct Finding {
  bool good = false;
  std::string text;
};
// Looks at this machine, and at the places where the repository keeps what it knows.
Result<std::vector<Finding>> Diagnose(const std::string& root, const RepositoryName& name,
                                     const RepositoryPlaces& places);

}  // namespace stagefs
