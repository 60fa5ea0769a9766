// Versions of many files, asked for together.
#pragma once

#include <deque>
#include <unordered_map>
#include <vector>

#include "stagefs/staging_index.h"

namespace stagefs {

// Those that `ids` name, which may name some twice; 0, which entries without a version have, names none. kCorrupt if
// one is gone, which a tree names.
Result<std::unordered_map<VersionId, VersionInfo>> VersionsOf(VersionQuestions& index, std::vector<VersionId> ids);

// The hashes of versions, for whoever goes through a tree and asks for those of some thousand files at a time.
//
// The rows of versions lie in order of their numbers. Of a block of them a few are looked up one by one; once there
// were so many that all of the block could have been read meanwhile, it is, and kept. So it costs at most about twice
// the better of both, wherever the versions of a tree lie. A number never gets another content: what is kept stays
// right.
class ContentIds {
 public:
  static constexpr int64_t kBlock = 1024;      // Versions that are read together,
  static constexpr int64_t kLookUpsMax = 64;   // where so many were looked up: a guess at what takes as long.
  static constexpr size_t kBlocksMax = 1024;   // Kept, the newest ones: 50 MB.
  static constexpr size_t kCountsMax = 65536;  // Of blocks that are not; beyond that counting begins anew.

  // In the order of `ids`, which may name some twice. kCorrupt if one is gone, which a tree names.
  Result<std::vector<ContentId>> Of(VersionQuestions& index, const std::vector<VersionId>& ids);

 private:
  using Block = std::vector<std::optional<ContentId>>;
  // nullptr where it is not worth it yet to read the block, of which `more` are asked for.
  Result<const Block*> BlockWith(VersionQuestions& index, int64_t number, int64_t more);

  std::unordered_map<int64_t, Block> blocks_;
  std::deque<int64_t> kept_;  // Those, the oldest first.
  std::unordered_map<int64_t, int64_t> look_ups_;
};

}  // namespace stagefs
