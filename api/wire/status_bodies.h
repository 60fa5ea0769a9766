// Bodies of the server itself, and of refusals.
#pragma once

#include <string>
#include <string_view>

#include "stagefs/posix_env.h"

namespace stagefs {

// The version of Oxen's wire this server speaks, in `oxen_version` and the header of that name.
constexpr std::string_view kOxenVersion = "0.50.0";
constexpr std::string_view kOxenMinVersion = "0.36.0";

// `status_message`.
constexpr std::string_view kCreated = "resource_created";
constexpr std::string_view kFound = "resource_found";
constexpr std::string_view kUpdated = "resource_updated";
constexpr std::string_view kDeleted = "resource_deleted";

// {"status":…, "status_message":…, "oxen_version":…}
std::string StatusBody(std::string_view status, std::string_view message);
// The same with "status_description": what was not found.
std::string NotFoundBody(std::string_view description);
// {"error":{"type","title","detail"}, "status":"error", "status_message":…}
std::string ErrorBody(unsigned http_status, std::string_view type, std::string_view title,
                      std::string_view detail);
std::string UnauthenticatedBody();
std::string VersionBody(bool minimum);
std::string HealthBody(const DiskSpace& space);
std::string ActionBody(std::string_view action, std::string_view state);

}  // namespace stagefs
