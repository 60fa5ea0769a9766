#include "index/held_reader.h"
#include "stagefs/revision.h"
#include "stagefs/version_source.h"
#include "tree/follow_link.h"
#include "tree/workspace_tree.h"

namespace stagefs {
namespace {

// A commit never changes, so each question may have a reader of its own.
class FixedTree : public Tree {
 public:
  FixedTree(Repository& repository, TreeView view) : repository_(repository), view_(std::move(view)) {}

  Result<std::optional<Entry>> LookUp(const Slot& slot) override {
    return Ask([&](CommitTree& tree) { return tree.LookUp(slot); });
  }
  Result<std::vector<Named<Entry>>> List(FolderId folder, std::string_view after, size_t limit) override {
    return Ask([&](CommitTree& tree) { return tree.List(folder, after, limit); });
  }
  Result<std::optional<Slot>> PlaceOf(FolderId folder) override {
    return Ask([&](CommitTree& tree) { return tree.PlaceOf(folder); });
  }
  Result<std::string> PathOf(FolderId folder) override {
    return Ask([&](CommitTree& tree) { return tree.PathOf(folder); });
  }
  Result<Located> Find(const RepoPath& path) override {
    return Ask([&](CommitTree& tree) { return tree.Find(path); });
  }

 private:
  template <class Question>
  auto Ask(Question question) -> decltype(question(std::declval<CommitTree&>())) {
    STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
    CommitTree tree(*reader, view_);
    return question(tree);
  }

  Repository& repository_;
  const TreeView view_;
};

}  // namespace

Result<std::unique_ptr<Tree>> OpenTree(Repository& repository, const CommitInfo& commit) {
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, repository.index().Read());
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, reader->ViewOf(commit.seq));
  return std::unique_ptr<Tree>(new FixedTree(repository, std::move(view)));
}

struct RevisionTree::Moment {
  Repository& repository;
  std::shared_ptr<IndexReader> reader;
  WorkspaceTree tree;
  const LinksAre links;
  LeftOutLinks left_out{};

  // Whether clients are shown what `slot` has; a link that is followed becomes its file.
  Result<bool> Show(const Slot& slot, Entry* entry) {
    STAGEFS_ASSIGN_OR_RETURN(const bool hidden, tree.IsLeftOut(slot, *entry));
    if (hidden || entry->kind != EntryKind::kSymlink || links == LinksAre::kLinks) return !hidden;
    STAGEFS_ASSIGN_OR_RETURN(FollowedLink followed, FollowLink(tree, slot.folder, entry->target));
    if (followed.file) {
      *entry = std::move(*followed.file);
      return true;
    }
    if (left_out.size() < kLeftOutLinksMax) {
      STAGEFS_ASSIGN_OR_RETURN(const std::string path, tree.PathOf(slot));
      left_out.emplace(path, std::move(followed.why));
    }
    return false;
  }
};

RevisionTree::RevisionTree(std::unique_ptr<Moment> moment) : moment_(std::move(moment)) {}
RevisionTree::~RevisionTree() = default;

Result<std::unique_ptr<RevisionTree>> RevisionTree::Open(Repository& repository, const Revision& revision,
                                                         LinksAre links) {
  STAGEFS_ASSIGN_OR_RETURN(std::shared_ptr<IndexReader> reader, repository.index().Read());
  return OpenWith(repository, std::move(reader), revision, links);
}

Result<std::unique_ptr<RevisionTree>> RevisionTree::OpenBeside(const Revision& revision) {
  return OpenWith(moment_->repository, moment_->reader, revision, moment_->links);
}

Result<std::unique_ptr<RevisionTree>> RevisionTree::OpenWith(Repository& repository,
                                                             std::shared_ptr<IndexReader> reader,
                                                             const Revision& revision, LinksAre links) {
  STAGEFS_ASSIGN_OR_RETURN(TreeView view, reader->ViewOf(revision.commit.seq));
  // Nothing is staged where there is no workspace.
  WorkspaceTree tree(*reader, revision.workspace.value_or(WorkspaceInfo()), std::move(view));
  return std::unique_ptr<RevisionTree>(
      new RevisionTree(std::unique_ptr<Moment>(new Moment{repository, std::move(reader), std::move(tree), links})));
}

const LeftOutLinks& RevisionTree::left_out_links() const { return moment_->left_out; }

bool RevisionTree::is_workspace() const { return moment_->tree.workspace().id != 0; }

Result<std::optional<Entry>> RevisionTree::LookUp(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(std::optional<Entry> entry, moment_->tree.LookUp(slot));
  if (!entry) return entry;
  STAGEFS_ASSIGN_OR_RETURN(const bool shown, moment_->Show(slot, &*entry));
  if (!shown) entry.reset();
  return entry;
}

Result<std::vector<Named<Entry>>> RevisionTree::List(FolderId folder, std::string_view after, size_t limit) {
  std::vector<Named<Entry>> shown;
  std::string last(after);
  while (shown.size() < limit) {
    STAGEFS_ASSIGN_OR_RETURN(auto page, moment_->tree.List(folder, last, limit));
    if (page.empty()) break;
    last = page.back().name;
    for (Named<Entry>& entry : page) {
      STAGEFS_ASSIGN_OR_RETURN(const bool is_shown, moment_->Show({folder, entry.name}, &entry.value));
      if (is_shown && shown.size() < limit) shown.push_back(std::move(entry));
    }
  }
  return shown;
}

Result<std::optional<Slot>> RevisionTree::PlaceOf(FolderId folder) { return moment_->tree.PlaceOf(folder); }

Result<Located> RevisionTree::Find(const RepoPath& path) {
  STAGEFS_ASSIGN_OR_RETURN(Located at, moment_->tree.Find(path));
  STAGEFS_ASSIGN_OR_RETURN(const bool shown, moment_->Show(at.slot, &at.entry));
  if (!shown) return Error(ErrorCode::kNotFound, "no such path: " + ToDisplayUtf8(path.str()));
  return at;
}

IndexReader& RevisionTree::index() { return *moment_->reader; }

Result<VersionInfo> RevisionTree::VersionOf(const Entry& file) {
  STAGEFS_ASSIGN_OR_RETURN(const std::optional<VersionInfo> version,
                           moment_->reader->GetVersion(file.version));
  if (!version) return Error(ErrorCode::kCorrupt, "a tree names a version that is gone");
  return *version;
}

Result<std::optional<CommitInfo>> RevisionTree::LastCommitOf(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const auto staged, moment_->tree.LookUpStaged(slot));
  if (staged && staged->state != StagedState::kKept) return std::optional<CommitInfo>();
  STAGEFS_ASSIGN_OR_RETURN(const auto seq, moment_->reader->LastCommitOf(moment_->tree.base().view(), slot));
  if (!seq) return std::optional<CommitInfo>();
  return moment_->reader->GetCommit(*seq);
}

Result<std::string> RevisionTree::ChangeOf(const Slot& slot) {
  STAGEFS_ASSIGN_OR_RETURN(const auto staged, moment_->tree.LookUpStaged(slot));
  if (staged && staged->state == StagedState::kAdded) return std::string("Added");
  if (staged && staged->state == StagedState::kModified) return std::string("Modified");
  return std::string();
}

Result<std::unique_ptr<VersionReader>> RevisionTree::OpenVersion(const VersionInfo& version) {
  const HeldReader::Beside beside;  // Where the bytes are not there, it asks why.
  return moment_->repository.OpenVersion(version);
}

}  // namespace stagefs
