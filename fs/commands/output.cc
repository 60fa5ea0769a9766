#include "output.h"

#include <cstdio>

#include "stagefs/posix_env.h"

namespace stagefs {

Status PrintOut(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return {};
  return ErrnoError("write to standard output");
}

ExitStatus Report(const Error& error) {
  std::fprintf(stderr, "stagefs: %s\n", error.message().c_str());
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNameTooLong:
    case ErrorCode::kTooLarge:
    case ErrorCode::kNotDirectory:
    case ErrorCode::kIsDirectory:
    case ErrorCode::kPermission: return kExitUsage;
    case ErrorCode::kNotFound: return kExitNotFound;
    case ErrorCode::kExists:
    case ErrorCode::kNotEmpty:
    case ErrorCode::kConflict:
    case ErrorCode::kBusy:
    case ErrorCode::kStale: return kExitConflict;
    case ErrorCode::kReadOnly:
    case ErrorCode::kNoSpace:
    case ErrorCode::kUnsupported:
    case ErrorCode::kCrossDevice:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kInterrupted: return kExitTrouble;
  }
  return kExitTrouble;
}

ExitStatus Done(const Status& status) { return status ? kExitOk : Report(status.error()); }

}  // namespace stagefs
