// What a request's path names in a revision.
#pragma once

#include <memory>

#include "call.h"
#include "stagefs/revision.h"
#include "wire/views.h"

namespace stagefs {

// A path in its revision's tree, whose reader of the index this thread has meanwhile.
struct FoundPath {
  Resource resource;
  std::unique_ptr<RevisionTree> tree;
  Located at;

  bool is_folder() const { return at.entry.kind == EntryKind::kFolder; }
};

struct FoundFile {
  std::string path;
  VersionInfo version;
  std::unique_ptr<VersionReader> bytes;
};

// REVISION[/PATH] of the route. What is not there, and what no path is, is answered as NoPath().
OrRefusal<FoundPath> FindPath(const Call& call);
OrRefusal<FoundPath> FindFolder(const Call& call);
OrRefusal<FoundFile> FindFile(const Call& call);

// BRANCH[/PATH] of a request that changes a branch.
struct BranchPath {
  std::string branch;
  RepoPath path;
};
OrRefusal<BranchPath> FindBranchPath(const Call& call);

Result<EntryView> ViewOf(const FoundPath& found, const RevisionView& revision);
// What `tree` shows at `at`, whose path is `path`.
Result<EntryView> ViewOf(RevisionTree& tree, const RevisionView& revision, const Located& at, const std::string& path);
Result<ListingView> ViewFolder(const FoundPath& found, const RevisionView& revision, PageView page);

}  // namespace stagefs
