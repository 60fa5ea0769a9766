// What files grew out of goes at once: a log that is appended to all day must not take its size for each line.
#include <algorithm>
#include <chrono>
#include <set>

#include "stagefs/upkeep.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

using Clock = std::chrono::steady_clock;

// A look at all that names versions that takes no longer may be taken in a turn.
constexpr auto kQuickLook = std::chrono::milliseconds(3);

// What names the versions from the first to the last of them.
class NamesOf {
 public:
  explicit NamesOf(const std::vector<OutgrownVersion>& versions) : last_(versions.front().id) {
    first_ = last_;
    after_ = versions.front().newest_commit;
    for (const OutgrownVersion& version : versions) {
      first_ = std::min(first_, version.id);
      last_ = std::max(last_, version.id);
      after_ = std::min(after_, version.newest_commit);
    }
  }

  Result<std::set<VersionId>> AskFrom(IndexReader& index) const {
    STAGEFS_ASSIGN_OR_RETURN(const auto named, index.ListNamed(first_, last_, after_));
    return std::set<VersionId>(named.begin(), named.end());
  }

 private:
  VersionId first_, last_;
  CommitSeq after_;
};

Status RemoveBytes(Repository& repository, const std::vector<HashRef>& erased) {
  // No durable row may name bytes that go.
  STAGEFS_RETURN_IF_ERROR(repository.index().Sync());
  STAGEFS_ASSIGN_OR_RETURN(const auto turn, repository.BeginRemoval());
  STAGEFS_ASSIGN_OR_RETURN(const auto rows, turn->FindVersions(erased));
  for (size_t i = 0; i < erased.size(); ++i) {
    if (rows[i]) continue;  // Somebody put the same content since.
    const Status removed = repository.versions().Remove(*erased[i].sha256());
    if (!removed && removed.error().code() != ErrorCode::kNotFound) return removed;
  }
  return {};
}

}  // namespace

Result<std::vector<OutgrownVersion>> RemoveOutgrown(Repository& repository,
                                                    const std::vector<OutgrownVersion>& versions) {
  StagingIndex& index = repository.index();
  if (index.IsShared()) return Error(ErrorCode::kUnsupported, "where machines share the index gc removes versions");
  if (versions.empty()) return versions;
  STAGEFS_RETURN_IF_ERROR(repository.RenewFound());
  const NamesOf names(versions);
  STAGEFS_ASSIGN_OR_RETURN(const int64_t mark, index.ChangeMark());
  const auto begun = Clock::now();
  STAGEFS_ASSIGN_OR_RETURN(auto reader, index.Read());
  STAGEFS_ASSIGN_OR_RETURN(std::set<VersionId> named, names.AskFrom(*reader));
  reader.reset();
  const bool is_quick = Clock::now() - begun < kQuickLook;
  if (std::all_of(versions.begin(), versions.end(), [&](const auto& version) { return named.contains(version.id); })) {
    return versions;
  }

  STAGEFS_ASSIGN_OR_RETURN(auto turn, repository.BeginRemoval());
  STAGEFS_ASSIGN_OR_RETURN(const int64_t mark_now, index.ChangeMark());
  if (mark_now != mark && !is_quick) return versions;
  if (mark_now != mark) {
    STAGEFS_ASSIGN_OR_RETURN(named, names.AskFrom(*turn));
  }
  std::vector<OutgrownVersion> left;
  std::vector<HashRef> erased;
  for (const OutgrownVersion& version : versions) {
    STAGEFS_ASSIGN_OR_RETURN(const auto row, turn->GetVersion(version.id));
    if (!row || row->IsWanted()) continue;
    if (named.contains(version.id) || !row->synced) {
      left.push_back(version);
      continue;
    }
    STAGEFS_RETURN_IF_ERROR(turn->EraseVersion(version.id));
    erased.emplace_back(row->content.sha256);
  }
  STAGEFS_RETURN_IF_ERROR(turn->Commit());
  turn.reset();
  if (!erased.empty()) STAGEFS_RETURN_IF_ERROR(RemoveBytes(repository, erased));
  return left;
}

}  // namespace stagefs
