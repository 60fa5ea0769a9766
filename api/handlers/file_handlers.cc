// Files and folders of revisions: of a commit, a branch or a workspace.
#include <algorithm>

#include "archive_reply.h"
#include "handlers.h"
#include "revision_path.h"
#include "stagefs/written_manifest.h"
#include "view_of.h"
#include "wire/file_reply.h"
#include "wire/file_type.h"
#include "wire/query.h"
#include "wire/reply.h"
#include "wire/revision_bodies.h"

namespace stagefs {
namespace {

constexpr int64_t kPageSizeDefault = 100;
constexpr int64_t kChunkBytesDefault = 10 << 20;

const char* MediaTypeOf(ManifestFormat format) {
  switch (format) {
    case ManifestFormat::kJson: return "application/json";
    case ManifestFormat::kNdjson: return "application/x-ndjson";
    case ManifestFormat::kCsv: return "text/csv";
    case ManifestFormat::kTsv: return "text/tab-separated-values";
    case ManifestFormat::kSniff:
    case ManifestFormat::kSum: break;
  }
  return "text/plain";
}

}  // namespace

Reply ListDirectory(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const PageView page, QueryPage(call.target, kPageSizeDefault));
  STAGEFS_ASSIGN_OR_RETURN(const FoundPath found, FindFolder(call));
  STAGEFS_ASSIGN_OR_RETURN(const RevisionView revision, ViewOf(found.tree->index(), found.resource.revision));
  STAGEFS_ASSIGN_OR_RETURN(const ListingView listing, ViewFolder(found, revision, page));
  return JsonReply(200, DirectoryBody(listing, revision));
}

Reply GetEntry(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const FoundPath found, FindPath(call));
  STAGEFS_ASSIGN_OR_RETURN(const RevisionView revision, ViewOf(found.tree->index(), found.resource.revision));
  STAGEFS_ASSIGN_OR_RETURN(const EntryView entry, ViewOf(found, revision));
  return JsonReply(200, EntryBody(entry, revision));
}

Reply GetFile(Call& call) {
  if (call.AsksForThumbnail()) return NotServed(call);
  STAGEFS_ASSIGN_OR_RETURN(const FoundFile file, FindFile(call));
  return BytesReply(call.request, file.version, *file.bytes, FileTypeOf(file.path).mime_type);
}

Reply GetChunk(Call& call) {
  const auto bad = [] { return BadRequest("chunk_start and chunk_size are whole numbers from 0"); };
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t start, Try(QueryNumber(call.target, "chunk_start", 0)).OnAny(bad));
  STAGEFS_ASSIGN_OR_RETURN(const uint64_t size,
                           Try(QueryNumber(call.target, "chunk_size", kChunkBytesDefault)).OnAny(bad));
  STAGEFS_ASSIGN_OR_RETURN(const FoundFile file, FindFile(call));
  const uint64_t total = file.bytes->size_bytes();
  const uint64_t first = std::min(start, total);
  return FileReply(file.bytes->fd(), first, std::min(size, total - first), "application/octet-stream");
}

Reply ExportZip(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(FoundPath found, FindFolder(call));
  found.tree.reset();
  return ArchiveReply(ArchiveFormat::kZip, FilesBelow(call.repository, std::move(found.resource.revision),
                                                      found.at.entry.child));
}

Reply GetManifest(Call& call) {
  const auto asked = [&](const char* name, const char* otherwise) {
    const std::string text = QueryText(call.target, name);
    return call.target.query.contains(name) ? text : otherwise;
  };
  STAGEFS_ASSIGN_OR_RETURN(const ManifestStyle style,
                           OrBadRequest(ManifestStyleOf(asked("format", "sum"), asked("hash", "sha256"))));
  STAGEFS_ASSIGN_OR_RETURN(FoundPath found, FindPath(call));
  found.tree.reset();
  HttpResponse response;
  response.content_type = MediaTypeOf(style.format);
  STAGEFS_ASSIGN_OR_RETURN(response.stream, NewManifestSource(call.repository, found.resource.revision,
                                                              found.resource.path, style));
  return response;
}

}  // namespace stagefs
