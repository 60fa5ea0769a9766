#include "status_bodies.h"

#include "body_json.h"
#include "http_status.h"
#include "stagefs/text.h"

namespace stagefs {

using namespace wire;

std::string StatusBody(std::string_view status, std::string_view message) {
  return Dump(Base(status, message));
}

std::string NotFoundBody(std::string_view description) {
  Json body = Base("error", "resource_not_found");
  body["status_description"] = ToDisplayUtf8(description);
  return Dump(body);
}

std::string ErrorBody(unsigned http_status, std::string_view type, std::string_view title,
                      std::string_view detail) {
  return Dump({{"error", {{"type", type}, {"title", title}, {"detail", ToDisplayUtf8(detail)}}},
               {"status", "error"},
               {"status_message", StatusMessageOf(http_status)}});
}

std::string UnauthenticatedBody() {
  return Dump({{"status", "error"}, {"status_message", "unauthenticated"}});
}

std::string VersionBody(bool minimum) {
  Json body = Base("success", kFound);
  if (minimum) body["version"] = kOxenMinVersion;
  return Dump(body);
}

std::string HealthBody(const DiskSpace& space) {
  constexpr double kGb = 1e9;
  const double total = static_cast<double>(space.blocks) * static_cast<double>(space.block_bytes) / kGb;
  const double free =
      static_cast<double>(space.blocks_available) * static_cast<double>(space.block_bytes) / kGb;
  Json body = Base("success", kFound);
  body["disk_usage"] = {{"total_gb", total},
                        {"used_gb", total - free},
                        {"free_gb", free},
                        {"percent_used", total > 0 ? (total - free) / total * 100 : 0.0}};
  return Dump(body);
}

std::string ActionBody(std::string_view action, std::string_view state) {
  return Dump({{"action", action}, {"status", "success"}, {"state", state}});
}

}  // namespace stagefs
