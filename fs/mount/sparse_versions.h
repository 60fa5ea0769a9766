// How much room versions with holes take, as far as the mount shows any.
#pragma once

#include <map>
#include <optional>

#include "stagefs/guarded.h"
#include "stagefs/staging_index.h"

namespace stagefs {

// Safe for concurrent use. Outlived by the index, which is asked once for each version that is newer than all before.
class SparseVersions {
 public:
  explicit SparseVersions(StagingIndex& index) : index_(index) {}

  // In blocks of 512 bytes; std::nullopt: as its size says, or the index does not answer.
  std::optional<int64_t> BlocksOf(VersionId version, uint64_t size_bytes);

 private:
  void LearnUpTo(VersionId version);

  struct Known {
    VersionId up_to = 0;
    std::map<VersionId, int64_t> blocks;
  };
  StagingIndex& index_;
  Guarded<Known> known_;
};

}  // namespace stagefs
