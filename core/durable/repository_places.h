// Where a repository's index and versions are, for the files of core that open them.
#pragma once

#include <memory>
#include <string>

#include "stagefs/repository.h"
#include "stagefs/repository_places.h"

namespace stagefs {

// In an index that machines share, or whose versions moved: where these are. So an index's URL alone leads to both, and
// whoever opened it before they moved learns of that.
constexpr char kVersionsKey[] = "versions";
constexpr char kFolderOfMachine[] = "folder of machine ";
// In an index that moved: where to. It takes no change any more, and says nothing of what is stored since.
constexpr char kMovedKey[] = "moved";
// What stands there. Beside a shared index a folder is named by its machine: no other one has what is in it.
std::string VersionsMark(const std::string& folder, const RepositoryPlaces& places);

// A place's URL without what only says how to get there: user, password, and what follows '?'. Two that are equal by
// this are one place.
std::string PlaceOfUrl(const std::string& url);

Result<std::unique_ptr<VersionStore>> OpenVersions(const std::string& folder, const RepositoryName& name,
                                                   const RepositoryPlaces& places);

}  // namespace stagefs
