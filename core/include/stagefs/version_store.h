// Where the bytes of versions are put, and lie.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stagefs/version_source.h"

namespace stagefs {

class ByteSource;
struct DiskSpace;

// A VersionStore keeps immutable versions, each named by the SHA-256 of its bytes. It knows nothing of
// what they are for; StagingIndex does.
//
// As a source it gives what it keeps. Locate() asks the place itself, whatever copies of it are on this machine.
//
// Safe for concurrent use from any number of threads and processes without external synchronization.
class VersionStore : public VersionSource {
 public:
  // Stores the bytes of `source`, `size_bytes` long, under `hash`.
  //
  // Once this returns OK the version survives power loss. Storing a version that is already there is not an
  // error and does not rewrite it.
  //
  // Errors: kInvalidArgument if the bytes do not hash to `hash` or are not `size_bytes` long (nothing is
  // stored); kNoSpace; kReadOnly; kIo. `source` is read to its end and need only live until the call returns.
  virtual Status Put(const Sha256& hash, ByteSource& source, uint64_t size_bytes) = 0;

  // Before Take(), which is called inside transactions, which others wait for: brings the bytes of the file to a store
  // that is elsewhere, or compares them with those that are there by that name. Where they differ, Locate() finds the
  // version nowhere until Take() replaced it. Does not count as stored; whoever never takes it leaves it to gc.
  virtual Status Send(const Sha256& /*hash*/, const std::string& /*path*/) { return {}; }

  // Takes the file `path`, whose bytes hash to `hash`, into the store, by moving it where that is possible.
  // The file is gone afterwards. Survives power loss only after Sync(), unless TakesDurably().
  //
  // REQUIRES: nobody has `path` open for writing. INVARIANT: no file of the store ever has a writer.
  virtual Status Take(const Sha256& hash, const std::string& path) = 0;

  // Undoes a Take(): moves the bytes of `hash` out to the file `path`, which nobody else uses, whatever they are.
  // REQUIRES: nothing names the version, and nobody can come to name it meanwhile.
  virtual Status GiveBack(const Sha256& hash, const std::string& path) = 0;

  virtual bool TakesDurably() const { return false; }

  // Makes versions that were taken survive power loss. kNotFound if one is missing.
  virtual Status Sync(const std::vector<Sha256>& hashes) = 0;

  // A sync of these bytes may have failed without a trace: the next Sync(), by any process, writes them anew. Not an
  // error where there are none.
  virtual Status Doubt(const Sha256& /*hash*/) { return {}; }

  // Opens a version that is `size_bytes` long and came at `stored_ns`, for whoever wants its content. Damage that is
  // cheap to see is seen: another size, what NoteHealth() said, and where something wrote to a file since it came, its
  // hash, once. What the disk changed without a trace is not: fsck sees that. Errors: those of Open().
  virtual Result<std::unique_ptr<VersionReader>> OpenWhole(const Sha256& hash, uint64_t size_bytes,
                                                           int64_t stored_ns) const;

  // Whether the bytes `checked` were hashed from are those of the version. What is not fails to OpenWhole() from then
  // on, also after a crash, and Locate() finds it nowhere, until the content is taken again.
  virtual Status NoteHealth(const Sha256& /*hash*/, const VersionReader& /*checked*/, bool /*good*/) { return {}; }

  // When the bytes last came to be as and where they are, by the clock of whoever keeps them. kNotFound.
  virtual Result<int64_t> ArrivedNs(const Sha256& hash) const = 0;

  // Opens the store's own bytes, whatever they are, where Open() may answer with a copy that was checked.
  virtual Result<std::unique_ptr<VersionReader>> OpenToCheck(const Sha256& hash) const { return Open(hash); }

  // Removes a version. kNotFound if there is none.
  virtual Status Remove(const Sha256& hash) = 0;

  // Calls `visit` for every version, in no particular order, until it returns false.
  virtual Status List(const std::function<bool(const Sha256&)>& visit) const = 0;

  // Removes what uploads left that began before `before_ns` and never finished; returns how many.
  virtual Result<int64_t> RemoveUnfinished(int64_t /*before_ns*/) { return 0; }

  // Of the place where versions lie, for statfs.
  virtual Result<DiskSpace> GetSpace() const = 0;
};

// What is said of bytes that are not those of the version they are named by.
Error DamagedVersion(const Sha256& hash);

// The embedded default: FOLDER/ab/cdef…, read-only files named by SHA-256. `incoming` is a folder on the same
// file system for files on their way in.
Result<std::unique_ptr<VersionStore>> OpenLocalVersionStore(const std::string& folder,
                                                            const std::string& incoming);

// Versions at a URL.
struct VersionPlace {
  std::string url;
  std::string repository;    // NAMESPACE/NAME: several may share a place.
  std::string cache_folder;  // On this machine's disk, for what is used here.
  uint64_t cache_bytes_max = 0;
};
// kUnsupported for a scheme that is none of version_stores.cc.
Result<std::unique_ptr<VersionStore>> OpenVersionStore(const VersionPlace& place);

// Everything in memory: the twin for tests.
std::unique_ptr<VersionStore> NewMemoryVersionStore();

}  // namespace stagefs
