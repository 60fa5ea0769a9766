// How a change of many paths went.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "stagefs/repo_path.h"

namespace stagefs {

// Nothing is at the path that it is about.
inline bool IsMissing(const Error& error) {
  return error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kNotDirectory;
}

// How each of some paths went: one below another of them goes with that.
class ByPath {
 public:
  // `paths` must outlive it.
  explicit ByPath(const std::vector<RepoPath>& paths);

  // Those to be done, and how that went.
  std::map<RepoPath, Status>& outermost() { return outcomes_; }
  std::vector<Status> InOrder() const;

 private:
  const std::vector<RepoPath>& paths_;
  const std::set<RepoPath> all_;
  std::map<RepoPath, Status> outcomes_;
};

// What is wrong with paths of a change that is made whole or not at all.
class PathErrors {
 public:
  void Add(const Error& error);
  // OK where there is none; the only one; else the first 20, and how many there are. The code is the first one's.
  Status Outcome() const;

 private:
  Status first_;
  std::string lines_;
  int64_t count_ = 0;
};

}  // namespace stagefs
