// Answers with a body of JSON.
#pragma once

#include <string>
#include <string_view>

#include "http_message.h"

namespace stagefs {

HttpResponse JsonReply(unsigned status, std::string body);
// 200 with nothing but a status_message.
HttpResponse StatusReply(std::string_view message);

}  // namespace stagefs
