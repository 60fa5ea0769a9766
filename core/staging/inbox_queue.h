// Where a manifest waits that was renamed into place: in the tree, or in the inbox for a directory.
#pragma once

#include <string>

#include "stagefs/repo_path.h"
#include "stagefs/staging_index.h"

namespace stagefs {

// A key of the index that holds everything, in hexadecimal where it may be any bytes.
std::string QueueKey(WorkspaceId workspace, const Slot& slot);
std::string QueueKey(WorkspaceId workspace, const RepoPath& directory, const std::string& name);

}  // namespace stagefs
