// `stagefs put`: files of the local disk become versions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "stagefs/repository.h"

namespace stagefs {

// Copies the files into the repository's incoming folder, hashing them, on all processors. In order of
// `paths`.
std::vector<std::optional<Result<IncomingFile>>> CopyGroup(const Repository& repository,
                                                           const std::vector<std::string>& paths);

// Stores `paths`, folders with everything in them, and calls `stored` for each file in order, once it survives power
// loss. Symbolic links to files count as these. A file is named by its path, as tar names it (without "/" or "../"
// before it); what is in the only path given, a folder, by its path below that. Returns why others were left out: what
// cannot be read, links to folders or to nothing, special files. kInvalidArgument, and nothing is stored, where two
// files would have one name.
Result<std::vector<std::string>> PutFiles(
    Repository& repository, const std::vector<std::string>& paths,
    const std::function<Status(const std::string& path, const VersionInfo&)>& stored,
    const std::function<void(int64_t done, int64_t total)>& progress);

// `HASH  PATH` as sha256sum writes it: names with backslashes and line ends are escaped unless `zero`.
std::string SumLine(const std::string& hash, const std::string& path, bool zero);

}  // namespace stagefs
