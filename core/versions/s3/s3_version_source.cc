#include "s3_version_source.h"

#include "versions/version_file.h"

namespace stagefs {

std::string S3VersionSource::KeyOf(const Sha256& hash) {
  const std::string hex = ToHex(hash);
  return hex.substr(0, 2) + '/' + hex;
}

Error S3VersionSource::Missing(const Sha256& hash) {
  return Error(ErrorCode::kNotFound, "version " + ToHex(hash) + ": no such version");
}

Result<std::unique_ptr<VersionReader>> S3VersionSource::Open(const Sha256& hash) const {
  return OpenCopy(*this, hash, incoming_);
}

Status S3VersionSource::CopyTo(const Sha256& hash, int fd) const {
  const auto size_bytes = s3_.Get(KeyOf(hash), fd);
  if (!size_bytes && size_bytes.error().code() == ErrorCode::kNotFound) return Missing(hash);
  return size_bytes.WithoutValue();
}

Result<Presence> S3VersionSource::Locate(const Sha256& hash) const {
  STAGEFS_ASSIGN_OR_RETURN(const auto there, s3_.Head(KeyOf(hash)));
  return there ? Presence::kElsewhere : Presence::kNowhere;
}

}  // namespace stagefs
