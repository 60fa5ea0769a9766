#include "stagefs/error_names.h"

namespace stagefs {

const char* NameOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kExists: return "exists";
    case ErrorCode::kNotDirectory: return "not_a_directory";
    case ErrorCode::kIsDirectory: return "is_a_directory";
    case ErrorCode::kNotEmpty: return "not_empty";
    case ErrorCode::kNameTooLong: return "name_too_long";
    case ErrorCode::kTooLarge: return "too_large";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kPermission: return "permission";
    case ErrorCode::kReadOnly: return "read_only";
    case ErrorCode::kNoSpace: return "no_space";
    case ErrorCode::kBusy: return "busy";
    case ErrorCode::kStale: return "stale";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kCrossDevice: return "cross_device";
    case ErrorCode::kCorrupt: return "corrupt";
    case ErrorCode::kIo: return "io";
    case ErrorCode::kInterrupted: return "interrupted";
  }
  return "unknown";
}

}  // namespace stagefs
