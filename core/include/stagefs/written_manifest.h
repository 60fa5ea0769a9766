// A tree as a manifest: what comes out can be staged again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "stagefs/byte_source.h"
#include "stagefs/manifest.h"
#include "stagefs/revision.h"

namespace stagefs {

// How each file is written, one a line:
//
//   sum      HEX  PATH; with `bsd_tag` SHA256 (PATH) = HEX or XXH128 (PATH) = HEX. With `zero` lines end in NUL and
//            paths are as they are; else a line whose path has a newline or a backslash begins with '\', as sha256sum
//            has it
//   ndjson   {"hash": HEX, "path": PATH, "size": BYTES, "mtime": "2026-11-20T15:04:05.123456789Z"}; also
//            "path_base64" where a path is not UTF-8, "executable": true; a symbolic link has "target" (and
//            "target_base64") instead of "hash"
//   json     the same in an array
//   csv, tsv path and hash, under a header; quotes where a cell needs them
struct ManifestStyle {
  ManifestFormat format = ManifestFormat::kSum;
  bool bsd_tag = false, zero = false;
  bool xxh3 = false;  // Which hash; else SHA-256.
};

// By names: sum, ndjson, json, csv or tsv, and sha256 or xxh3. kInvalidArgument, naming them.
Result<ManifestStyle> ManifestStyleOf(const std::string& format, const std::string& hash);

// What was written, and of how many files the format left something out.
struct WrittenManifest {
  int64_t files = 0;
  int64_t executables = 0;  // Said by JSON alone,
  int64_t links = 0;        // as are these: so many were left out.
};

// Writes every file and symbolic link at or below `path` of the tree, folder by folder in byte order of the names, by
// calls of `emit` of some thousand bytes, from any one thread at a time; its error ends the writing and is returned.
// Memory does not grow with the tree: 50 MB of hashes at most.
// Errors: kNotFound; kInvalidArgument for a style that is none.
Result<WrittenManifest> WriteManifest(Repository& repository, const Revision& revision, const RepoPath& path,
                                      const ManifestStyle& style,
                                      const std::function<Status(std::string_view)>& emit);

// The same, made while it is read. The index is read page by page, and by nobody while a reader takes its time: of a
// commit that is one moment, of a workspace each 1,024 names are as new as they are read. Errors as above; those of
// Read() cut it off.
Result<std::unique_ptr<ByteSource>> NewManifestSource(std::shared_ptr<Repository> repository, const Revision& revision,
                                                      const RepoPath& path, const ManifestStyle& style);

}  // namespace stagefs
