// Answers that several routes give.
#pragma once

#include <string>
#include <string_view>

#include "server/http_message.h"
#include "stagefs/staging_index.h"

namespace stagefs {

class VersionReader;

HttpResponse JsonReply(unsigned status, std::string body);
// 200 with nothing but a status_message.
HttpResponse StatusReply(std::string_view message);
HttpResponse BadRequest(std::string_view detail);
// A 400 whose text is the status_message, as some of Oxen's routes answer.
HttpResponse BadStatus(unsigned status, std::string_view message);
HttpResponse NoSuchRoute();
HttpResponse NotFoundReply(std::string_view title, std::string_view detail);
// What an error of core means here. Details of trouble inside go to the log, not to the client: they may name
// paths of this machine.
HttpResponse ErrorReply(const Error& error);

// The bytes of a version, whole or the one range the request asks for (RFC 9110, 14.2), with validators.
HttpResponse BytesReply(const HttpRequest& request, const VersionInfo& version, const VersionReader& bytes,
                        std::string_view content_type);
// `size_bytes` of `fd` (of which the answer keeps its own) from `offset` on.
HttpResponse FileReply(int fd, uint64_t offset, uint64_t size_bytes, std::string_view content_type);

}  // namespace stagefs
