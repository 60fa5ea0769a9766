#include "stagefs/manifest.h"

#include <array>

#include "manifest_formats.h"
#include "stagefs/compression.h"

namespace stagefs {
namespace {

struct Foreign {
  std::string_view magic, what;
};
// What people take for a manifest, by its first bytes.
constexpr std::array<Foreign, 9> kForeign = {{{"PK\x03\x04", "it is a zip or xlsx file: export it as CSV"},
                                              {"\xff\xfe", "it is in UTF-16: save it as UTF-8"},
                                              {"\xfe\xff", "it is in UTF-16: save it as UTF-8"},
                                              {"\x1f\x8b", "it is compressed twice"},
                                              {"\x28\xb5\x2f\xfd", "it is compressed twice"},
                                              {"BZh", "it is compressed with bzip2: use gzip or zstd"},
                                              {"\xfd" "7zXZ", "it is compressed with xz: use gzip or zstd"},
                                              {"\x04\x22\x4d\x18", "it is compressed with lz4: use gzip or zstd"},
                                              {"PAR1", "it is a Parquet file: export it as CSV"}}};

constexpr size_t kProbeBytes = 4096;

// The first bytes of `source`, which is rewound.
Result<std::string> Probe(RewindableSource& source) {
  std::string probe(kProbeBytes, '\0');
  STAGEFS_RETURN_IF_ERROR(source.Rewind());
  STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(probe.data(), probe.size()));
  STAGEFS_RETURN_IF_ERROR(source.Rewind());
  probe.resize(got);
  return probe;
}

bool IsHex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

// JSON begins with a bracket; the header of a table names the columns; a checksum line has its hash or algorithm before
// the first space.
Result<ManifestFormat> Sniff(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return MalformedManifest("it is empty");
  if (text[start] == '[' || text[start] == '{') return ManifestFormat::kJson;
  // The first line that is not blank.
  const size_t begin = text.rfind('\n', start);
  text.remove_prefix(begin == std::string_view::npos ? 0 : begin + 1);
  // Where lines end in NUL, names may have newlines.
  const std::string_view to_nul = text.substr(0, text.find('\0'));
  const bool has_nul = to_nul.size() < text.size();
  text = to_nul.substr(0, to_nul.find('\n'));
  if (LooksLikeHeader(text, '\t')) return ManifestFormat::kTsv;
  if (LooksLikeHeader(text, ',')) return ManifestFormat::kCsv;
  if (has_nul) text = to_nul;
  if (text.starts_with('\\') || text.find(") = ") != std::string_view::npos) return ManifestFormat::kSum;
  const std::string_view first = text.substr(0, text.find(' '));
  const bool hash = first.size() < text.size() &&
                    (IsHex(first) || first.starts_with("sha256:") || first.starts_with("xxh"));
  const std::string_view rest = text.substr(first.size());
  const bool two_apart = rest.starts_with("  ") || rest.starts_with(" *");
  if (hash && (two_apart || text.find_first_of(",\t") == std::string_view::npos)) return ManifestFormat::kSum;
  if (text.find('\t') != std::string_view::npos) return ManifestFormat::kTsv;
  if (text.starts_with('#') && text.find(',') == std::string_view::npos) return ManifestFormat::kSum;
  if (text.find(',') != std::string_view::npos) return ManifestFormat::kCsv;
  return MalformedManifest("neither JSON nor checksum lines nor a table with the columns 'hash' and 'path'");
}

}  // namespace

Error MalformedManifest(const std::string& why) { return Error(ErrorCode::kInvalidArgument, "manifest: " + why); }

ManifestFormat ManifestFormatOf(std::string_view name) {
  const std::string lower = ToLowerAscii(WithoutCompression(name));
  if (lower.ends_with(".json")) return ManifestFormat::kJson;
  if (lower.ends_with(".ndjson") || lower.ends_with(".jsonl")) return ManifestFormat::kNdjson;
  if (lower.ends_with(".sum")) return ManifestFormat::kSum;
  if (lower.ends_with(".csv")) return ManifestFormat::kCsv;
  if (lower.ends_with(".tsv")) return ManifestFormat::kTsv;
  return ManifestFormat::kSniff;
}

bool IsAtomicName(std::string_view name) { return name.find(".atomic.") != std::string_view::npos; }

Result<ManifestOptions> ReadManifest(RewindableSource& sent, ManifestFormat format, const ManifestOptions& options,
                                     const VisitEntry& visit) {
  STAGEFS_ASSIGN_OR_RETURN(std::string text, Probe(sent));
  const Compression compression = CompressionOf(text);
  UnpackLimits limits;
  limits.ratio_max = kManifestRatioMax;
  limits.free_bytes = kManifestFreeBytes;
  const auto unpacked = NewUnpackedSource(sent, compression, limits, "manifest");
  RewindableSource& source = compression == Compression::kNone ? sent : *unpacked;
  if (compression != Compression::kNone) {
    STAGEFS_ASSIGN_OR_RETURN(text, Probe(source));
  }
  for (const Foreign& foreign : kForeign) {
    if (text.starts_with(foreign.magic)) return MalformedManifest(std::string(foreign.what));
  }
  if (format == ManifestFormat::kSniff) {
    STAGEFS_ASSIGN_OR_RETURN(format, Sniff(text));
  }
  switch (format) {
    case ManifestFormat::kSniff:
    case ManifestFormat::kJson:
    case ManifestFormat::kNdjson: return ReadJsonManifest(source, options, format, visit);
    case ManifestFormat::kSum: STAGEFS_RETURN_IF_ERROR(ReadSums(source, options, visit)); return options;
    case ManifestFormat::kCsv: return ReadTable(source, ',', options, visit);
    case ManifestFormat::kTsv: return ReadTable(source, '\t', options, visit);
  }
  return options;
}

}  // namespace stagefs
