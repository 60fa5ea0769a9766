// What error codes are called where a program reads them.
#pragma once

#include "stagefs/result.h"

namespace stagefs {

// "not_found" for kNotFound.
const char* NameOf(ErrorCode code);

}  // namespace stagefs
