// The kinds of places where versions can be, by the scheme of their URL.
#include <array>

#include "s3/s3_version_store.h"
#include "stagefs/version_store.h"

namespace stagefs {
namespace {

struct Kind {
  std::string_view scheme;
  Result<std::unique_ptr<VersionStore>> (*open)(const VersionPlace& place);
};
constexpr std::array kKinds = {Kind{"s3", OpenS3VersionStore}};

}  // namespace

Result<std::unique_ptr<VersionStore>> OpenVersionStore(const VersionPlace& place) {
  const std::string_view scheme = std::string_view(place.url).substr(0, place.url.find("://"));
  for (const Kind& kind : kKinds) {
    if (kind.scheme == scheme) return kind.open(place);
  }
  return Error(ErrorCode::kUnsupported, "versions at '" + place.url + "': this stagefs knows no such places");
}

}  // namespace stagefs
