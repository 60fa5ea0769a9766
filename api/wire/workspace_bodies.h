// Bodies of workspaces: what they are, what was staged in them, what was refused.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "stagefs/stage_report.h"
#include "views.h"

namespace stagefs {

std::string WorkspaceBody(std::string_view message, const WorkspaceView& workspace);
std::string WorkspacesBody(const std::vector<WorkspaceView>& workspaces);

using BodySink = std::function<Status(std::string_view)>;
// The documented answer of the batch route. An atomic batch with a refused entry says "error".
Status WriteErrFiles(const StageReport& report, const BodySink& write);
std::string ErrFilesBody(const std::vector<RefusedEntry>& refused);
// What an upload into a workspace staged, and what it could not.
std::string StagedPathsBody(const std::vector<std::string>& paths, const std::vector<RefusedEntry>& refused);
std::string PathsBody(std::string_view status, std::string_view message,
                      const std::vector<std::string>& paths);
std::string ChangesBody(const ChangesView& changes);

}  // namespace stagefs
