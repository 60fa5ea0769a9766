// The JSON bodies Oxen's clients understand.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "stagefs/workspace.h"

namespace stagefs {

// The version of Oxen's wire this server speaks, in `oxen_version` and the header of that name.
constexpr std::string_view kOxenVersion = "0.50.0";
constexpr std::string_view kOxenMinVersion = "0.36.0";

using BodySink = std::function<Status(std::string_view)>;

// {"status":…, "status_message":…, "oxen_version":…}
std::string StatusBody(std::string_view status, std::string_view message);
// The same with "status_description": what was not found.
std::string NotFoundBody(std::string_view description);
// {"error":{"type","title","detail"}, "status":"error", "status_message":…}
std::string ErrorBody(unsigned http_status, std::string_view type, std::string_view title,
                      std::string_view detail);
std::string UnauthenticatedBody();
std::string VersionBody(bool minimum);
std::string HealthBody(const VersionStore::Space& space);

// The documented answer of the batch route. An atomic batch with a refused entry says "error".
Status WriteErrFiles(const StageReport& report, const BodySink& write);

// What is staged at or below `path`, one page of each list.
Result<std::string> ChangesBody(Workspace& workspace, const std::string& path, int64_t page,
                                int64_t page_size);

}  // namespace stagefs
