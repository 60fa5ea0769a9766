// The formats of manifests, each read by a function of its own; manifest.cc tells them apart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "stagefs/byte_source.h"
#include "stagefs/manifest.h"
#include "stagefs/text.h"

namespace stagefs {

constexpr size_t kManifestBufferBytes = 128 << 10;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

using VisitEntry = std::function<Status(const ManifestOptions&, ManifestEntry)>;

Error MalformedManifest(const std::string& why);

// JSON: an array of entries, an object with `entries`, or one entry a line. `known`: options from outside.
Result<ManifestOptions> ReadJsonManifest(RewindableSource& source, const ManifestOptions& known,
                                         ManifestFormat format, const VisitEntry& visit);
// Checksum lines.
Status ReadSums(RewindableSource& source, const ManifestOptions& options, const VisitEntry& visit);
// CSV and TSV. Returns the options with what the header decided.
Result<ManifestOptions> ReadTable(RewindableSource& source, char separator, const ManifestOptions& options,
                                  const VisitEntry& visit);

// Whether a first line can be the header of a table that `separator` separates.
bool LooksLikeHeader(std::string_view line, char separator);
// Whether `hash` is written in full, so that nothing of it was cut off: 64 digits, or 32 where it can be no SHA-256.
bool IsWholeHash(std::string_view hash, bool is_xxh3);

// Splits the source at `end` bytes. Lines are bounded. A byte order mark before the first one is passed over.
class LineReader {
 public:
  explicit LineReader(ByteSource& source) : source_(source), buffer_(kManifestBufferBytes) {}

  // False at the end of the source. A last line without its end is a line, too: see cut().
  Result<bool> Next(std::string* line, char end);
  // The number of the line that came last, from 1.
  int64_t number() const { return number_; }
  // It had no end.
  bool cut() const { return cut_; }

 private:
  ByteSource& source_;
  std::vector<char> buffer_;
  size_t begin_ = 0, size_ = 0;
  int64_t number_ = 0;
  bool cut_ = false;
};

}  // namespace stagefs
