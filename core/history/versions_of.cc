#include "versions_of.h"

#include <algorithm>
#include <numeric>

namespace stagefs {
namespace {

// Versions are read in one go where at most so many times as many lie between them.
constexpr int64_t kSparseMax = 4;

Error Gone() { return Error(ErrorCode::kCorrupt, "a tree names a version that is gone: run stagefs fsck"); }

}  // namespace

Result<std::unordered_map<VersionId, VersionInfo>> VersionsOf(VersionQuestions& index, std::vector<VersionId> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::erase(ids, VersionId{0});
  std::unordered_map<VersionId, VersionInfo> found;
  if (ids.empty()) return found;
  found.reserve(ids.size());
  const int64_t span = ids.back() - ids.front() + 1;
  if (span <= kSparseMax * static_cast<int64_t>(ids.size())) {
    STAGEFS_ASSIGN_OR_RETURN(const auto versions, index.ListVersionsFrom(ids.front(), static_cast<size_t>(span)));
    for (const VersionInfo& version : versions) found[version.id] = version;
  }
  for (const VersionId id : ids) {
    if (found.contains(id)) continue;
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, index.GetVersion(id));
    if (!version) return Gone();
    found[id] = *version;
  }
  return found;
}

Result<std::vector<ContentId>> ContentIds::Of(VersionQuestions& index, const std::vector<VersionId>& ids) {
  std::vector<size_t> order(ids.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&ids](size_t a, size_t b) { return ids[a] < ids[b]; });
  std::vector<ContentId> contents(ids.size());
  for (size_t at = 0; at < order.size();) {
    const int64_t number = ids[order[at]] / kBlock;
    size_t end = at;
    while (end < order.size() && ids[order[end]] / kBlock == number) ++end;
    STAGEFS_ASSIGN_OR_RETURN(const Block* block, BlockWith(index, number, static_cast<int64_t>(end - at)));
    for (; at < end; ++at) {
      const VersionId id = ids[order[at]];
      if (at > 0 && ids[order[at - 1]] == id) {
        contents[order[at]] = contents[order[at - 1]];
      } else if (block != nullptr) {
        const std::optional<ContentId>& content = (*block)[static_cast<size_t>(id % kBlock)];
        if (!content) return Gone();
        contents[order[at]] = *content;
      } else {
        STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version, index.GetVersion(id));
        if (!version) return Gone();
        contents[order[at]] = version->content;
      }
    }
  }
  return contents;
}

Result<const ContentIds::Block*> ContentIds::BlockWith(VersionQuestions& index, int64_t number, int64_t more) {
  if (const auto kept = blocks_.find(number); kept != blocks_.end()) return &kept->second;
  if (look_ups_.size() >= kCountsMax) look_ups_.clear();
  int64_t& look_ups = look_ups_[number];
  look_ups += more;
  if (look_ups < kLookUpsMax) return nullptr;
  const VersionId first = number * kBlock;
  STAGEFS_ASSIGN_OR_RETURN(const auto versions, index.ListVersionsFrom(first, kBlock));
  look_ups_.erase(number);
  if (kept_.size() == kBlocksMax) {
    blocks_.erase(kept_.front());
    kept_.pop_front();
  }
  kept_.push_back(number);
  Block& block = blocks_[number];
  block.resize(kBlock);
  for (const VersionInfo& version : versions) {
    if (version.id < first + kBlock) block[static_cast<size_t>(version.id - first)] = version.content;
  }
  return &block;
}

}  // namespace stagefs
