// What kind of body a request has.
#pragma once

#include <string>

#include "http_message.h"
#include "stagefs/compression.h"
#include "stagefs/manifest.h"
#include "stagefs/result.h"

namespace stagefs {

// "Application/JSON; charset=utf-8" → "application/json"; "" where none was sent.
std::string MediaTypeOf(const HttpRequest& request);
// application/json, and others that end in +json.
bool IsJson(const std::string& media_type);
// Of a body that is a manifest: JSON, NDJSON, CSV or TSV by its media type; kSniff for any other.
ManifestFormat ManifestFormatOf(const HttpRequest& request);
// Any multipart/….
bool IsForm(const HttpRequest& request);
// Of Content-Encoding: gzip, x-gzip, zstd, or none. kInvalidArgument for any other, and for several.
Result<Compression> ContentCodingOf(const HttpRequest& request);

}  // namespace stagefs
