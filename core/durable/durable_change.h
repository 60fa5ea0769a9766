// The one way a change becomes durable: begin, change, take bytes, commit, sync.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "stagefs/repository.h"

namespace stagefs {

// What a change that survives power loss does with versions that were acknowledged earlier and are not synced yet.
enum class Earlier {
  kAsTheyAre,  // It names none of them.
  kSynced,     // It may name them: they are synced before it begins, and those that came since before it commits.
};

// Everything or nothing. Destroyed without Commit() it rolls back, and the files it took are where they were.
// For one thread at a time. Outlived by the repository.
class DurableChange {
 public:
  static Result<std::unique_ptr<DurableChange>> Begin(Repository& repository, Durability durability, Turn turn,
                                                      Earlier earlier = Earlier::kAsTheyAre);
  ~DurableChange();
  DurableChange(const DurableChange&) = delete;
  DurableChange& operator=(const DurableChange&) = delete;

  IndexTransaction& index() { return *transaction_; }
  int64_t ClockNs() const { return repository_.ClockNs(); }

  // Takes the file at `path` into the store; where its content is there already, that is renewed and the file removed.
  // `synced`: its bytes are. Else the flusher sees to that within a second. `is_new`: nobody knew that content.
  // REQUIRES: where the store is elsewhere the file was sent.
  Result<VersionInfo> Take(const std::string& path, const ContentId& content, uint64_t size_bytes, bool synced,
                           bool* is_new = nullptr);

  // A kIo of an index that is far away may have been committed nevertheless; then nothing is lost.
  Status Commit();

 private:
  DurableChange(Repository& repository, Durability durability, Earlier earlier,
                std::unique_ptr<IndexTransaction> transaction)
      : repository_(repository), durability_(durability), earlier_(earlier), transaction_(std::move(transaction)) {}
  // Syncs what was closed between the sync before this change and its turn: few, as its turn keeps others out.
  Status SyncLatecomers();
  // Gets a file back, unless somebody else has named its content meanwhile: then a copy of it.
  Status GiveBack(const std::string& path, const Sha256& hash);
  Status CopyBack(const std::string& path, const Sha256& hash);

  struct Taken {
    std::string path;
    Sha256 hash;
  };

  Repository& repository_;
  const Durability durability_;
  const Earlier earlier_;
  std::unique_ptr<IndexTransaction> transaction_;
  std::vector<Taken> taken_;
};

}  // namespace stagefs
