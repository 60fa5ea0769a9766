// Where a repository keeps what it knows.
#pragma once

#include <cstdint>
#include <string>

#include "stagefs/result.h"

namespace stagefs {

// Where a repository keeps what it knows, as URLs. An empty one is in the repository's folder below the root: SQLite,
// and a folder of versions, which no other machine sees.
struct RepositoryPlaces {
  std::string index;     // postgresql://HOST/DATABASE…
  std::string versions;  // s3://BUCKET/PREFIX?endpoint=…

  // As the folder's places.json says; all empty where there is none.
  static Result<RepositoryPlaces> Read(const std::string& folder);
  Status Write(const std::string& folder) const;
};

// Of a machine's copies of versions that are elsewhere, unless $STAGEFS_CACHE_BYTES says otherwise.
constexpr uint64_t kCacheBytesDefault = 20ULL << 30;

}  // namespace stagefs
