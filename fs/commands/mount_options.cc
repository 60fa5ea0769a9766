#include "mount_options.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <sstream>

namespace stagefs {
namespace {

Result<uint32_t> ParseNumber(const std::string& name, const std::string& text, int base) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text.c_str(), &end, base);
  if (text.empty() || *end != '\0' || value > UINT32_MAX) {
    return Error(ErrorCode::kInvalidArgument, "-o " + name + "=" + text + ": not a number");
  }
  return static_cast<uint32_t>(value);
}

bool IsForKernel(const std::string& name) {
  static constexpr const char* kNames[] = {"exec",  "noexec",  "suid", "nosuid", "dev",       "nodev",
                                           "atime", "noatime", "sync", "async",  "nodiratime"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

Status Apply(const std::string& name, const std::string& value, ParsedMountOptions* parsed) {
  MountOptions& mount = parsed->mount;
  if (name == "ro") mount.read_only = true;
  else if (name == "rw") mount.read_only = false;
  else if (name == "allow_other") parsed->allow_other = true;
  else if (name == "show_control") mount.show_control = true;
  else if (name == "nonempty") parsed->nonempty = true;
  else if (name == "uid") {
    STAGEFS_ASSIGN_OR_RETURN(mount.uid, ParseNumber(name, value, 10));
  } else if (name == "gid") {
    STAGEFS_ASSIGN_OR_RETURN(mount.gid, ParseNumber(name, value, 10));
  } else if (name == "umask") {
    STAGEFS_ASSIGN_OR_RETURN(mount.umask, ParseNumber(name, value, 8));
  } else if (value.empty() && IsForKernel(name)) {
    parsed->kernel_options += ',' + name;
  } else if (!name.empty()) {
    return Error(ErrorCode::kInvalidArgument,
                 "-o " + name + ": unknown; use ro, allow_other, uid=, gid=, umask=, show_control, nonempty, noexec, "
                 "nosuid, nodev, noatime, sync");
  }
  return {};
}

}  // namespace

Result<ParsedMountOptions> ParseMountOptions(const std::vector<std::string>& lists) {
  ParsedMountOptions parsed;
  parsed.mount.uid = getuid();
  parsed.mount.gid = getgid();
  parsed.mount.umask = umask(0);
  umask(parsed.mount.umask);
  parsed.mount.umask |= 022;  // Others write here only if that is asked for.
  for (const std::string& list : lists) {
    std::istringstream pieces(list);
    for (std::string piece; std::getline(pieces, piece, ',');) {
      const std::string name = piece.substr(0, piece.find('='));
      const std::string value = name.size() < piece.size() ? piece.substr(name.size() + 1) : "";
      STAGEFS_RETURN_IF_ERROR(Apply(name, value, &parsed));
    }
  }
  return parsed;
}

}  // namespace stagefs
