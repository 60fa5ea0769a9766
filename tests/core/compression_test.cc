#include "stagefs/compression.h"

#include <zlib.h>
#include <zstd.h>

#include "stagefs/manifest.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

// One member; `extra` zeros in its header.
std::string Gzip(const std::string& text, size_t extra = 0) {
  z_stream zlib{};
  REQUIRE(deflateInit2(&zlib, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string more(extra, '\0'), packed(text.size() + extra + 1000, '\0');
  gz_header header{};
  header.extra = reinterpret_cast<Bytef*>(more.data());
  header.extra_len = static_cast<uInt>(extra);
  if (extra > 0) REQUIRE(deflateSetHeader(&zlib, &header) == Z_OK);
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  zlib.avail_in = static_cast<uInt>(text.size());
  zlib.next_out = reinterpret_cast<Bytef*>(packed.data());
  zlib.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&zlib, Z_FINISH) == Z_STREAM_END);
  packed.resize(zlib.total_out);
  deflateEnd(&zlib);
  return packed;
}

std::string Zstd(const std::string& text, int window_log = 0) {
  ZSTD_CCtx* zstd = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
  ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, window_log);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress2(zstd, packed.data(), packed.size(), text.data(), text.size()));
  ZSTD_freeCCtx(zstd);
  return packed;
}

// What `packed` unpacks to in pieces of `piece` bytes, or the error.
Result<std::string> Unpack(const std::string& packed, UnpackLimits limits = {}, size_t piece = 1000) {
  const auto source = NewStringSource(packed);
  const auto unpacked = NewUnpackedSource(*source, CompressionOf(packed), limits, "it");
  std::string text, buffer(piece, '\0');
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, unpacked->Read(buffer.data(), buffer.size()));
    if (got == 0) return text;
    text.append(buffer, 0, got);
  }
}

std::string ManyLines(int count) {
  std::string lines;
  for (int64_t i = 0; i < count; ++i) lines += "line " + std::to_string(i * 7919) + '\n';
  return lines;
}

}  // namespace

TEST_CASE("Compression: what was packed comes out, in whatever pieces", "[core][compression]") {
  const std::string text = GENERATE(std::string(), std::string("x"), ManyLines(20'000));
  const size_t piece = GENERATE(size_t{1}, size_t{1000}, size_t{1} << 20);
  for (const std::string& packed : {Gzip(text), Zstd(text)}) {
    CHECK(Value(Unpack(packed, {}, piece)) == text);
    CHECK(Value(Unpack(packed + packed, {}, piece)) == text + text);
  }
}

TEST_CASE("Compression: a source can be read again from the start", "[core][compression]") {
  const std::string text = ManyLines(1000), packed = GENERATE_COPY(Gzip(text), Zstd(text));
  const auto source = NewStringSource(packed);
  const auto unpacked = NewUnpackedSource(*source, CompressionOf(packed), {}, "it");
  std::string buffer(text.size() + 1, '\0');
  REQUIRE(Value(unpacked->Read(buffer.data(), 10)) == 10);
  REQUIRE(unpacked->Rewind());
  CHECK(Value(unpacked->Read(buffer.data(), buffer.size())) == text.size());
  CHECK(buffer.substr(0, text.size()) == text);
}

TEST_CASE("Compression: cut short anywhere, damaged or followed by more, it is refused", "[core][compression]") {
  const std::string text = ManyLines(100), packed = GENERATE_COPY(Gzip(text), Zstd(text));
  for (size_t size = 4; size < packed.size(); ++size) {
    CAPTURE(size);
    const auto cut = Unpack(packed.substr(0, size));
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code() == ErrorCode::kInvalidArgument);
    CHECK(cut.error().message().find("it looks cut short") != std::string::npos);
  }
  std::string damaged = packed;
  damaged[packed.size() / 2] = static_cast<char>(damaged[packed.size() / 2] ^ 1);
  CHECK_FALSE(Unpack(damaged));
  CHECK_FALSE(Unpack(packed + "garbage behind it"));
}

TEST_CASE("Compression: the limits hold to the byte", "[core][compression]") {
  const std::string text(100'000, 'a');
  UnpackLimits size;
  for (const std::string& packed : {Gzip(text), Zstd(text)}) {
    size.bytes_max = text.size();
    CHECK(Unpack(packed, size));
    size.bytes_max = text.size() - 1;
    CHECK(Unpack(packed, size).error().code() == ErrorCode::kTooLarge);
  }
  // 100,000 bytes of 1,000 are 10 times as much beyond the first 90,000.
  const std::string padded = Gzip(text, 1000 - Gzip(text, 1).size() + 1);
  REQUIRE(padded.size() == 1000);
  UnpackLimits ratio;
  ratio.ratio_max = 10;
  ratio.free_bytes = 90'000;
  CHECK(Unpack(padded, ratio));
  ratio.free_bytes = 89'999;
  CHECK(Unpack(padded, ratio).error().code() == ErrorCode::kTooLarge);
}

TEST_CASE("Compression: a zstd window beyond its limit is refused", "[core][compression]") {
  const std::string text = ManyLines(600'000);  // More than 8 MiB: a frame of less has no larger window.
  UnpackLimits limits;
  limits.zstd_window_log_max = 23;
  CHECK(Unpack(Zstd(text, 23), limits, 1 << 20));
  const auto refused = Unpack(Zstd(text, 24), limits);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find("8 MiB") != std::string::npos);
}

TEST_CASE("Compression: names, and first bytes", "[core][compression]") {
  CHECK(WithoutCompression("a.csv.gz") == "a.csv");
  CHECK(WithoutCompression("a.csv.ZST") == "a.csv");
  CHECK(WithoutCompression("a.csv") == "a.csv");
  CHECK(WithoutCompression(".gz").empty());
  CHECK(CompressionOf("\x1f") == Compression::kNone);
  CHECK(CompressionOf("path,hash") == Compression::kNone);
  CHECK(ManifestFormatOf("m.stage.CSV.gz") == ManifestFormat::kCsv);
  CHECK(ManifestFormatOf("m.zst") == ManifestFormat::kSniff);
}

TEST_CASE("Manifest: compressed, it says the same; a bomb is refused by its ratio", "[core][manifest][compression]") {
  Scene scene;
  const std::string hash = scene.Put("a");
  const std::string lines = hash + "  x\n" + hash + "  d/y\n";
  for (const std::string& packed : {Gzip(lines), Zstd(lines), Gzip(hash + "  x\n") + Gzip(hash + "  d/y\n")}) {
    CHECK(scene.StageManifest(packed).refused.size() == 0);
    CHECK(scene.StatusLines() == Lines{"A  d/y", "A  x"});
    Ok(scene.workspace().Unstage({RepoPath()}).WithoutValue());
  }
  std::string bomb;
  while (bomb.size() < kManifestFreeBytes * 2) bomb += '\n';
  const auto source = NewStringSource(bomb = Gzip(bomb + lines));
  const auto read = ReadManifest(*source, ManifestFormat::kSum, {}, [](auto&, auto) { return Status(); });
  REQUIRE_FALSE(read);
  CHECK(read.error().code() == ErrorCode::kTooLarge);
  CHECK(read.error().message().find("200 times") != std::string::npos);
}

}  // namespace stagefs::test
