#include "revision_path.h"

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "stagefs/version_source.h"
#include "view_of.h"
#include "wire/file_type.h"

namespace stagefs {
namespace {

constexpr size_t kListPage = 1000;

template <class T>
OrRefusal<T> OrNoPath(const Call& call, Result<T> result) {
  return Try(std::move(result))
      .On({ErrorCode::kNotFound, ErrorCode::kNotDirectory, ErrorCode::kInvalidArgument,
           ErrorCode::kNameTooLong},
          [&] { return NoPath(call.rest); });
}

Result<FoundPath> Find(const Call& call) {
  FoundPath found;
  STAGEFS_ASSIGN_OR_RETURN(found.resource, ResolveResource(*call.repository, call.rest));
  STAGEFS_ASSIGN_OR_RETURN(found.tree,
                           RevisionTree::Open(*call.repository, found.resource.revision, LinksAre::kFollowed));
  STAGEFS_ASSIGN_OR_RETURN(found.at, found.tree->Find(found.resource.path));
  return found;
}

// The index is let go of before the bytes, which may be far away, are fetched.
Result<FoundFile> OpenFile(const Repository& repository, FoundPath found) {
  if (found.at.entry.kind != EntryKind::kFile) return Error(ErrorCode::kNotFound, "is a folder");
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, found.tree->VersionOf(found.at.entry));
  found.tree.reset();
  STAGEFS_ASSIGN_OR_RETURN(auto bytes, repository.OpenVersion(version));
  return FoundFile{found.resource.path.str(), version, std::move(bytes)};
}

// Clients need a commit of a folder: it is the one asked for.
EntryView FolderView(const std::string& path, const RevisionView& revision) {
  EntryView view;
  view.path = path;
  view.folder = true;
  view.latest = revision.commit;
  return view;
}

// What a scan of a folder found, with its way marked so that a page is read from near its place.
struct FolderScan {
  struct Mark {
    std::string after;
    int64_t folders = 0, files = 0;  // Before it.
    int64_t Of(bool is_folder) const { return is_folder ? folders : files; }
  };
  std::vector<Mark> marks = {{}};  // The last one is the end.
  std::map<std::string_view, int64_t> data_types;
};

Result<FolderScan> ScanFolder(RevisionTree& tree, FolderId folder) {
  FolderScan scan;
  for (;;) {
    FolderScan::Mark at = scan.marks.back();
    STAGEFS_ASSIGN_OR_RETURN(const auto page, tree.List(folder, at.after, kListPage));
    if (page.empty()) return scan;
    for (const Named<Entry>& entry : page) {
      const bool is_folder = entry.value.kind == EntryKind::kFolder;
      ++(is_folder ? at.folders : at.files);
      ++scan.data_types[is_folder ? "dir" : FileTypeOf(entry.name).data_type];
    }
    at.after = page.back().name;
    scan.marks.push_back(std::move(at));
    if (page.size() < kListPage) return scan;
  }
}

// Visits the folders, or the files, number `first` to `end` - 1, in byte order of the name.
Status ForEachOf(RevisionTree& tree, FolderId folder, const FolderScan& scan, bool folders, int64_t first, int64_t end,
                 const std::function<Status(const Named<Entry>&)>& visit) {
  if (first >= end) return {};
  auto mark = std::upper_bound(scan.marks.begin(), scan.marks.end(), first,
                               [&](int64_t at, const FolderScan::Mark& to) { return at < to.Of(folders); });
  --mark;
  std::string after = mark->after;
  for (int64_t at = mark->Of(folders); at < end;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, tree.List(folder, after, kListPage));
    if (page.empty()) return {};
    for (const Named<Entry>& entry : page) {
      if ((entry.value.kind == EntryKind::kFolder) != folders || at >= end) continue;
      if (at++ >= first) STAGEFS_RETURN_IF_ERROR(visit(entry));
    }
    after = page.back().name;
  }
  return {};
}

}  // namespace

OrRefusal<FoundPath> FindPath(const Call& call) { return OrNoPath(call, Find(call)); }

OrRefusal<FoundPath> FindFolder(const Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(FoundPath found, FindPath(call));
  if (!found.is_folder()) return NoPath(call.rest);
  return found;
}

OrRefusal<FoundFile> FindFile(const Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(FoundPath found, FindPath(call));
  return OrNoPath(call, OpenFile(*call.repository, std::move(found)));
}

OrRefusal<BranchPath> FindBranchPath(const Call& call) {
  const auto no_branch = [&] { return NoBranch(call.rest.substr(0, call.rest.find('/'))); };
  STAGEFS_ASSIGN_OR_RETURN(const Resource resource,
                           Try(ResolveResource(*call.repository, call.rest))
                               .On({ErrorCode::kNotFound}, no_branch)
                               .OnAny([](const Error& error) { return BadRequest(error.message()); }));
  if (!resource.revision.branch) return no_branch();
  return BranchPath{resource.revision.branch->name, resource.path};
}

Result<EntryView> ViewOf(RevisionTree& tree, const RevisionView& revision, const Located& at, const std::string& path) {
  const auto& [slot, entry] = at;
  if (entry.kind == EntryKind::kFolder) return FolderView(path, revision);
  EntryView view;
  view.path = path;
  view.size_bytes = entry.size_bytes;
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, tree.VersionOf(entry));
  view.hash = ToHex(version.content.xxh3);
  STAGEFS_ASSIGN_OR_RETURN(view.change, tree.ChangeOf(slot));
  STAGEFS_ASSIGN_OR_RETURN(const auto latest, tree.LastCommitOf(slot));
  if (latest) {
    STAGEFS_ASSIGN_OR_RETURN(view.latest, ViewOf(tree.index(), *latest));
  }
  return view;
}

Result<EntryView> ViewOf(const FoundPath& found, const RevisionView& revision) {
  return ViewOf(*found.tree, revision, found.at, found.resource.path.str());
}

Result<ListingView> ViewFolder(const FoundPath& found, const RevisionView& revision, PageView page) {
  ListingView listing;
  const std::string& path = found.resource.path.str();
  listing.folder = FolderView(path, revision);
  const FolderId folder = found.at.entry.child;
  STAGEFS_ASSIGN_OR_RETURN(const FolderScan scan, ScanFolder(*found.tree, folder));
  const auto& [after, folders, files] = scan.marks.back();
  page.total_entries = folders + files;
  listing.page = page;
  for (const auto& [type, count] : scan.data_types) listing.data_types.emplace(type, count);
  const int64_t first = (page.number - 1) * page.size, end = first + page.size;
  const auto show = [&](const Named<Entry>& entry) -> Status {
    const Located at{{folder, entry.name}, entry.value};
    STAGEFS_ASSIGN_OR_RETURN(EntryView view, ViewOf(*found.tree, revision, at, JoinPath(path, entry.name)));
    listing.entries.push_back(std::move(view));
    return {};
  };
  // Folders come first.
  STAGEFS_RETURN_IF_ERROR(ForEachOf(*found.tree, folder, scan, true, first, std::min(end, folders), show));
  STAGEFS_RETURN_IF_ERROR(ForEachOf(*found.tree, folder, scan, false, std::max<int64_t>(first - folders, 0),
                                    std::min(end - folders, files), show));
  listing.left_out_links = found.tree->left_out_links();
  return listing;
}

}  // namespace stagefs
