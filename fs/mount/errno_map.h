// What an Error is to a program that calls the kernel.
#pragma once

#include "stagefs/result.h"

namespace stagefs {

// A positive errno value.
int ToErrno(ErrorCode code);

}  // namespace stagefs
