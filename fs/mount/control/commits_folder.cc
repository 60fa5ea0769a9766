#include "mount/control/commits_folder.h"

#include <algorithm>

#include "stagefs/history.h"
#include "stagefs/revision.h"

namespace stagefs {
namespace {

// '/' and "%2F", which no name of a branch or tag has.
std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

Listed LinkNamed(const std::string& name) { return {Replaced(name, "/", "%2F"), NodeKind::kCommitLink, {}}; }

// Numbers grow with time, and few are missing.
Status AddNewest(IndexReader& index, CommitSeq newest, std::vector<Listed>* names) {
  for (CommitSeq seq = newest; seq > 0 && names->size() < CommitsFolder::kCommitsListed; --seq) {
    STAGEFS_ASSIGN_OR_RETURN(const std::optional<CommitInfo> commit, index.GetCommit(seq));
    if (commit) names->push_back({commit->id, NodeKind::kCommitFolder, Entry::OfFolder(kRootFolder)});
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<Node>> CommitsFolder::Child(const Node& folder, const std::string& name) {
  if (folder.kind != NodeKind::kCommitsFolder) return TreeFolders::Child(folder, name);
  const auto commit = History(env_.repository).Resolve(Replaced(name, "%2F", "/"));
  if (!commit) {
    const ErrorCode code = commit.error().code();
    return code == ErrorCode::kNotFound || code == ErrorCode::kInvalidArgument ? NoSuchName(name) : commit.error();
  }
  if (commit->id == name) {
    STAGEFS_ASSIGN_OR_RETURN(auto tree, OpenTree(env_.repository, *commit));
    return RootOf(folder, name, {std::move(tree), "t" + std::to_string(commit->seq), commit->time_ns});
  }
  auto table = env_.nodes.Lock();
  auto node = table->FindOrAddControl("l:" + name + '/' + commit->id, NodeKind::kCommitLink,
                                      table->NumberAt(folder, name));
  node->SetEntry(Entry::OfSymlink(commit->id, commit->time_ns));
  return node;
}

Result<ListedPage> CommitsFolder::List(const Node& folder, const std::string& after) {
  if (folder.kind != NodeKind::kCommitsFolder) return TreeFolders::List(folder, after);
  ListedPage page;
  page.is_last = true;
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, env_.repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const auto branches, reader->ListBranches());
  CommitSeq newest = 0;
  for (const BranchInfo& branch : branches) newest = std::max(newest, branch.head);
  STAGEFS_RETURN_IF_ERROR(AddNewest(*reader, newest, &page.names));
  for (const BranchInfo& branch : branches) page.names.push_back(LinkNamed(branch.name));
  STAGEFS_ASSIGN_OR_RETURN(const auto tags, reader->ListTags());
  for (const TagInfo& tag : tags) page.names.push_back(LinkNamed(tag.name));
  std::erase_if(page.names, [&](const Listed& listed) { return listed.name <= after; });
  std::sort(page.names.begin(), page.names.end(), [](const Listed& a, const Listed& b) { return a.name < b.name; });
  return page;
}

}  // namespace stagefs
