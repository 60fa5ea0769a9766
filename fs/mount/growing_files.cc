#include "growing_files.h"

#include <algorithm>
#include <optional>

#include "stagefs/daemon_log.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

// Another mount that looked a version up a moment ago still finds its bytes.
constexpr auto kRemovedAfter = std::chrono::seconds(2);
// What something else names by then stays.
constexpr int kTriesMax = 10;
constexpr size_t kLatelyMax = 4096;
// A file is staged so often at most, and a twentieth of the time goes into that.
constexpr auto kStagedAgainAfter = std::chrono::seconds(1);
constexpr int kShareOfStaging = 20;

}  // namespace

GrowingFiles::GrowingFiles(Repository& repository)
    : repository_(repository),
      removes_(!repository.index().IsShared() && !repository.versions().IsElsewhere()) {
  if (removes_) NoteNewestCommit();
}

void GrowingFiles::NoteNewestCommit() {
  const auto reader = repository_.index().Read();
  const auto branches = reader ? (*reader)->ListBranches() : reader.error();
  if (!branches) return;
  auto known = known_.Lock();
  for (const BranchInfo& branch : *branches) known->newest_commit = std::max(known->newest_commit, branch.head);
}

void GrowingFiles::Note(const Staged& staged, FileHome& home) {
  if (!removes_) return;
  std::optional<OutgrownVersion> outgrown;
  {
    auto known = known_.Lock();
    if (staged.brought) {
      const auto wait = std::max<Clock::duration>(kStagedAgainAfter, kShareOfStaging * staged.took);
      known->lately[staged.version] = {known->newest_commit, Clock::now() + wait};
      if (known->lately.size() > kLatelyMax) known->lately.erase(known->lately.begin());
    }
    const auto before = known->lately.find(staged.from);
    if (staged.from == staged.version || before == known->lately.end()) return;
    outgrown = {staged.from, before->second.newest_commit};
    known->lately.erase(before);
  }
  const auto now = Clock::now();
  known_.Lock()->outgrown.push_back({*outgrown, home.IsFollowed() ? now + kRemovedAfter : now});
  remover_.Wake();
}

GrowingFiles::Clock::time_point GrowingFiles::DueAfter(VersionId version) {
  auto known = known_.Lock();
  const auto came = known->lately.find(version);
  return came == known->lately.end() ? Clock::time_point() : came->second.due;
}

bool GrowingFiles::RemoveOutgrown() {
  std::map<VersionId, Waiting> tried;
  std::vector<OutgrownVersion> versions;
  {
    const auto now = Clock::now();
    auto known = known_.Lock();
    std::erase_if(known->outgrown, [&](const Waiting& waiting) {
      if (waiting.not_before > now) return false;
      tried.emplace(waiting.version.id, waiting);
      versions.push_back(waiting.version);
      return true;
    });
    if (tried.empty()) return known->outgrown.empty();
  }
  NoteNewestCommit();
  const auto left = stagefs::RemoveOutgrown(repository_, versions);
  if (!left) Log(LogLevel::kDebug, "what files grew out of was not removed: " + left.error().message());
  auto known = known_.Lock();
  for (const OutgrownVersion& version : left ? *left : versions) {
    Waiting& waiting = tried.at(version.id);
    if (++waiting.tries <= kTriesMax) known->outgrown.push_back(waiting);
  }
  return known->outgrown.empty();
}

void GrowingFiles::RemoveRest() {
  for (Waiting& waiting : known_.Lock()->outgrown) waiting.not_before = {};
  (void)RemoveOutgrown();
}

}  // namespace stagefs
