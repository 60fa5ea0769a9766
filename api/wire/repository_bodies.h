// Bodies of namespaces and repositories.
#pragma once

#include <string>
#include <vector>

#include "views.h"

namespace stagefs {

std::string NamespacesBody(const std::vector<std::string>& names);
std::string NamespaceBody(const std::string& name);
std::string RepositoryBody(const RepositoryView& repository);
std::string CreatedRepositoryBody(const RepositoryName& name, const CommitView& latest);

}  // namespace stagefs
