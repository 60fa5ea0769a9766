#include "media_type.h"
#include "stagefs/text.h"

#include <algorithm>
#include <cctype>

namespace stagefs {

std::string MediaTypeOf(const HttpRequest& request) {
  std::string type = request.Header("content-type");
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.pop_back();
  return ToLowerAscii(type);
}

bool IsJson(const std::string& media_type) {
  const size_t slash = media_type.find('/');
  if (slash == std::string::npos) return false;
  const std::string subtype = media_type.substr(slash + 1);
  return subtype == "json" || subtype.ends_with("+json");
}

ManifestFormat ManifestFormatOf(const HttpRequest& request) {
  const std::string type = MediaTypeOf(request);
  if (IsJson(type)) return ManifestFormat::kJson;
  if (type == "application/x-ndjson" || type == "application/ndjson" || type == "application/jsonl") {
    return ManifestFormat::kNdjson;
  }
  if (type == "text/csv") return ManifestFormat::kCsv;
  return type == "text/tab-separated-values" ? ManifestFormat::kTsv : ManifestFormat::kSniff;
}

Result<Compression> ContentCodingOf(const HttpRequest& request) {
  const std::string coding = ToLowerAscii(request.Header("content-encoding"));
  if (coding.empty() || coding == "identity") return Compression::kNone;
  if (coding == "gzip" || coding == "x-gzip") return Compression::kGzip;
  if (coding == "zstd") return Compression::kZstd;
  return Error(ErrorCode::kInvalidArgument, "of content codings gzip and zstd are understood, one at a time");
}

bool IsForm(const HttpRequest& request) { return MediaTypeOf(request).starts_with("multipart/"); }

}  // namespace stagefs
