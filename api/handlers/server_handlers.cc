// The server itself, and what it does not serve.
#include <set>

#include "handlers.h"
#include "stagefs/repositories.h"
#include "wire/repository_bodies.h"
#include "wire/reply.h"
#include "wire/status_bodies.h"

namespace stagefs {
namespace {

constexpr char kOpenApi[] =
#include "openapi_json.inc"
    ;

}  // namespace

Reply GetHealth(Call& call) {
  DiskSpace space;
  if (const auto disk = SpaceOf(call.root.folder())) space = *disk;
  return JsonReply(200, HealthBody(space));
}

Reply GetVersion(Call&) { return JsonReply(200, VersionBody(false)); }
Reply GetMinVersion(Call&) { return JsonReply(200, VersionBody(true)); }
Reply GetOpenApi(Call&) { return JsonReply(200, kOpenApi); }

Reply ListNamespaces(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const auto repositories, ListRepositories(call.root.folder()));
  std::set<std::string> names;
  for (const RepositoryName& name : repositories) names.insert(name.space);
  return JsonReply(200, NamespacesBody({names.begin(), names.end()}));
}

Reply GetNamespace(Call& call) {
  STAGEFS_ASSIGN_OR_RETURN(const auto repositories, ListRepositories(call.root.folder()));
  for (const RepositoryName& name : repositories) {
    if (name.space == call.names[0]) return JsonReply(200, NamespaceBody(name.space));
  }
  return NotHere("Namespace '" + call.names[0] + "' not found");
}

// Oxen's clients tell when a transfer begins and ends; there is nothing to do.
Reply DoAction(Call& call) {
  const std::string& state = call.names[2];
  if (state != "started" && state != "completed") return NoSuchRoute();
  return JsonReply(200, ActionBody(call.names[3], state));
}

Reply NotServed(Call&) {
  return Refuse(501, "not_implemented", "Not served by stagefs",
                "stagefs keeps no Merkle trees and no data frame indexes, so push, clone, pull, "
                "folder downloads by tree and data frame queries are not served. Stage files "
                "in a workspace and commit it, upload with PUT /file, download files or "
                "GET /export/download, or mount the workspace as a folder.");
}

}  // namespace stagefs
