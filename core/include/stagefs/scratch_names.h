// Names that say what a file is for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stagefs {

// Names that editors, browsers and copy tools give to files that are not finished, and that desktops leave
// behind. Written through a mount they are scratch: kept, readable, renamable, never staged.
bool IsScratchFile(std::string_view name, uint64_t size_bytes);
// The same of symbolic links, of which only Emacs makes some.
bool IsScratchLink(std::string_view name);
// NAME of `NAME.part`, which is scratch only where NAME is beside it. Empty for what is scratch whatever is there.
std::string_view FinishedNameOf(std::string_view name);
// The rules of IsScratchFile() for people, one a line.
std::string_view ScratchNamesHelp();
// `*.stage.json`, `*.stage.csv.gz` and so on: a manifest dropped into the tree, staged into its own folder.
bool IsStageManifestName(std::string_view name);
// Whether a file of this name in the inbox is staged: not a report, and not an unfinished file.
bool IsInboxManifestName(std::string_view name);
// The report's name beside a manifest.
std::string ResultNameOf(std::string_view manifest_name);

}  // namespace stagefs
