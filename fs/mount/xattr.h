// The extended attributes user.stagefs.sha256, .xxh3 and .status.
#pragma once

#include <string>

#include "open_files.h"

namespace stagefs {

// Which need no node: kNotFound for attributes that stagefs does not have, kUnsupported for kinds
// of them that it does not have (ACLs, labels).
Status CheckXattrName(const std::string& name);
// REQUIRES: the name was checked. kNotFound if the node does not have it. `workspace`: nullptr where nothing is staged.
Result<std::string> GetXattrOf(OpenFiles& files, Nodes& nodes, Workspace* workspace, const std::shared_ptr<Node>& node,
                               const std::string& name);

}  // namespace stagefs
