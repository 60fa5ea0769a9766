// Bodies of comparisons: what two revisions show differently.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "stagefs/result.h"
#include "views.h"

namespace stagefs {

std::string ComparedCommitsBody(const CommitView& base, const CommitView& head, const std::vector<ApartView>& commits,
                                const PageView& page);
std::string ComparedEntriesBody(const ComparisonView& comparison);
std::string ComparedFileBody(const FileComparisonView& comparison);

// A list of folders of any length, written folder by folder.
class ChangedFoldersBody {
 public:
  using Sink = std::function<Status(std::string_view)>;
  explicit ChangedFoldersBody(Sink write) : write_(std::move(write)) {}
  Status Begin();
  Status Add(const ChangedFolderView& folder);
  Status End();

 private:
  const Sink write_;
  bool is_first_ = true;
};

}  // namespace stagefs
