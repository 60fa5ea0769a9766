// The server itself, and what it does not serve.
#include <set>

#include "handlers.h"
#include "stagefs/posix_env.h"

namespace stagefs {
namespace {

constexpr char kOpenApi[] =
#include "openapi_json.inc"
#include "stagefs/repositories.h"
    ;

}  // namespace

HttpResponse GetHealth(Call& call) {
  DiskSpace space;
  if (const auto disk = SpaceOf(call.root.folder())) space = *disk;
  return JsonReply(200, HealthBody(space));
}

HttpResponse GetVersion(Call&) { return JsonReply(200, VersionBody(false)); }
HttpResponse GetMinVersion(Call&) { return JsonReply(200, VersionBody(true)); }
HttpResponse GetOpenApi(Call&) { return JsonReply(200, kOpenApi); }

HttpResponse ListNamespaces(Call& call) {
  const auto repositories = ListRepositories(call.root.folder());
  if (!repositories) return ErrorReply(repositories.error());
  std::set<std::string> names;
  for (const RepositoryName& name : *repositories) names.insert(name.space);
  return JsonReply(200, NamespacesBody({names.begin(), names.end()}));
}

HttpResponse GetNamespace(Call& call) {
  const auto repositories = ListRepositories(call.root.folder());
  if (!repositories) return ErrorReply(repositories.error());
  for (const RepositoryName& name : *repositories) {
    if (name.space == call.names[0]) return JsonReply(200, NamespaceBody(name.space));
  }
  return JsonReply(404, NotFoundBody("Namespace '" + call.names[0] + "' not found"));
}

// Oxen's clients tell when a transfer begins and ends; there is nothing to do.
HttpResponse DoAction(Call& call) {
  const std::string& state = call.names[2];
  if (state != "started" && state != "completed") return NoSuchRoute();
  return JsonReply(200, ActionBody(call.names[3], state));
}

HttpResponse NotServed(Call&) {
  return JsonReply(501,
                   ErrorBody(501, "not_implemented", "Not served by stagefs",
                             "stagefs keeps no Merkle trees and no data frame indexes, so push, clone, pull, "
                             "folder downloads by tree and data frame queries are not served. Stage files "
                             "in a workspace and commit it, upload with PUT /file, download files or "
                             "GET /export/download, or mount the workspace as a folder."));
}

}  // namespace stagefs
