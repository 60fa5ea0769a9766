// Manifests: ordered lists of (path, content hash) to stage in one go.
//
// Formats, told apart by the first bytes unless an extension says otherwise:
//
//   json    [{"hash": "b5e9…", "path": "train/a.txt"}, …]          the documented route's body
//           {"atomic": true, "strip_prefix": "/data/", "entries": […]}   the same with options: those below, by name
//   ndjson  {"hash": "b5e9…", "path": "train/a.txt"}\n …           one object a line
//           An entry of JSON may also have "path_base64": "dHJhaW4v…", which counts instead of a path that is called
//           `path`; "executable": true; "mtime": "2026-11-20T15:04:05.123456789Z", of RFC 3339 with up to 9 digits of
//           fraction, or nanoseconds since 1970 as a whole number. null is as if it were not there. A symbolic link has
//           "target" ("target_base64" counts instead), and no hash: beside one, "target" is a key like any other.
//   sum     HEX  PATH\n | HEX *PATH\n | \HEX  ESCAPED\n            sha256sum, xxhsum -H2 (GNU)
//           SHA256 (PATH) = HEX\n | XXH128 (PATH) = HEX\n          the same with --tag (BSD)
//           HEX  PATH\0                                             the same with -z
//   csv     path,hash\n data/a.jpg,9f2c…\n                          a header naming both; RFC 4180 quotes
//   tsv     path\thash\n data/a.jpg\t9f2c…\n                        the same; quotes only where the header has them
//
// Each may be compressed with gzip or zstd, as its first bytes say; its name then ends in .gz or .zst behind the rest.
// It may unpack to kManifestRatioMax times its size and kManifestFreeBytes.
//
// Of a table's columns `path` counts before `file_name` before `name`, `sha256` before `hash` before `checksum`, in
// any case; two of one name are refused.
//
// A reader must tolerate: unknown JSON keys and columns, CRLF line ends, a byte order mark, blank lines, upper-case
// hex, an entry whose hash or path is nonsense (that is the entry's problem, reported per entry), a last line without
// its end where nothing of it can be missing (it ends in a whole hash, a closed quote or brace). It must refuse, as a
// whole, naming the line: truncated JSON, any other line without its end (a copy that stopped half-way), a missing or
// ill-typed `hash` or `path`, an ill-typed `path_base64`, `executable` or `mtime` or one that says nothing, text that
// is not JSON where JSON began, a record with more or fewer cells than the header, quotes that are no RFC 4180 quotes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "stagefs/result.h"

namespace stagefs {

class RewindableSource;

// One value (a string, a line) of a manifest; longer ones are refused.
constexpr size_t kManifestValueBytesMax = 64 << 10;
// A list of one hash, over and over, comes to 40.
constexpr uint64_t kManifestRatioMax = 200;
constexpr uint64_t kManifestFreeBytes = 1 << 20;

enum class ManifestFormat { kSniff, kJson, kNdjson, kSum, kCsv, kTsv };

// From a name such as "batch.stage.csv" or "batch.stage.csv.gz"; kSniff where it says nothing.
ManifestFormat ManifestFormatOf(std::string_view name);

struct ManifestEntry {
  std::string hash;  // As written, with a prefix where the line named the algorithm.
  std::string path;  // As written, unescaped.
  // From 1: of the line it begins on; in JSON, where a line may hold many, of the entry.
  int64_t number = 0;
  // All of it as it is written, with a line's end; where it was asked for, and what is written is lines.
  std::string text{};
  // What JSON may say of the file besides.
  std::optional<int64_t> mtime_ns{};
  std::optional<bool> executable{};
  std::optional<std::string> target{};  // Of a symbolic link, which has no hash.
};

struct ManifestOptions {
  bool atomic = false;
  bool update_timestamp = false;
  // Of a table; empty: the best of the known names. Of JSON, the members of an entry; empty: `path` and `hash`.
  std::string path_column{}, hash_column{};
  std::string strip_prefix{};  // Taken off each path; one that does not begin with it is refused.
  bool backslash = false;  // Separates the components of paths, as '/' does.
  bool keep_text = false;  // Entries bring their text.
  // What ReadManifest() decided where more than one column fits, for people; else empty.
  std::string columns{};
  // What it found: ManifestEntry::number is that of an entry, not of a line.
  bool counts_entries = false;
  std::string header{};  // Of a table, as it is written; where entries bring their text.
};

// Line formats have no place for options, so their name carries this one: `.atomic.` in it.
bool IsAtomicName(std::string_view name);

// Calls `visit` for every entry in order; its error ends the reading and is returned.
// Returns `options` with those the manifest itself carries. Memory does not grow with the manifest.
//
// Errors: kInvalidArgument with the line or byte where it stopped making sense; kTooLarge where it unpacks to more than
// it may.
Result<ManifestOptions> ReadManifest(
    RewindableSource& source, ManifestFormat format, const ManifestOptions& options,
    const std::function<Status(const ManifestOptions&, ManifestEntry)>& visit);

}  // namespace stagefs
