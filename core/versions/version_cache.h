// This machine's copies of versions that are elsewhere: bounded, least recently used go first.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "stagefs/posix_env.h"

namespace stagefs {

// FOLDER/ab/cdef…, read-only files named by SHA-256. Every process that uses the same root shares it, and it survives
// them. What no process of this boot has hashed yet, and what was written to since, is hashed once before it is
// trusted: the power may have gone. No clock decides that.
//
// Safe for concurrent use from any number of threads and processes.
class VersionCache {
 public:
  static Result<std::unique_ptr<VersionCache>> Open(const std::string& folder, uint64_t bytes_max);
  // What came last, and is larger than all that may be kept, is dropped by now.
  ~VersionCache() {
    if (size_bytes_ > bytes_max_) (void)Trim();
  }

  // A version, noted as used now; invalid if it is not here. It stays readable when it is dropped meanwhile.
  // kInterrupted while it is hashed.
  Result<UniqueFd> Find(const Sha256& hash);
  // Whether there is a copy, be it whole or not.
  bool Has(const Sha256& hash) const;
  // Moves in the file `path`, which is on the same file system, and whose bytes hash to `hash`. May drop others.
  Status Keep(const Sha256& hash, const std::string& path);
  void Drop(const Sha256& hash);
  // A folder for files on their way in.
  const std::string& incoming() const { return incoming_; }

 private:
  VersionCache(const std::string& folder, uint64_t bytes_max)
      : folder_(folder), incoming_(folder + "/incoming"), bytes_max_(bytes_max) {}
  // Counts what is there, and drops what was not used for longest until it fits; never the file `arrived`.
  Status Trim(const std::string& arrived = {});

  const std::string folder_, incoming_;
  const uint64_t bytes_max_;
  int64_t boot_mark_ = 0;  // Constant after Open().
  std::atomic<uint64_t> size_bytes_ = 0;
  std::atomic<uint64_t> added_bytes_ = 0;  // Since Trim() counted; others add, too.
};

}  // namespace stagefs
