// A source that is elsewhere, read through this machine's copies.
#pragma once

#include <condition_variable>
#include <memory>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "stagefs/version_source.h"
#include "version_cache.h"

namespace stagefs {

// What is read is fetched whole into the cache, hashed, and opened there: once, however many ask for it together, also
// where that fails; if who fetches gives up (interruption.h), another one of them begins anew. Reads of what is there
// go on while the source below does not answer. Open() says kCorrupt where it has other bytes; kInterrupted.
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
  using Outcome = std::optional<Status>;  // Of a fetch, once it has one.
  // Invalid: another thread fetched it meanwhile, or its caller gave up.
  Result<UniqueFd> FetchTogether(const Sha256& hash) const;
  Result<UniqueFd> Fetch(const Sha256& hash) const;
  Status FetchInto(const Sha256& hash, int fd) const;

  const std::unique_ptr<VersionSource> below_;
  const std::string name_;
  const std::unique_ptr<VersionCache> cache_;
  mutable std::mutex fetching_mutex_;
  mutable std::condition_variable fetched_;
  mutable std::map<Sha256, std::shared_ptr<Outcome>> fetching_;
};

}  // namespace stagefs
