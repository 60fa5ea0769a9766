// The extended attributes user.stagefs.sha256, .xxh3 and .status.
#pragma once

#include <string>

#include "open_files.h"

namespace stagefs {

// kNotFound for attributes that the node or stagefs does not have, kUnsupported for ACLs. `workspace`: nullptr where
// nothing is staged.
Result<std::string> GetXattrOf(OpenFiles& files, Nodes& nodes, Workspace* workspace, const std::shared_ptr<Node>& node,
                               const std::string& name);

}  // namespace stagefs
