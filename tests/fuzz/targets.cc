// What reads bytes that strangers send: each target is fed arbitrary ones and must answer, not crash, leak or
// loop.
//
// FUZZ_TARGET names the target. With clang's libFuzzer (`make fuzz`) the bytes are found by coverage; without
// it
// (`make test`) the program runs the files of tests/fuzz/corpus/TARGET/ that its arguments name.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "api/server/token.h"
#include "api/wire/multipart.h"
#include "api/wire/read_text.h"
#include "api/wire/wire_object.h"
#include "stagefs/byte_source.h"
#include "stagefs/compression.h"
#include "stagefs/uri.h"
#include "stagefs/content_hash.h"
#include "stagefs/manifest.h"
#include "stagefs/repo_path.h"

namespace stagefs {
namespace {

void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void FuzzManifest(std::string_view bytes, ManifestFormat format) {
  const auto source = NewStringSource(bytes);
  size_t entries = 0, told = 0;
  const auto read = ReadManifest(*source, format, {}, [&](const ManifestOptions&, ManifestEntry entry) -> Status {
    ++entries;
    told += entry.hash.size() + entry.path.size();
    return {};
  });
  Require(read || !read.error().message().empty(), "a refusal says why");
  const size_t unpacked = CompressionOf(bytes) == Compression::kNone
                              ? bytes.size()
                              : bytes.size() * kManifestRatioMax + kManifestFreeBytes;
  Require(entries <= unpacked + 1, "no more entries than bytes");
  Require(told <= 8 * unpacked + 64 * entries, "entries are made of what was sent");
}

void FuzzPath(std::string_view bytes) {
  const auto path = RepoPath::Parse(std::string(bytes));
  if (!path) return;
  for (const std::string_view name : path->components()) {
    Require(!name.empty() && name != "." && name != "..", "a component is a name");
    Require(name.size() <= kNameBytesMax, "a name is short enough");
    Require(name.find('\0') == std::string_view::npos && name.find('/') == std::string_view::npos,
            "a name has no NUL and no slash");
  }
  const auto again = RepoPath::Parse(path->str());
  Require(again && again->str() == path->str(), "a path that was read is read as itself");
}

void FuzzHash(std::string_view bytes) {
  const auto hash = HashRef::Parse(bytes);
  if (!hash) return;
  const auto again = HashRef::Parse(hash->ToString());
  Require(again && again->ToString() == hash->ToString(), "a hash that was read is read as itself");
}

void FuzzJson(std::string_view bytes) {
  (void)ParseTexts(bytes);
  const auto object = WireObject::Parse(bytes);
  if (!object) return;
  (void)object->Text("path");
  (void)object->OptionalNumber("size");
  (void)object->Flag("atomic");
  if (const auto objects = object->Objects("entries")) {
    for (const WireObject& one : *objects) (void)one.OptionalText("hash");
  }
  (void)object->OptionalObject("author");
}

void FuzzMultipart(std::string_view bytes) {
  const auto source = NewStringSource(bytes);
  constexpr uint64_t kUnpackedMax = 1 << 20;
  uint64_t got = 0;
  (void)ReadMultipart(*source, "multipart/form-data; boundary=XYZ", kUnpackedMax,
                      [&](const Part&, ByteSource& part) -> Status {
                        const auto text = ReadMaybeGzip(part, 1 << 16);
                        if (text) got += text->size();
                        return text.WithoutValue();
                      });
  Require(got <= kUnpackedMax + (1 << 16) * (bytes.size() / 4 + 1), "parts unpack to no more than may be");
}

void FuzzTarget(std::string_view bytes) {
  const auto target = ParseTarget(bytes);
  if (target) {
    for (const std::string& segment : target->segments)
      Require(segment.size() <= bytes.size(), "decoding shortens");
  }
  (void)DecodePercent(bytes);
  (void)ParseDuration(std::string(bytes));
}

void FuzzToken(std::string_view bytes) {
  static const Tokens tokens = [] {
    char folder[] = "/tmp/stagefs-fuzz-XXXXXX";
    Require(mkdtemp(folder) != nullptr, "a folder for the secret");
    auto opened = Tokens::Open(folder);
    Require(static_cast<bool>(opened), "a secret");
    std::remove((std::string(folder) + "/secret").c_str());
    std::remove(folder);
    return std::move(*opened);
  }();
  Require(!tokens.Check(bytes), "nobody guesses a signature");
}

int Run(std::string_view bytes) {
  const char* name = std::getenv("FUZZ_TARGET");
  const std::string target = name != nullptr ? name : "";
  if (target == "sniff") FuzzManifest(bytes, ManifestFormat::kSniff);
  else if (target == "json") FuzzManifest(bytes, ManifestFormat::kJson);
  else if (target == "ndjson") FuzzManifest(bytes, ManifestFormat::kNdjson);
  else if (target == "sum") FuzzManifest(bytes, ManifestFormat::kSum);
  else if (target == "csv") FuzzManifest(bytes, ManifestFormat::kCsv);
  else if (target == "tsv") FuzzManifest(bytes, ManifestFormat::kTsv);
  else if (target == "path") FuzzPath(bytes);
  else if (target == "hash") FuzzHash(bytes);
  else if (target == "body") FuzzJson(bytes);
  else if (target == "multipart") FuzzMultipart(bytes);
  else if (target == "request") FuzzTarget(bytes);
  else if (target == "token") FuzzToken(bytes);
  else
    Require(false,
            "FUZZ_TARGET is one of sniff, json, ndjson, sum, csv, tsv, path, hash, body, multipart, request, "
            "token");
  return 0;
}

}  // namespace
}  // namespace stagefs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return stagefs::Run({reinterpret_cast<const char*>(data), size});
}

#ifndef STAGEFS_LIBFUZZER
int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  std::printf("%d inputs\n", argc - 1);
  return 0;
}
#endif
