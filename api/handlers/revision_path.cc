#include "revision_path.h"

#include <functional>

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
  STAGEFS_ASSIGN_OR_RETURN(found.tree, RevisionTree::Open(*call.repository, found.resource.revision));
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

Result<EntryView> ViewEntry(RevisionTree& tree, const RevisionView& revision, const Slot& slot, const Entry& entry,
                            const std::string& path) {
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

// In byte order of the name.
Status ForEachEntry(RevisionTree& tree, FolderId folder,
                    const std::function<Status(const Named<Entry>&)>& visit) {
  std::string after;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const auto page, tree.List(folder, after, kListPage));
    if (page.empty()) return {};
    for (const Named<Entry>& entry : page) STAGEFS_RETURN_IF_ERROR(visit(entry));
    after = page.back().name;
  }
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

Result<EntryView> ViewOf(const FoundPath& found, const RevisionView& revision) {
  return ViewEntry(*found.tree, revision, found.at.slot, found.at.entry, found.resource.path.str());
}

Result<ListingView> ViewFolder(const FoundPath& found, const RevisionView& revision, PageView page) {
  ListingView listing;
  const std::string& path = found.resource.path.str();
  listing.folder = FolderView(path, revision);
  int64_t folders = 0;
  const FolderId folder = found.at.entry.child;
  STAGEFS_RETURN_IF_ERROR(ForEachEntry(*found.tree, folder, [&](const Named<Entry>& entry) -> Status {
    const bool is_folder = entry.value.kind == EntryKind::kFolder;
    folders += is_folder;
    ++page.total_entries;
    ++listing.data_types[is_folder ? "dir" : std::string(FileTypeOf(entry.name).data_type)];
    return {};
  }));
  listing.page = page;
  const int64_t first = (page.number - 1) * page.size, end = first + page.size;
  for (const bool want_folders : {true, false}) {
    int64_t position = want_folders ? 0 : folders;
    if (position >= end || (want_folders ? folders : page.total_entries) <= first) continue;
    STAGEFS_RETURN_IF_ERROR(ForEachEntry(*found.tree, folder, [&](const Named<Entry>& entry) -> Status {
      if ((entry.value.kind == EntryKind::kFolder) != want_folders || !page.Shows(position++)) return {};
      STAGEFS_ASSIGN_OR_RETURN(EntryView view,
                               ViewEntry(*found.tree, revision, {folder, entry.name}, entry.value,
                                         JoinPath(path, entry.name)));
      listing.entries.push_back(std::move(view));
      return {};
    }));
  }
  return listing;
}

}  // namespace stagefs
