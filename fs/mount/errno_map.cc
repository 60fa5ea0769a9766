#include "errno_map.h"

#include <cerrno>

namespace stagefs {

// Only the text of strerror() reaches most people, so the value is chosen by how that reads.
int ToErrno(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return EINVAL;
    case ErrorCode::kNotFound: return ENOENT;
    case ErrorCode::kExists: return EEXIST;
    case ErrorCode::kNotDirectory: return ENOTDIR;
    case ErrorCode::kIsDirectory: return EISDIR;
    case ErrorCode::kNotEmpty: return ENOTEMPTY;
    case ErrorCode::kNameTooLong: return ENAMETOOLONG;
    case ErrorCode::kTooLarge: return EFBIG;
    case ErrorCode::kConflict: return EIO;
    case ErrorCode::kPermission: return EPERM;
    case ErrorCode::kReadOnly: return EROFS;
    case ErrorCode::kNoSpace: return ENOSPC;
    case ErrorCode::kBusy: return EBUSY;
    case ErrorCode::kStale: return ESTALE;
    case ErrorCode::kUnsupported: return EOPNOTSUPP;
    case ErrorCode::kCrossDevice: return EXDEV;
    case ErrorCode::kCorrupt: return EIO;
    case ErrorCode::kIo: return EIO;
    case ErrorCode::kInterrupted: return EINTR;
  }
  return EIO;
}

}  // namespace stagefs
