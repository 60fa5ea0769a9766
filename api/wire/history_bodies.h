// Bodies of branches, tags, commits and merges.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "views.h"

namespace stagefs {

std::string BranchBody(std::string_view message, const BranchView& branch);
std::string BranchesBody(const std::vector<BranchView>& branches);
std::string TagBody(std::string_view message, const TagView& tag);
std::string TagsBody(const std::vector<TagView>& tags);
std::string CommitBody(std::string_view message, const CommitView& commit);
std::string CommitsBody(const std::vector<CommitView>& commits, const PageView& page);
std::string MergeBody(const CommitView& base, const CommitView& head, const CommitView& merge);
std::string MergeableBody(const std::vector<std::string>& conflicts, const std::vector<CommitView>& commits);

}  // namespace stagefs
