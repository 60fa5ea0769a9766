// Bodies of what a revision shows: entries and folders.
#pragma once

#include <string>

#include "views.h"

namespace stagefs {

std::string RevisionBody(const RevisionView& revision, const std::string& path);
std::string EntryBody(const EntryView& entry, const RevisionView& revision);
std::string DirectoryBody(const ListingView& listing, const RevisionView& revision);

}  // namespace stagefs
