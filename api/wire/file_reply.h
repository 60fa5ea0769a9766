// Answers with the bytes of files: ranges (RFC 9110, 14.2) and validators.
#pragma once

#include <string_view>

#include "http_message.h"
#include "stagefs/staging_index.h"
#include "stagefs/version_store.h"

namespace stagefs {

// The bytes of a version, whole or the one range the request asks for.
Result<HttpResponse> BytesReply(const HttpRequest& request, const VersionInfo& version,
                                const VersionReader& bytes, std::string_view content_type);
// `size_bytes` of `fd` (of which the answer keeps its own) from `offset` on. What a browser might run is an attachment.
Result<HttpResponse> FileReply(int fd, uint64_t offset, uint64_t size_bytes, std::string_view content_type);

}  // namespace stagefs
