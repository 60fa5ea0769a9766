// Where the bytes of versions can be read from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "stagefs/content_hash.h"
#include "stagefs/result.h"

namespace stagefs {

class RewindableSource;

// One version, open for reading. Safe for concurrent use. It stays readable until destroyed, also if the
// version is removed from where it was meanwhile.
class VersionReader {
 public:
  virtual ~VersionReader() = default;
  virtual uint64_t size_bytes() const = 0;
  // Reads at `offset`; fewer bytes than asked for only at the end.
  virtual Result<size_t> ReadAt(void* data, size_t size_bytes, uint64_t offset) const = 0;
  // A descriptor of the same bytes for splicing, or -1 where there is none. Owned by the reader.
  virtual int fd() const { return -1; }
};

// Where a version's bytes are.
enum class Presence {
  kHere,       // On this machine: Open() waits for no other, unless a copy turns out to be damaged.
  kElsewhere,  // Open() brings them here.
  kNowhere,    // The source does not have them.
};

// A VersionSource gives the bytes of versions, each named by their SHA-256, and changes none. It may be on another
// machine; wrapped into a CachedVersionSource, what comes from there is fetched once and checked.
//
// Safe for concurrent use from any number of threads without external synchronization.
class VersionSource {
 public:
  virtual ~VersionSource() = default;

  // Errors: kNotFound; kCorrupt where the source looked and its bytes are others; kPermission; kIo.
  virtual Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const = 0;

  // Writes the bytes to `fd`, an empty file, from its start: as the source has them, so that whoever needs them to be
  // the version's hashes them. Errors as those of Open(); some bytes may have been written then.
  virtual Status CopyTo(const Sha256& hash, int fd) const;

  // An error where that cannot be said: kPermission; kIo.
  virtual Result<Presence> Locate(const Sha256& hash) const = 0;

  // Makes a later Open() wait for no other machine, where this one has room to keep a copy. Errors as those of Open().
  virtual Status Prefetch(const Sha256& hash) const { return Open(hash).WithoutValue(); }

  // Whether the bytes come from another machine: then asking for several at once saves time.
  virtual bool IsElsewhere() const { return false; }
};

// What all of `reader` hashes to.
Result<ContentId> HashVersion(const VersionReader& reader);

// The bytes of `reader`, which must outlive it.
std::unique_ptr<RewindableSource> NewReaderSource(const VersionReader& reader);

}  // namespace stagefs
