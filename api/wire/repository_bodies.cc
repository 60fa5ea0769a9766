#include "repository_bodies.h"

#include "body_json.h"
#include "status_bodies.h"
#include "stagefs/text.h"

namespace stagefs {

using namespace wire;

std::string NamespacesBody(const std::vector<std::string>& names) {
  Json body = Base("success", kFound);
  body["namespaces"] = Json::array();
  for (const std::string& name : names) body["namespaces"].push_back({{"namespace", name}});
  return Dump(body);
}

std::string NamespaceBody(const std::string& name) {
  Json body = Base("success", kFound);
  body["namespace"] = {{"namespace", name}, {"storage_usage_gb", 0.0}};
  return Dump(body);
}

std::string RepositoryBody(const RepositoryView& repository) {
  Json body = Base("success", kFound);
  body["repository"] = {{"namespace", repository.name.space},
                        {"name", repository.name.name},
                        {"size", repository.size_bytes},
                        {"data_types", DataTypes(repository.data_types)},
                        {"min_version", kOxenMinVersion},
                        {"is_empty", repository.empty},
                        {"storage_kind", "local"}};
  return Dump(body);
}

std::string CreatedRepositoryBody(const RepositoryName& name, const CommitView& latest) {
  Json body = Base("success", kFound);
  body["repository"] = {{"namespace", name.space},
                        {"name", name.name},
                        {"latest_commit", ToJson(latest)},
                        {"min_version", kOxenMinVersion},
                        {"storage_kind", "local"}};
  body["metadata_entries"] = nullptr;
  return Dump(body);
}

}  // namespace stagefs
