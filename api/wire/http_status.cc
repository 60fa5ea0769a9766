#include "http_status.h"

namespace stagefs {

unsigned ToHttpStatus(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return 400;
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kExists: return 409;
    case ErrorCode::kNotDirectory: return 400;
    case ErrorCode::kIsDirectory: return 400;
    case ErrorCode::kNotEmpty: return 409;
    case ErrorCode::kNameTooLong: return 400;
    case ErrorCode::kTooLarge: return 413;
    case ErrorCode::kConflict: return 409;
    case ErrorCode::kPermission: return 403;
    case ErrorCode::kReadOnly: return 500;
    case ErrorCode::kNoSpace: return 507;
    case ErrorCode::kBusy: return 503;
    case ErrorCode::kStale: return 404;
    case ErrorCode::kUnsupported: return 501;
    case ErrorCode::kCrossDevice: return 400;
    case ErrorCode::kCorrupt: return 500;
    case ErrorCode::kIo: return 500;
    case ErrorCode::kInterrupted: return 503;
  }
  return 500;
}

const char* StatusMessageOf(unsigned http_status) {
  switch (http_status) {
    case 401: return "unauthenticated";
    case 404: return "resource_not_found";
    case 409:
    case 422: return "conflict";
    case 426: return "update_required";
    case 501: return "not_implemented";
    case 503: return "too_many_requests";
    default: return http_status < 500 ? "bad_request" : "internal_server_error";
  }
}

}  // namespace stagefs
