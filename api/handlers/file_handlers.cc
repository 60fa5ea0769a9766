// Files and folders of revisions: read from a commit, a branch or a workspace, changed by commits to a
// branch.
#include <algorithm>
#include <functional>

#include "wire/archive.h"
#include "wire/file_type.h"
#include "handlers.h"
#include "stagefs/posix_env.h"
#include "stagefs/history.h"
#include "stagefs/version_source.h"

namespace stagefs {
namespace {

constexpr int64_t kPageSizeDefault = 100;
constexpr size_t kListPage = 1000;
constexpr uint64_t kChunkBytesDefault = 10 << 20;

HttpResponse NoPath(const std::string& path) {
  return NotFoundReply("Path does not exist", "Could not find path: " + path);
}

bool IsMissing(const Error& error) {
  return error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kNotDirectory ||
         error.code() == ErrorCode::kInvalidArgument || error.code() == ErrorCode::kNameTooLong;
}

// The path of `call` in its revision's tree.
struct Found {
  Resource resource;
  std::unique_ptr<RevisionTree> tree;
  Located at;
};

Result<Found> FindPath(const Call& call) {
  Found found;
  STAGEFS_ASSIGN_OR_RETURN(found.resource, ResolveResource(*call.repository, call.rest));
  STAGEFS_ASSIGN_OR_RETURN(found.tree, RevisionTree::Open(*call.repository, found.resource.revision));
  STAGEFS_ASSIGN_OR_RETURN(found.at, found.tree->Find(found.resource.path));
  return found;
}

HttpResponse NotFoundOr(const Call& call, const Error& error) {
  return IsMissing(error) ? NoPath(call.rest) : ErrorReply(error);
}

// A folder of a revision. Clients need a commit: it is the one asked for.
EntryView FolderView(const std::string& path, const RevisionView& revision) {
  EntryView view;
  view.path = path;
  view.folder = true;
  view.latest = revision.commit;
  return view;
}

Result<EntryView> ViewOf(Repository& repository, RevisionTree& tree, const RevisionView& revision,
                         const Slot& slot, const Entry& entry, const std::string& path) {
  if (entry.kind == EntryKind::kFolder) return FolderView(path, revision);
  EntryView view;
  view.path = path;
  view.size_bytes = entry.size_bytes;
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, tree.VersionOf(entry));
  view.hash = ToHex(version.content.xxh3);
  STAGEFS_ASSIGN_OR_RETURN(view.change, tree.ChangeOf(slot));
  STAGEFS_ASSIGN_OR_RETURN(const auto latest, tree.LastCommitOf(slot));
  if (latest) {
    STAGEFS_ASSIGN_OR_RETURN(view.latest, stagefs::ViewOf(repository, *latest));
  }
  return view;
}

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

// One page of a folder: folders come before files, each in order.
struct Listing {
  std::vector<EntryView> entries;
  std::map<std::string, int64_t> data_types;
  PageView page;
};

Result<Listing> ListPage(Repository& repository, const Found& found, const RevisionView& revision,
                         PageView page) {
  Listing listing;
  int64_t folders = 0, position = 0;
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
    const int64_t from = want_folders ? 0 : folders, to = want_folders ? folders : page.total_entries;
    if (from >= end || to <= first) continue;
    position = from;
    STAGEFS_RETURN_IF_ERROR(ForEachEntry(*found.tree, folder, [&](const Named<Entry>& entry) -> Status {
      if ((entry.value.kind == EntryKind::kFolder) != want_folders) return {};
      const int64_t here = position++;
      if (here < first || here >= end) return {};
      STAGEFS_ASSIGN_OR_RETURN(EntryView view,
                               ViewOf(repository, *found.tree, revision, {folder, entry.name}, entry.value,
                                      JoinPath(found.resource.path.str(), entry.name)));
      listing.entries.push_back(std::move(view));
      return {};
    }));
  }
  return listing;
}

struct FoundFile {
  VersionInfo version;
  std::unique_ptr<VersionReader> bytes;
};

Result<FoundFile> OpenFound(const Found& found) {
  if (found.at.entry.kind != EntryKind::kFile) return Error(ErrorCode::kNotFound, "is a folder");
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, found.tree->VersionOf(found.at.entry));
  STAGEFS_ASSIGN_OR_RETURN(auto bytes, found.tree->OpenVersion(version));
  return FoundFile{version, std::move(bytes)};
}

Status AddToArchive(ArchiveWriter& archive, RevisionTree& tree, FolderId folder, const std::string& path) {
  return ForEachEntry(tree, folder, [&](const Named<Entry>& entry) -> Status {
    const std::string name = JoinPath(path, entry.name);
    if (entry.value.kind == EntryKind::kFolder) return AddToArchive(archive, tree, entry.value.child, name);
    STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, tree.VersionOf(entry.value));
    STAGEFS_ASSIGN_OR_RETURN(const auto bytes, tree.OpenVersion(version));
    return archive.Add(name, entry.value.mtime_ns, *bytes);
  });
}

// BRANCH[/PATH] of a request that changes a branch.
struct BranchPath {
  std::string branch;
  RepoPath path;
};

Result<BranchPath> FindBranchPath(const Call& call) {
  const auto resource = ResolveResource(*call.repository, call.rest);
  if (!resource && resource.error().code() != ErrorCode::kNotFound) return resource.error();
  if (!resource || !resource->revision.branch) {
    return Error(ErrorCode::kNotFound, call.rest.substr(0, call.rest.find('/')));
  }
  return BranchPath{resource->revision.branch->name, resource->path};
}

HttpResponse NoBranchOr(const Error& error) {
  if (error.code() == ErrorCode::kNotFound) {
    return NotFoundReply("Branch does not exist", BranchNotFound(error.message()));
  }
  return BadRequest(error.message());
}

struct CommitRequest {
  std::string message;
  Author author;
};

CommitRequest CommitRequestOf(const std::map<std::string, std::string>& fields, const std::string& message) {
  const auto field = [&](const char* name, const std::string& otherwise) {
    const auto found = fields.find(name);
    return found == fields.end() || found->second.empty() ? otherwise : found->second;
  };
  return {field("message", message), {field("name", "Oxen"), field("email", "oxen@oxen.ai")}};
}

HttpResponse CommitPathsReply(Call& call, std::string_view message, const std::string& branch,
                              const std::vector<History::PathChange>& changes,
                              const CommitRequest& request) {
  const auto commit = History(*call.repository).CommitPaths(branch, changes, request.message, request.author);
  if (!commit) return ErrorReply(commit.error());
  if (!*commit) {
    return JsonReply(422, ErrorBody(422, "no_changes", "No changes to commit",
                                    "the branch has this content at this path already"));
  }
  const auto view = ViewOf(*call.repository, **commit);
  return view ? JsonReply(200, CommitBody(message, *view)) : ErrorReply(view.error());
}

// Where the files of an upload go. One `file` is the whole target, or goes into it if it is a folder.
Result<std::vector<History::PathChange>> PlaceFiles(const Form& form, const BranchPath& at,
                                                       bool is_folder) {
  std::vector<History::PathChange> changes;
  bool single = false, several = false;
  for (const Form::File& file : form.files) {
    const bool whole = file.field == "file";
    (whole ? single : several) = true;
    if (single && (several || changes.size() == 1)) {
      return Error(ErrorCode::kInvalidArgument, "send one `file`, or any number of `files[]`, not both");
    }
    RepoPath path = at.path;
    if (!whole || is_folder) {
      STAGEFS_ASSIGN_OR_RETURN(const RepoPath name, RepoPath::Parse(file.filename));
      STAGEFS_ASSIGN_OR_RETURN(path, at.path.Join(name));
    }
    changes.push_back({std::move(path), file.version.id, std::nullopt});
  }
  if (changes.empty()) return Error(ErrorCode::kInvalidArgument, "no file: send `file` or `files[]`");
  return changes;
}

}  // namespace

HttpResponse ListDirectory(Call& call) {
  const auto page = call.Page(kPageSizeDefault);
  if (!page) return BadRequest("page counts from 1 and page_size from 1 to 10000");
  const auto found = FindPath(call);
  if (!found) return NotFoundOr(call, found.error());
  if (found->at.entry.kind != EntryKind::kFolder) return NoPath(call.rest);
  const auto revision = ViewOf(*call.repository, found->resource.revision);
  if (!revision) return ErrorReply(revision.error());
  const auto listing = ListPage(*call.repository, *found, *revision, *page);
  if (!listing) return ErrorReply(listing.error());
  const EntryView folder = FolderView(found->resource.path.str(), *revision);
  return JsonReply(200,
                   DirectoryBody(folder, listing->entries, *revision, listing->data_types, listing->page));
}

HttpResponse GetEntry(Call& call) {
  const auto found = FindPath(call);
  if (!found) return NotFoundOr(call, found.error());
  const auto revision = ViewOf(*call.repository, found->resource.revision);
  if (!revision) return ErrorReply(revision.error());
  const auto entry = ViewOf(*call.repository, *found->tree, *revision, found->at.slot, found->at.entry,
                            found->resource.path.str());
  return entry ? JsonReply(200, EntryBody(*entry, *revision)) : ErrorReply(entry.error());
}

HttpResponse GetFile(Call& call) {
  for (const char* derived : {"width", "height", "thumbnail"}) {
    if (call.target.query.contains(derived)) return NotServed(call);
  }
  const auto found = FindPath(call);
  if (!found) return NotFoundOr(call, found.error());
  const auto file = OpenFound(*found);
  if (!file) return NotFoundOr(call, file.error());
  return BytesReply(call.request, file->version, *file->bytes,
                    FileTypeOf(found->resource.path.str()).mime_type);
}

HttpResponse GetChunk(Call& call) {
  bool bad = false;
  const auto start = static_cast<uint64_t>(QueryInt(call.target, "chunk_start", 0, &bad));
  const auto size = static_cast<uint64_t>(QueryInt(call.target, "chunk_size", kChunkBytesDefault, &bad));
  if (bad) return BadRequest("chunk_start and chunk_size are whole numbers from 0");
  const auto found = FindPath(call);
  if (!found) return NotFoundOr(call, found.error());
  const auto file = OpenFound(*found);
  if (!file) return NotFoundOr(call, file.error());
  const uint64_t total = file->bytes->size_bytes();
  const uint64_t first = std::min(start, total);
  return FileReply(file->bytes->fd(), first, std::min(size, total - first), "application/octet-stream");
}

HttpResponse PutFiles(Call& call) {
  if (!MediaType(call.request).starts_with("multipart/")) return BadRequest("send multipart/form-data");
  const auto target = FindBranchPath(call);
  if (!target) return NoBranchOr(target.error());
  const auto found = FindPath(call);
  const bool is_folder = target->path.is_root() || (found && found->at.entry.kind == EntryKind::kFolder);
  const auto form = ReadForm(call);
  if (!form) return ErrorReply(form.error());
  const auto changes = PlaceFiles(*form, *target, is_folder);
  if (!changes) return BadRequest(changes.error().message());
  return CommitPathsReply(call, kCreated, target->branch, *changes,
                          CommitRequestOf(form->fields, "Auto-commit files to " + target->path.str()));
}

HttpResponse DeleteFile(Call& call) {
  const auto target = FindBranchPath(call);
  if (!target) return NoBranchOr(target.error());
  const auto found = FindPath(call);
  if (!found) return NotFoundOr(call, found.error());
  if (target->path.is_root()) return BadRequest("the whole tree is not removed this way");
  Form form;
  if (MediaType(call.request).starts_with("multipart/")) {
    auto sent = ReadForm(call);
    if (!sent) return ErrorReply(sent.error());
    form = std::move(*sent);
  }
  return CommitPathsReply(call, kDeleted, target->branch, {{target->path, std::nullopt, std::nullopt}},
                          CommitRequestOf(form.fields, "Removed '" + target->path.str() + "'"));
}

HttpResponse MoveFile(Call& call) {
  const auto target = FindBranchPath(call);
  if (!target) return NoBranchOr(target.error());
  std::optional<WireObject> wanted;
  RepoPath to;
  if (auto refused = ReadMove(call, &wanted, &to)) return std::move(*refused);
  const auto found = FindPath(call);
  if (!found) return NotFoundOr(call, found.error());
  if (target->path.is_root()) return BadRequest("the whole tree is not moved");
  if (found->tree->Find(to)) return BadStatus(400, "new_path already exists in the repository");
  std::map<std::string, std::string> fields;
  for (const char* key : {"message", "name", "email"}) {
    const auto value = wanted->OptionalText(key);
    if (!value) return BadStatus(400, value.error().message());
    if (*value) fields[key] = **value;
  }
  return CommitPathsReply(
      call, kUpdated, target->branch, {{target->path, std::nullopt, to}},
      CommitRequestOf(fields, "Moved '" + target->path.str() + "' to '" + to.str() + "'"));
}

HttpResponse ExportZip(Call& call) {
  const auto found = FindPath(call);
  if (!found) return NotFoundOr(call, found.error());
  if (found->at.entry.kind != EntryKind::kFolder) return NoPath(call.rest);
  const auto fd = OpenUnnamed(call.repository->incoming());
  if (!fd) return ErrorReply(fd.error());
  const auto archive = ArchiveWriter::Open(fd->get(), ArchiveFormat::kZip);
  if (!archive) return ErrorReply(archive.error());
  Status written = AddToArchive(**archive, *found->tree, found->at.entry.child, "");
  if (written) written = (*archive)->Finish();
  const auto size = written ? FileSize(fd->get()) : Result<uint64_t>(written.error());
  return size ? FileReply(fd->get(), 0, *size, "application/zip") : ErrorReply(size.error());
}

}  // namespace stagefs
