// A manifest that a command is given: a file, or standard input.
#pragma once

#include <string>

#include "stagefs/posix_env.h"
#include "stagefs/repository.h"

namespace stagefs {

// Opens the file called `name`, or standard input where that is "-". What can be read only once is copied into an
// unnamed file of the repository, as a manifest is read once for its options and once for its entries.
Result<UniqueFd> OpenManifest(const std::string& name, const Repository& repository);

}  // namespace stagefs
