// Bodies of versions and of uploads in pieces.
#pragma once

#include <string>
#include <vector>

#include "views.h"

namespace stagefs {

std::string VersionMetadataBody(const VersionInfo& version);
std::string MissingVersionsBody(const std::vector<std::string>& hashes);
std::string UploadStoredBody();
std::string UploadBegunBody(const std::string& id, uint64_t part_bytes, uint64_t parts, unsigned window);
std::string UploadPartBody(bool completed);
std::string CleanedBody(const CleanedView& result);

}  // namespace stagefs
