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

Result<Compression> ContentCodingOf(const HttpRequest& request) {
  const std::string coding = ToLowerAscii(request.Header("content-encoding"));
  if (coding.empty() || coding == "identity") return Compression::kNone;
  if (coding == "gzip" || coding == "x-gzip") return Compression::kGzip;
  if (coding == "zstd") return Compression::kZstd;
  return Error(ErrorCode::kInvalidArgument, "of content codings gzip and zstd are understood, one at a time");
}

bool IsForm(const HttpRequest& request) { return MediaTypeOf(request).starts_with("multipart/"); }

}  // namespace stagefs
