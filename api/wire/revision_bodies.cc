#include "revision_bodies.h"

#include "body_json.h"
#include "status_bodies.h"

namespace stagefs {

using namespace wire;

std::string RevisionBody(const RevisionView& revision, const std::string& path) {
  Json body = Base("success", kFound);
  body["resource"] = ResourceOf(revision, path);
  return Dump(body);
}

std::string EntryBody(const EntryView& entry, const RevisionView& revision) {
  Json body = Base("success", kFound);
  body["entry"] = ToJson(entry, revision);
  return Dump(body);
}

std::string DirectoryBody(const ListingView& listing, const RevisionView& revision) {
  Json body = Base("success", kFound);
  body["dir"] = ToJson(listing.folder, revision);
  body["entries"] = Json::array();
  for (const EntryView& entry : listing.entries) body["entries"].push_back(ToJson(entry, revision));
  body["resource"] = PathJson(listing.folder.path);
  body["resource"]["version"] = revision.name;
  body["metadata"] = {{"dir", {{"data_types", DataTypes(listing.data_types)}}}};
  for (const auto& [path, why] : listing.left_out_links) {
    Json& links = body["left_out_links"];  // Clients that do not know it pass it over.
    links.push_back(PathJson(path));
    links.back()["why"] = why;
  }
  AddPage(body, listing.page);
  return Dump(body);
}

}  // namespace stagefs
