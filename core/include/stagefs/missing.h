// What a manifest names and a repository does not have: what somebody else is to send.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "stagefs/manifest.h"
#include "stagefs/repository.h"
#include "stagefs/stage_report.h"

namespace stagefs {

struct MissingReport {
  explicit MissingReport(const std::string& spill_folder) : refused(spill_folder) {}

  int64_t entries = 0;
  int64_t missing = 0;          // Of them; an entry counts each time it is there.
  RefusedEntries refused;       // Whose hash is none, so that nobody can send it.
  bool counts_entries = false;  // As in StageReport.
};

// Writes each entry of a manifest whose content `repository` does not have, in order, by calls of `emit`: lines as they
// are written, of a table with its header before them, and the entries of a JSON array as an object a line. What is
// written is a manifest again, or nothing. Memory does not grow with the manifest.
// Errors: those of ReadManifest(), after some of it may have been written; that of `emit`, which ends the reading.
Result<MissingReport> FindMissing(Repository& repository, RewindableSource& source, ManifestFormat format,
                                  ManifestOptions options, const std::function<Status(std::string_view)>& emit);

}  // namespace stagefs
