#include "stagefs/byte_source.h"
#include "stagefs/uploads.h"

#include "tests/catch.h"
#include "tests/scene.h"
#include "tests/store_over.h"
#include "stagefs/posix_env.h"
#include "stagefs/repositories.h"
#include "stagefs/version_store.h"

namespace stagefs::test {
namespace {

Status Send(Uploads& uploads, const std::string& key, uint64_t offset, const std::string& bytes,
            bool begin = true) {
  const auto source = NewStringSource(bytes);
  return uploads.PutPiece(key, offset, *source, begin);
}

}  // namespace

TEST_CASE("Uploads: pieces in any order become one version", "[core][uploads]") {
  Scene scene;
  Uploads uploads(scene.repository());
  const HashRef hash(HashOf("hello, world").xxh3);
  const std::string key = Uploads::KeyOf(hash);
  Ok(Send(uploads, key, 7, "world"));
  Ok(Send(uploads, key, 0, "HELLO, "));
  CHECK(uploads.Complete(key, hash).error().code() == ErrorCode::kInvalidArgument);
  CHECK(uploads.Complete(key, hash).error().code() == ErrorCode::kNotFound);  // A wrong one leaves nothing.
  Ok(Send(uploads, key, 0, "hello, "));
  CHECK(uploads.Complete(key, hash).error().code() == ErrorCode::kInvalidArgument);  // "hello, " alone.
  Ok(Send(uploads, key, 7, "world"));
  CHECK(uploads.Complete(key, hash).error().message().find("at byte 0") != std::string::npos);
  Ok(Send(uploads, key, 0, "hello, "));  // Missing pieces can still come.
  CHECK(Value(uploads.Pieces(key)).size() == 2);
  CHECK(Value(uploads.Complete(key, hash)).content == HashOf("hello, world"));
  CHECK(uploads.Complete(key, hash).error().code() == ErrorCode::kNotFound);
}

TEST_CASE("Uploads: an upload that was begun survives a restart", "[core][uploads]") {
  Scene scene;
  const UploadPlan plan{ToHex(HashOf("abcde").sha256), 5, 3, "w", "d/\xff\n.bin"};
  std::string key;
  {
    Uploads uploads(scene.repository());
    key = Value(uploads.Begin(plan));
    Ok(Send(uploads, key, 0, "abc", false));
  }
  scene.Close();
  scene.Reopen();
  Uploads uploads(scene.repository());
  const UploadPlan kept = Value(uploads.PlanOf(key));
  CHECK(kept.hash == plan.hash);
  CHECK(kept.path == plan.path);
  CHECK(kept.pieces() == 2);
  Ok(Send(uploads, key, 3, "de", false));
  CHECK(Value(uploads.Complete(key, Value(HashRef::Parse(kept.hash)))).size_bytes == 5);
  CHECK(uploads.PlanOf(key).error().code() == ErrorCode::kNotFound);
  CHECK(Send(uploads, key, 0, "abc", false).error().code() == ErrorCode::kNotFound);
}

TEST_CASE("Uploads: limits and names that are none", "[core][uploads]") {
  Scene scene;
  Uploads uploads(scene.repository());
  CHECK(uploads.Begin({"00", kUploadBytesMax + 1, 1, "", ""}).error().code() == ErrorCode::kTooLarge);
  const std::string largest = Value(uploads.Begin({"00", kUploadBytesMax, 1, "", ""}));
  CHECK(Send(uploads, largest, kUploadBytesMax + 1, "x").error().code() == ErrorCode::kTooLarge);
  for (const char* key : {"", "..", "../x", "a/b", "A"}) {
    INFO(key);
    CHECK(Send(uploads, key, 0, "x").error().code() == ErrorCode::kNotFound);
    CHECK(uploads.PlanOf(key).error().code() == ErrorCode::kNotFound);
    CHECK(uploads.Drop(key).error().code() == ErrorCode::kNotFound);
  }
}

TEST_CASE("Uploads: one that was being completed when its process was killed can be completed",
          "[core][embedded][uploads]") {
  Scene scene;
  const HashRef hash(HashOf("hello").xxh3);
  const std::string key = Uploads::KeyOf(hash);
  const RepositoryName name = scene.name();
  const std::string root = scene.root();
  {
    Uploads uploads(scene.repository());
    Ok(Send(uploads, key, 0, "hello"));
  }
  scene.Close();
  InKilledProcess([&] {
    class KillingStore : public StoreOver {
     public:
      using StoreOver::StoreOver;
      Status Send(const Sha256&, const std::string&) override { _exit(0); }
    };
    const std::string folder = root + '/' + name.ToString();
    auto store = Value(OpenLocalVersionStore(folder + "/versions", folder + "/incoming"));
    const auto repository =
        Value(AssembleRepository(folder, name, Value(OpenStagingIndex({"", "", folder + "/stagefs.db"})),
                                 std::make_unique<KillingStore>(std::move(store))));
    (void)Uploads(*repository).Complete(key, hash);
  });
  scene.Reopen();
  Uploads uploads(scene.repository());
  CHECK(Value(uploads.Pieces(key)).size() == 1);
  CHECK(Value(uploads.Complete(key, hash)).content == HashOf("hello"));
}

TEST_CASE("Uploads: what nobody touched goes", "[core][uploads]") {
  Scene scene;
  Uploads uploads(scene.repository());
  const std::string key = Value(uploads.Begin({"00", 5, 3, "", ""}));
  CHECK(Value(uploads.RemoveStale(NowNs() - 1'000'000'000)) == 0);
  CHECK(Value(uploads.RemoveStale(NowNs() + 1'000'000'000)) == 1);
  CHECK(uploads.PlanOf(key).error().code() == ErrorCode::kNotFound);
}

}  // namespace stagefs::test
