#include "growing_files.h"

#include <algorithm>
#include <set>
#include <utility>

#include "stagefs/daemon_log.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

// Another mount that looked a version up a moment ago still finds its bytes.
constexpr auto kRemovedAfter = std::chrono::seconds(2);
// What something else names by then stays.
constexpr int kTriesMax = 10;
constexpr size_t kLatelyMax = 4096;

}  // namespace

GrowingFiles::GrowingFiles(Repository& repository)
    : repository_(repository),
      removes_(!repository.index().IsShared() && !repository.versions().IsElsewhere()) {
  NoteNewestCommit();
}

void GrowingFiles::NoteNewestCommit() {
  const auto reader = repository_.index().Read();
  const auto branches = reader ? (*reader)->ListBranches() : reader.error();
  if (!branches) return;
  auto known = known_.Lock();
  for (const BranchInfo& branch : *branches) known->newest_commit = std::max(known->newest_commit, branch.head);
}

void GrowingFiles::Note(const Staged& staged) {
  if (!removes_) return;
  const auto now = Clock::now();
  auto known = known_.Lock();
  if (staged.brought) {
    known->lately[staged.version] = known->newest_commit;
    if (known->lately.size() > kLatelyMax) known->lately.erase(known->lately.begin());
  }
  const auto before = known->lately.find(staged.from);
  if (staged.from == staged.version || before == known->lately.end()) return;
  known->outgrown.push_back({{staged.from, before->second},
                             staged.is_followed ? now + kRemovedAfter : now});
  known->lately.erase(before);
  remover_.Wake();
}

bool GrowingFiles::RemoveOutgrown() {
  std::vector<OutgrownVersion> old_enough;
  {
    const auto now = Clock::now();
    auto known = known_.Lock();
    for (const Waiting& waiting : known->outgrown) {
      if (waiting.not_before <= now) old_enough.push_back(waiting.version);
    }
    if (old_enough.empty()) return known->outgrown.empty();
  }
  NoteNewestCommit();
  const auto left = stagefs::RemoveOutgrown(repository_, old_enough);
  if (!left) Log(LogLevel::kDebug, "what files grew out of was not removed: " + left.error().message());
  std::set<VersionId> done;
  for (const OutgrownVersion& version : old_enough) done.insert(version.id);
  for (const OutgrownVersion& version : left ? *left : old_enough) done.erase(version.id);
  auto known = known_.Lock();
  std::erase_if(known->outgrown, [&](Waiting& waiting) {
    const bool was_tried = std::any_of(old_enough.begin(), old_enough.end(), [&](const OutgrownVersion& version) {
      return version.id == waiting.version.id;
    });
    return done.contains(waiting.version.id) || (was_tried && ++waiting.tries > kTriesMax);
  });
  return known->outgrown.empty();
}

void GrowingFiles::RemoveRest() {
  for (Waiting& waiting : known_.Lock()->outgrown) waiting.not_before = {};
  (void)RemoveOutgrown();
}

}  // namespace stagefs
