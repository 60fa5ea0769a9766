// A version store that does what another one does, for twins that change a part of it.
#pragma once

#include <memory>
#include <utility>

#include "stagefs/posix_env.h"
#include "stagefs/version_store.h"

namespace stagefs::test {

class StoreOver : public VersionStore {
 public:
  explicit StoreOver(std::unique_ptr<VersionStore> below) : below_(std::move(below)) {}

  Status Put(const Sha256& hash, ByteSource& source, uint64_t size_bytes) override {
    return below_->Put(hash, source, size_bytes);
  }
  Status Take(const Sha256& hash, const std::string& path) override { return below_->Take(hash, path); }
  Status GiveBack(const Sha256& hash, const std::string& path) override { return below_->GiveBack(hash, path); }
  Status Sync(const std::vector<Sha256>& hashes) override { return below_->Sync(hashes); }
  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override { return below_->Open(hash); }
  Result<Presence> Locate(const Sha256& hash) const override { return below_->Locate(hash); }
  Result<int64_t> ArrivedNs(const Sha256& hash) const override { return below_->ArrivedNs(hash); }
  Status Remove(const Sha256& hash) override { return below_->Remove(hash); }
  Status List(const std::function<bool(const Sha256&)>& visit) const override { return below_->List(visit); }
  Result<DiskSpace> GetSpace() const override { return below_->GetSpace(); }

 private:
  const std::unique_ptr<VersionStore> below_;
};

}  // namespace stagefs::test
