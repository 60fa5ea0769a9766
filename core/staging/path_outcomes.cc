#include "path_outcomes.h"

namespace stagefs {
namespace {

constexpr int64_t kShownMax = 20;

// The highest of `paths` that `path` is at or below.
const RepoPath& TopOf(const RepoPath& path, const std::set<RepoPath>& paths) {
  const RepoPath* top = &path;
  for (RepoPath above = path; !above.is_root();) {
    above = above.parent();
    if (const auto at = paths.find(above); at != paths.end()) top = &*at;
  }
  return *top;
}

}  // namespace

ByPath::ByPath(const std::vector<RepoPath>& paths) : paths_(paths), all_(paths.begin(), paths.end()) {
  for (const RepoPath& path : paths) outcomes_.emplace(TopOf(path, all_), Status());
}

std::vector<Status> ByPath::InOrder() const {
  std::vector<Status> all;
  for (const RepoPath& path : paths_) all.push_back(outcomes_.at(TopOf(path, all_)));
  return all;
}

void PathErrors::Add(const Error& error) {
  if (count_++ == 0) first_ = error;
  if (count_ <= kShownMax) lines_ += "\n  " + error.message();
}

Status PathErrors::Outcome() const {
  if (count_ <= 1) return first_;
  const std::string others = count_ > kShownMax ? "\n  and " + std::to_string(count_ - kShownMax) + " more" : "";
  return Error(first_.error().code(),
               "nothing is changed, as " + std::to_string(count_) + " paths cannot be:" + lines_ + others);
}

}  // namespace stagefs
