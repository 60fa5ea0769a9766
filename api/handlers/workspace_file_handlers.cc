// Files of a workspace: read, moved, removed.
#include "handlers.h"
#include "stagefs/revision.h"
#include "wire/file_reply.h"
#include "wire/file_type.h"
#include "wire/reply.h"
#include "wire/requests.h"
#include "wire/status_bodies.h"
#include "wire/workspace_bodies.h"

namespace stagefs {
namespace {

Refusal NoResource(const std::string& path) {
  return NotFound("Resource not found", "Could not find path: " + path);
}

}  // namespace

Reply GetWorkspaceFile(Call& call) {
  if (call.AsksForThumbnail()) return NotServed(call);
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath path, call.Path());
  STAGEFS_ASSIGN_OR_RETURN(const Revision now, RevisionOf(*call.workspace));
  STAGEFS_ASSIGN_OR_RETURN(auto tree, RevisionTree::Open(*call.repository, now, LinksAre::kFollowed));
  STAGEFS_ASSIGN_OR_RETURN(const Located at,
                           Try(tree->Find(path)).On({ErrorCode::kNotFound, ErrorCode::kNotDirectory}, [&] {
                             return NoResource(call.rest);
                           }));
  if (at.entry.kind != EntryKind::kFile) return NoResource(call.rest);
  STAGEFS_ASSIGN_OR_RETURN(const VersionInfo version, tree->VersionOf(at.entry));
  tree.reset();  // The bytes may be far away.
  STAGEFS_ASSIGN_OR_RETURN(const auto bytes, call.repository->OpenVersion(version));
  return BytesReply(call.request, version, *bytes, FileTypeOf(path.str()).mime_type);
}

Reply MoveWorkspaceFile(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath from, call.Path());
  STAGEFS_ASSIGN_OR_RETURN(const std::string text, call.Text());
  STAGEFS_ASSIGN_OR_RETURN(const Move move, OrBadStatus(ReadMove(text)));
  STAGEFS_ASSIGN_OR_RETURN(const RepoPath to, OrBadRequest(RepoPath::Parse(move.to)));
  STAGEFS_RETURN_IF_ERROR(Try(call.workspace->MovePath(from, to))
                              .On({ErrorCode::kExists},
                                  [] { return BadStatus(400, "new_path already exists in the repository"); })
                              .On({ErrorCode::kNotFound}, [&] { return NoResource(call.rest); }));
  return StatusReply(kUpdated);
}

Reply RemoveFiles(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const NamedPaths paths, call.Paths());
  std::vector<Status> outcomes;
  STAGEFS_RETURN_IF_ERROR(call.workspace->RemovePaths(paths.parsed(), &outcomes));
  const auto failed = paths.Failed(outcomes);
  if (failed.empty()) return JsonReply(200, PathsBody("success", kDeleted, {}));
  return JsonReply(206, PathsBody("error", "resource_not_found", failed));
}

}  // namespace stagefs
