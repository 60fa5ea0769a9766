// What a client calls a revision: a branch, a tag, a commit, or a workspace; and the tree it shows.
//
// A commit is named by
//
//   main, v1.0           a branch or a tag;
//   4be1, 4be1c0…        its id, or four or more of the digits that begin it and no other; names go before these;
//   REV~N, REV~          the commit that N steps along first parents lead to;
//   REV^N, REV^          its parent number N: ^2 is what a merge brought in, ^0 the commit itself;
//   REV@{WHEN}           the newest of it and its first parents at or before a moment: @{2026-11-20}, in the clock of
//                        this machine and to its end, @{2026-11-20 15:04}, @{2026-11-20T15:04:05Z}, @{3 days ago};
//   refs:NAME            the branch or tag of just that name, whatever is in it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/repository.h"
#include "stagefs/tree.h"

namespace stagefs {

struct Revision {
  std::string name;                        // As the client wrote it.
  CommitInfo commit;                       // Of a workspace: its base.
  std::optional<BranchInfo> branch;        // If the name is a branch's,
  std::optional<TagInfo> tag;              // or else a tag's.
  std::optional<WorkspaceInfo> workspace;  // If it is a workspace's id or name.
};

class Workspace;
// A workspace as it is now.
Result<Revision> RevisionOf(Workspace& workspace);

struct Resource {
  Revision revision;
  RepoPath path;
};

// Errors: kNotFound; kInvalidArgument for what is no revision or begins several commits, which it lists.
Result<Revision> ResolveRevision(IndexReader& index, std::string_view text);

// Reads `text` as REVISION[/PATH]. Names may have slashes: a commit's id comes first, then the longest branch or tag,
// then the longest workspace, then the digits that begin a commit's id.
// Errors: kNotFound if no revision begins it; kInvalidArgument for a path that is none.
Result<Resource> ResolveResource(Repository& repository, std::string_view text);

// The whole tree of a commit, which never changes. Safe for concurrent use; outlived by the repository.
Result<std::unique_ptr<Tree>> OpenTree(Repository& repository, const CommitInfo& commit);

// What clients are shown of a symbolic link: itself; or, where they know no links, the file of the same tree that it
// leads to, over at most kLinkHopsMax links. Then a link to a folder, out of the tree, to nothing or in a ring is left
// out and noted.
enum class LinksAre { kLinks, kFollowed };
// The path of each, and why.
using LeftOutLinks = std::map<std::string, std::string>;
constexpr size_t kLeftOutLinksMax = 1'000;

// The tree of a revision as clients see it: what a commit has or, of a workspace, would have. A moment of it, for
// a few questions on one thread. Outlived by the repository.
class RevisionTree : public Tree {
 public:
  static Result<std::unique_ptr<RevisionTree>> Open(Repository& repository, const Revision& revision,
                                                    LinksAre links = LinksAre::kLinks);
  // Another tree of the same moment, read with the same reader.
  Result<std::unique_ptr<RevisionTree>> OpenBeside(const Revision& revision);
  ~RevisionTree() override;

  bool is_workspace() const;
  // Which links were left out where it was asked so far; the first kLeftOutLinksMax of them.
  const LeftOutLinks& left_out_links() const;

  using Tree::PathOf;
  Result<std::optional<Entry>> LookUp(const Slot& slot) override;
  Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit) override;
  Result<std::optional<Slot>> PlaceOf(FolderId folder) override;
  Result<Located> Find(const RepoPath& path) override;

  // What it reads from: this thread's only reader of the index while the tree lives.
  IndexReader& index();
  Result<VersionInfo> VersionOf(const Entry& file);
  // The commit that gave a file its content; std::nullopt for what is only staged.
  Result<std::optional<CommitInfo>> LastCommitOf(const Slot& slot);
  // "Added" or "Modified" where the revision is a workspace, else "".
  Result<std::string> ChangeOf(const Slot& slot);
  Result<std::unique_ptr<VersionReader>> OpenVersion(const VersionInfo& version);

 private:
  struct Moment;
  explicit RevisionTree(std::unique_ptr<Moment> moment);
  static Result<std::unique_ptr<RevisionTree>> OpenWith(Repository& repository, std::shared_ptr<IndexReader> reader,
                                                        const Revision& revision, LinksAre links);
  const std::unique_ptr<Moment> moment_;
};

}  // namespace stagefs
