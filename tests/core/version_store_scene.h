// A version store of each kind, empty.
#pragma once

#include <memory>
#include <string>

#include "core/versions/s3/s3_version_store.h"
#include "stagefs/byte_source.h"
#include "stagefs/version_store.h"
#include "tests/catch.h"
#include "tests/scene.h"
#include "tests/servers.h"

namespace stagefs::test {

enum class StoreKind { kLocal, kMemory, kS3 };

struct StoreScene {
  explicit StoreScene(StoreKind kind) {
    switch (kind) {
      case StoreKind::kLocal:
        store = Value(OpenLocalVersionStore(folder / "versions", folder / "incoming"));
        break;
      case StoreKind::kMemory: store = NewMemoryVersionStore(); break;
      case StoreKind::kS3:
        s3_url = S3Url(RandomHex());
        store = Value(OpenS3VersionStore({s3_url, "test/store", folder / "cache", 1 << 20}));
        break;
    }
  }
  Sha256 Put(const std::string& text) {
    const Sha256 hash = HashOf(text).sha256;
    const auto source = NewStringSource(text);
    Ok(store->Put(hash, *source, text.size()));
    return hash;
  }
  bool Has(const Sha256& hash) const { return Value(store->Locate(hash)) != Presence::kNowhere; }

  TempFolder folder;
  std::string s3_url;
  std::unique_ptr<VersionStore> store;
};

inline std::string TextOf(const VersionReader& reader) {
  std::string text(reader.size_bytes(), '\0');
  CHECK(Value(reader.ReadAt(text.data(), text.size(), 0)) == text.size());
  return text;
}
inline std::string Read(const VersionSource& source, const Sha256& hash) { return TextOf(*Value(source.Open(hash))); }

}  // namespace stagefs::test
