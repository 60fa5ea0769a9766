// What an Error is to an HTTP client.
#pragma once

#include "stagefs/result.h"

namespace stagefs {

unsigned ToHttpStatus(ErrorCode code);
// The `status_message` Oxen's clients know for that status.
const char* StatusMessageOf(unsigned http_status);

}  // namespace stagefs
