// `stagefs import-oxen`: the versions of an Oxen repository on this disk become versions here.
//
// Oxen keeps each as .oxen/versions/files/{first two digits}/{the others}/data, where the digits are the
// XXH3-128 of its bytes without leading zeros. A folder `chunks` beside `data` is an upload that never
// finished.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "stagefs/repository.h"

namespace stagefs {

struct ImportReport {
  int64_t imported = 0;
  int64_t there_already = 0;        // From an earlier run, or by other ways: not read again.
  uint64_t bytes = 0;               // Of what was imported.
  std::vector<std::string> failed;  // Why files could not be imported: damaged ones, unreadable ones.
};

// `path`: the repository's folder, or any folder on the way from it to `files`. What was imported survives
// power loss; a run that was interrupted goes on where it stopped. Errors: kNotFound if there is no Oxen
// version store; kNoSpace; trouble with the repository.
Result<ImportReport> ImportOxen(Repository& repository, const std::string& path,
                                const std::function<void(int64_t done, int64_t total)>& progress);

}  // namespace stagefs
