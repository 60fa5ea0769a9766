// What kind of body a request has.
#pragma once

#include <string>

#include "http_message.h"

namespace stagefs {

// "Application/JSON; charset=utf-8" → "application/json"; "" where none was sent.
std::string MediaTypeOf(const HttpRequest& request);
// application/json, and others that end in +json.
bool IsJson(const std::string& media_type);
// Any multipart/….
bool IsForm(const HttpRequest& request);

}  // namespace stagefs
