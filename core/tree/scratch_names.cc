#include "stagefs/scratch_names.h"

#include <algorithm>
#include <array>

#include "stagefs/compression.h"
#include "stagefs/text.h"

namespace stagefs {
namespace {

bool IsAlnum(char c) {
  return isalnum(static_cast<unsigned char>(c)) != 0 && static_cast<unsigned char>(c) < 0x80;
}

// rsync writes NAME as .NAME.XXXXXX. Six lower-case letters are far more often an extension (.x.config)
// than one of rsync's, 1 in 200 of which looks like that.
bool IsRsyncName(std::string_view name) {
  if (name.size() < 9 || name[0] != '.' || name[name.size() - 7] != '.') return false;
  const std::string_view tail = name.substr(name.size() - 6);
  return std::all_of(tail.begin(), tail.end(), IsAlnum) &&
         !std::all_of(tail.begin(), tail.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

bool IsVimSwapName(std::string_view name) {
  return name.size() > 5 && name[0] == '.' && name.substr(name.size() - 4, 3) == ".sw" &&
         IsAlnum(name.back());
}

constexpr std::string_view kPart = ".part";

}  // namespace

std::string_view FinishedNameOf(std::string_view name) {
  return name.size() > kPart.size() && name.ends_with(kPart) ? name.substr(0, name.size() - kPart.size())
                                                             : std::string_view();
}

bool IsScratchFile(std::string_view name, uint64_t size_bytes) {
  static constexpr std::array<std::string_view, 3> kWhole = {".DS_Store", "Thumbs.db", "desktop.ini"};
  static constexpr std::array<std::string_view, 4> kPrefix = {".goutputstream-", "._", ".nfs",
                                                              ".fuse_hidden"};
  // With content it is the 4,914th file of somebody who counts.
  if (name == "4913") return size_bytes == 0;
  if (std::find(kWhole.begin(), kWhole.end(), name) != kWhole.end()) return true;
  for (const std::string_view prefix : kPrefix) {
    if (name.starts_with(prefix) && name.size() > prefix.size()) return true;
  }
  if (name.starts_with(".~lock.") && name.ends_with('#')) return true;
  if (!FinishedNameOf(name).empty()) return true;
  return IsRsyncName(name) || IsVimSwapName(name) || IsStageManifestName(name);
}

bool IsScratchLink(std::string_view name) { return name.size() > 2 && name.starts_with(".#"); }

std::string_view ScratchNamesHelp() {
  return "  .goutputstream-*   GLib's unfinished files\n"
         "  .NAME.XXXXXX       rsync's (six letters and digits, not all lower case)\n"
         "  NAME.part          KIO's and browsers', while NAME is beside it\n"
         "  .NAME.sw?          vim's; 4913 while it is empty\n"
         "  .~lock.*#          LibreOffice's locks; symbolic links .#*, which are Emacs's\n"
         "  .DS_Store  ._*  Thumbs.db  desktop.ini   what other desktops leave behind\n"
         "  .nfs*  .fuse_hidden*                     open files that were removed\n"
         "  *.stage.json  *.stage.ndjson  *.stage.csv  *.stage.tsv  *.stage.sum\n"
         "                     manifests (also with .gz, .zst), which stage what they list; and their *.result.json\n";
}

bool IsStageManifestName(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kEndings = {".stage.json", ".stage.ndjson", ".stage.jsonl",
                                                               ".stage.csv", ".stage.tsv", ".stage.sum"};
  constexpr std::string_view kResult = ".result.json";
  if (name.ends_with(kResult)) name.remove_suffix(kResult.size());
  const std::string lower = ToLowerAscii(WithoutCompression(name));
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view ending) {
    return lower.size() > ending.size() && lower.ends_with(ending);
  });
}

bool IsInboxManifestName(std::string_view name) {
  return !name.ends_with(".result.json") && (!IsScratchFile(name, 0) || IsStageManifestName(name));
}

std::string ResultNameOf(std::string_view manifest_name) {
  return std::string(manifest_name) + ".result.json";
}

}  // namespace stagefs
