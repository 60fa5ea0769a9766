// Moves a repository between places: its index, its versions, or both.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/repository.h"
#include "stagefs/repository_places.h"

namespace stagefs {

struct MigrateReport {
  int64_t versions = 0, rows = 0;  // Copied.
  uint64_t bytes = 0;
  std::vector<std::string> left;  // What is still where it was before, and is not used any more.
};

// Copies what `places` names to there (an empty place stays as it is; std::nullopt is back below the root), and makes
// the folder below `root` name it. Who reads meanwhile goes on reading; who writes waits for the index to be copied,
// after the versions, and is then told to mount again: the old place takes no change from then on. It is left as it is,
// for whoever wants to remove it.
//
// Every version is hashed as it arrives, and every row read back and compared. Interrupted, it goes on when it is
// called again. What an earlier move of the same repository left at the new place is replaced. Errors: kExists where it
// is there already, or another repository of that name; kIo.
Result<MigrateReport> Migrate(const std::string& root, const RepositoryName& name,
                              std::optional<RepositoryPlaces> places,
                              const std::function<void(int64_t done, int64_t total)>& progress);

}  // namespace stagefs
