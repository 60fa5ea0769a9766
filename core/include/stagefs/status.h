// What a workspace has staged, as lines.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "stagefs/workspace.h"

namespace stagefs {

struct StatusLine {
  // kSymlink: a link that is not staged, as 0.1.0 kept it. Other links are added, modified and removed as files are.
  enum class Kind { kAdded, kModified, kRemoved, kRenamed, kScratch, kSymlink, kEmptyFolder };
  Kind kind = Kind::kAdded;
  std::string path;
  std::string renamed_from;    // kRenamed: the folder's path in the base.
  int64_t renamed_files = 0;   // kRenamed.
  VersionId version = 0;       // kAdded, kModified, kScratch.
  VersionId base_version = 0;  // kModified, kRemoved.
  uint64_t size_bytes = 0;
  bool executable = false;
  int64_t mtime_ns = 0;
  std::string target;  // Of a symbolic link; of a file empty.
};

// "added", "modified", … as status and JSON print it.
std::string_view ToString(StatusLine::Kind kind);

// Everything staged, scratch or kept, sorted by path, with a renamed folder as one line; O(staged). What is staged
// inside a renamed folder has lines of its own.
Status ForEachStatus(Workspace& workspace, const std::function<Status(const StatusLine&)>& visit);
// The same path by path: what the base shows and the workspace shows otherwise, sorted by path; O(staged and the
// files of renamed folders).
Status ForEachChange(Workspace& workspace, const std::function<Status(const StatusLine&)>& visit);

}  // namespace stagefs
