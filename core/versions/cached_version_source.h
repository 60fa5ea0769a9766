// A source that is elsewhere, read through this machine's copies.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "stagefs/version_source.h"
#include "version_cache.h"

namespace stagefs {

// What is read is fetched whole into the cache, hashed, and opened there: once, however many ask for it together. Reads
// of what is there go on while the source below does not answer. Open() says kCorrupt where it has other bytes.
//
// Locate() says kHere of what the cache has without asking below.
class CachedVersionSource : public VersionSource {
 public:
  // `name`: of the source below, for messages.
  CachedVersionSource(std::unique_ptr<VersionSource> below, std::string name, std::unique_ptr<VersionCache> cache)
      : below_(std::move(below)), name_(std::move(name)), cache_(std::move(cache)) {}

  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override;
  Result<Presence> Locate(const Sha256& hash) const override;
  bool IsElsewhere() const override { return below_->IsElsewhere(); }

  // The source itself, with no copies between.
  const VersionSource& below() const { return *below_; }

  // For stores, whose bytes pass this machine on their way: moves in the file `path`, which is in incoming() or on its
  // file system, and whose bytes hash to `hash`, so that it need not be fetched.
  Status Keep(const Sha256& hash, const std::string& path) { return cache_->Keep(hash, path); }
  void Drop(const Sha256& hash) { cache_->Drop(hash); }
  bool Keeps(const Sha256& hash) const { return cache_->Has(hash); }
  const std::string& incoming() const { return cache_->incoming(); }

 private:
  enum class FetchTurn { kMine, kAnothers };
  // kAnothers: after having waited for the end of a fetch by another thread, which may have failed. Where it is kMine
  // the caller fetches, and then calls EndFetch().
  FetchTurn BeginFetch(const Sha256& hash) const;
  void EndFetch(const Sha256& hash) const;
  Result<UniqueFd> Fetch(const Sha256& hash) const;
  Status FetchInto(const Sha256& hash, int fd) const;

  const std::unique_ptr<VersionSource> below_;
  const std::string name_;
  const std::unique_ptr<VersionCache> cache_;
  mutable std::mutex fetching_mutex_;
  mutable std::condition_variable fetched_;
  mutable std::set<Sha256> fetching_;
};

}  // namespace stagefs
