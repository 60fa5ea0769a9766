#include "comparison.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "revision_path.h"
#include "stagefs/history.h"
#include "stagefs/text.h"
#include "stagefs/version_source.h"
#include "view_of.h"
#include "wire/file_type.h"

namespace stagefs {
namespace {

constexpr std::string_view kFolderMark = "/dir/";

struct BaseHead {
  std::string base, head;
  bool apart = false;
};

// No name has two dots in it, but a path may.
OrRefusal<BaseHead> ReadBaseHead(const Call& call) {
  const size_t dots = call.rest.find("..");
  if (dots == std::string::npos || dots == 0) return BadRequest("write BASE..HEAD or BASE...HEAD");
  BaseHead names{call.rest.substr(0, dots), call.rest.substr(dots + 2)};
  names.apart = names.head.starts_with('.');
  if (names.apart) names.head.erase(0, 1);
  if (names.head.empty()) return BadRequest("write BASE..HEAD or BASE...HEAD");
  return names;
}

OrRefusal<Revision> FindRevision(IndexReader& index, const std::string& text) {
  return Try(ResolveRevision(index, text)).OnAny([&] { return NoRevision(text); });
}

DiffRequest RequestOf(const Compared& compared) {
  return {compared.base, compared.head, {compared.path}, /*find_moves=*/false, LinksAre::kFollowed};
}

// Both trees, of one moment.
struct TwoTrees {
  std::unique_ptr<RevisionTree> base, head;
};

Result<TwoTrees> OpenBoth(Repository& repository, const Compared& compared) {
  TwoTrees trees;
  STAGEFS_ASSIGN_OR_RETURN(trees.base, RevisionTree::Open(repository, compared.base, LinksAre::kFollowed));
  STAGEFS_ASSIGN_OR_RETURN(trees.head, trees.base->OpenBeside(compared.head));
  return trees;
}

// By the commit's id, which stays what it is.
Result<RevisionView> ViewCommit(RevisionTree& tree, const Revision& revision) {
  RevisionView view;
  view.name = revision.commit.id;
  STAGEFS_ASSIGN_OR_RETURN(view.commit, ViewOf(tree.index(), revision.commit));
  return view;
}

Result<std::optional<Located>> FindKind(RevisionTree& tree, const RepoPath& path, EntryKind kind) {
  auto at = tree.Find(path);
  if (at) return at->entry.kind == kind ? std::optional(std::move(*at)) : std::nullopt;
  const ErrorCode code = at.error().code();
  if (code == ErrorCode::kNotFound || code == ErrorCode::kNotDirectory) return std::optional<Located>();
  return at.error();
}

Error NotInEither(const RepoPath& path) {
  return Error(ErrorCode::kNotFound, "neither commit has " + ToDisplayUtf8(path.str()));
}

int64_t& CountOf(FileCounts& files, TreeChange::Kind kind) {
  return kind == TreeChange::Kind::kAdded ? files.added
         : kind == TreeChange::Kind::kRemoved ? files.removed
                                              : files.modified;
}

Result<std::optional<EntryView>> ViewSide(RevisionTree& tree, const RevisionView& revision,
                                          const DifferenceView& difference) {
  Located at{{}, Entry::OfFolder(kRootFolder)};  // Of a folder nothing more is told.
  if (!difference.files) {
    STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, RepoPath::Parse(difference.path));
    STAGEFS_ASSIGN_OR_RETURN(at, tree.Find(path));
  }
  STAGEFS_ASSIGN_OR_RETURN(EntryView entry, ViewOf(tree, revision, at, difference.path));
  return std::optional(std::move(entry));
}

Status ViewSides(const TwoTrees& trees, const RevisionView& base, const RevisionView& head,
                 DifferenceView* difference) {
  if (difference->kind != TreeChange::Kind::kAdded) {
    STAGEFS_ASSIGN_OR_RETURN(difference->base, ViewSide(*trees.base, base, *difference));
  }
  if (difference->kind != TreeChange::Kind::kRemoved) {
    STAGEFS_ASSIGN_OR_RETURN(difference->head, ViewSide(*trees.head, head, *difference));
  }
  return {};
}

// Counts what differs below a folder, and lists the folders of a page of it, then the files.
class Counting {
 public:
  Counting(Repository& repository, const Compared& compared, ComparisonView* view)
      : repository_(repository), compared_(compared), top_(compared.path.str()), view_(*view) {}

  Status Run() {
    STAGEFS_RETURN_IF_ERROR(DiffTrees(
        repository_, RequestOf(compared_), [&](const TreeChange& change, IndexReader&) { return Count(change); },
        [&](const std::string& path, TreeChange::Kind kind) { return Enter(path, kind); }));
    PageView& page = view_.page;
    page.total_entries = folders_ + view_.files.total();
    if (view_.folder) view_.folder->files = view_.files;
    if (page.number * page.size <= folders_ || (page.number - 1) * page.size >= page.total_entries) return {};
    int64_t number = folders_;
    return DiffTrees(repository_, RequestOf(compared_), [&](const TreeChange& change, IndexReader&) -> Status {
      if (change.path != top_ && page.Shows(number++)) view_.entries.push_back(Difference(change.path, change.kind));
      return {};
    });
  }

 private:
  struct Open {
    std::string path;
    std::optional<size_t> shown;  // Which of the entries it is.
  };

  static DifferenceView Difference(const std::string& path, TreeChange::Kind kind) {
    DifferenceView difference;
    difference.path = path;
    difference.kind = kind;
    return difference;
  }

  void LeaveTo(const std::string& path) {
    while (!open_.empty() && !IsAtOrBelow(path, open_.back().path)) open_.pop_back();
  }

  Status Enter(const std::string& path, TreeChange::Kind kind) {
    DifferenceView folder = Difference(path, kind);
    folder.files.emplace();
    if (path == top_) {
      view_.folder = std::move(folder);
      return {};
    }
    LeaveTo(path);
    open_.push_back({path, {}});
    if (!view_.page.Shows(folders_++)) return {};
    open_.back().shown = view_.entries.size();
    view_.entries.push_back(std::move(folder));
    return {};
  }

  Status Count(const TreeChange& change) {
    if (change.path == top_) return {};  // A file in the place of the folder.
    LeaveTo(change.path);
    ++CountOf(view_.files, change.kind);
    for (const Open& folder : open_) {
      if (folder.shown) ++CountOf(*view_.entries[*folder.shown].files, change.kind);
    }
    return {};
  }

  Repository& repository_;
  const Compared& compared_;
  const std::string& top_;
  ComparisonView& view_;
  std::vector<Open> open_;
  int64_t folders_ = 0;
};

// std::nullopt: there are more than are compared, or they are no text.
Result<std::optional<std::string>> ReadText(Repository& repository, const std::optional<VersionInfo>& version) {
  if (!version) return std::optional<std::string>("");
  if (version->size_bytes > kLineDiffBytesMax) return std::optional<std::string>();
  STAGEFS_ASSIGN_OR_RETURN(const auto bytes, repository.OpenVersion(*version));
  std::string text(bytes->size_bytes(), '\0');
  STAGEFS_ASSIGN_OR_RETURN(const size_t read, bytes->ReadAt(text.data(), text.size(), 0));
  text.resize(read);
  if (!IsValidUtf8(text) || text.find('\0') != std::string::npos) return std::optional<std::string>();
  return std::optional(std::move(text));
}

}  // namespace

OrRefusal<Compared> FindCompared(const Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const BaseHead names, ReadBaseHead(call));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const Revision base, FindRevision(*reader, names.base));
  STAGEFS_ASSIGN_OR_RETURN(const Revision head, FindRevision(*reader, names.head));
  return Compared{base, head, names.apart, {}};
}

OrRefusal<Compared> FindComparedFolder(const Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const BaseHead names, ReadBaseHead(call));
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const Revision base, FindRevision(*reader, names.base));
  for (size_t end = names.head.size(); end != std::string::npos;) {
    const auto head = ResolveRevision(*reader, names.head.substr(0, end));
    if (head) {
      const std::string folder = end == names.head.size() ? "" : names.head.substr(end + kFolderMark.size());
      STAGEFS_ASSIGN_OR_RETURN(RepoPath path,
                               Try(RepoPath::ParseDirectory(folder)).OnAny([&] { return NoPath(folder); }));
      return Compared{base, *head, names.apart, std::move(path)};
    }
    if (IsTrouble(head.error())) return head.error();
    end = end == 0 ? std::string::npos : names.head.rfind(kFolderMark, end - 1);
  }
  return NoRevision(names.head);
}

OrRefusal<Compared> FindComparedPath(const Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const BaseHead names, ReadBaseHead(call));
  const auto no_head = [&] { return NoRevision(names.head); };
  STAGEFS_ASSIGN_OR_RETURN(Resource head, Try(ResolveResource(*call.repository, names.head)).OnAny(no_head));
  if (head.revision.workspace) return no_head();
  STAGEFS_ASSIGN_OR_RETURN(const auto reader, call.repository->index().Read());
  STAGEFS_ASSIGN_OR_RETURN(const Revision base, FindRevision(*reader, names.base));
  return Compared{base, std::move(head.revision), names.apart, std::move(head.path)};
}

Status TakeMergeBase(Repository& repository, Compared* compared) {
  if (!std::exchange(compared->apart, false)) return {};
  STAGEFS_ASSIGN_OR_RETURN(const CommitInfo base,
                           History(repository).MergeBase(compared->base.commit.seq, compared->head.commit.seq));
  compared->base = Revision{base.id, base, {}, {}, {}};
  return {};
}

Result<ComparisonView> ViewComparison(Repository& repository, const Compared& compared, const PageView& page) {
  ComparisonView view;
  view.page = page;
  STAGEFS_RETURN_IF_ERROR(Counting(repository, compared, &view).Run());
  STAGEFS_ASSIGN_OR_RETURN(const TwoTrees trees, OpenBoth(repository, compared));
  if (!view.folder) {
    STAGEFS_ASSIGN_OR_RETURN(const auto in_base, FindKind(*trees.base, compared.path, EntryKind::kFolder));
    STAGEFS_ASSIGN_OR_RETURN(const auto in_head, FindKind(*trees.head, compared.path, EntryKind::kFolder));
    if (!in_base && !in_head) return NotInEither(compared.path);
  }
  STAGEFS_ASSIGN_OR_RETURN(view.base, ViewCommit(*trees.base, compared.base));
  STAGEFS_ASSIGN_OR_RETURN(view.head, ViewCommit(*trees.head, compared.head));
  if (view.folder) STAGEFS_RETURN_IF_ERROR(ViewSides(trees, view.base, view.head, &*view.folder));
  for (DifferenceView& entry : view.entries) {
    STAGEFS_RETURN_IF_ERROR(ViewSides(trees, view.base, view.head, &entry));
  }
  return view;
}

Status ForEachChangedFolder(Repository& repository, const Compared& compared,
                            const std::function<Status(const ChangedFolderView&)>& visit) {
  std::vector<ChangedFolderView> open;
  const auto leave = [&]() -> Status {
    const ChangedFolderView folder = std::move(open.back());
    open.pop_back();
    return open.empty() || folder.folders > 0 ? visit(folder) : Status();
  };
  const auto enter = [&](const std::string& path, TreeChange::Kind kind) -> Status {
    while (!open.empty() && !IsAtOrBelow(path, open.back().path)) STAGEFS_RETURN_IF_ERROR(leave());
    if (!open.empty() && open.back().folders++ < ChangedFolderView::kChildrenMax) {
      open.back().children.push_back({path, kind});
    }
    ChangedFolderView folder;
    folder.path = path;
    folder.kind = kind;
    open.push_back(std::move(folder));
    return {};
  };
  STAGEFS_RETURN_IF_ERROR(DiffTrees(
      repository, RequestOf(compared), [](const TreeChange&, IndexReader&) { return Status(); }, enter));
  while (!open.empty()) STAGEFS_RETURN_IF_ERROR(leave());
  return {};
}

Result<FileComparisonView> ViewFileComparison(Repository& repository, const Compared& compared) {
  FileComparisonView view;
  DifferenceView& file = view.file;
  file.path = compared.path.str();
  STAGEFS_ASSIGN_OR_RETURN(TwoTrees trees, OpenBoth(repository, compared));
  STAGEFS_ASSIGN_OR_RETURN(view.base, ViewCommit(*trees.base, compared.base));
  STAGEFS_ASSIGN_OR_RETURN(view.head, ViewCommit(*trees.head, compared.head));
  STAGEFS_ASSIGN_OR_RETURN(const auto in_base, FindKind(*trees.base, compared.path, EntryKind::kFile));
  STAGEFS_ASSIGN_OR_RETURN(const auto in_head, FindKind(*trees.head, compared.path, EntryKind::kFile));
  if (!in_base && !in_head) return NotInEither(compared.path);
  file.kind = !in_base   ? TreeChange::Kind::kAdded
              : !in_head ? TreeChange::Kind::kRemoved
                         : TreeChange::Kind::kModified;
  STAGEFS_RETURN_IF_ERROR(ViewSides(trees, view.base, view.head, &file));
  std::optional<VersionInfo> before, after;
  if (in_base) {
    STAGEFS_ASSIGN_OR_RETURN(before, trees.base->VersionOf(in_base->entry));
  }
  if (in_head) {
    STAGEFS_ASSIGN_OR_RETURN(after, trees.head->VersionOf(in_head->entry));
  }
  // The index is let go of before the bytes, which may be far away, are fetched.
  trees = {};
  const std::string_view type = FileTypeOf(file.path).data_type;
  if (type != "text" && type != "binary") return view;
  STAGEFS_ASSIGN_OR_RETURN(const auto old_text, ReadText(repository, before));
  if (!old_text) return view;
  STAGEFS_ASSIGN_OR_RETURN(const auto new_text, ReadText(repository, after));
  if (new_text) file.lines = DiffLines(*old_text, *new_text);
  return view;
}

}  // namespace stagefs
