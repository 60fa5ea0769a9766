// Versions that are objects of a bucket, each time read from there.
#pragma once

#include <string>

#include "s3_client.h"
#include "stagefs/version_source.h"

namespace stagefs {

// Each Open() brings the whole object, into a file of `incoming` that has no name any more.
class S3VersionSource : public VersionSource {
 public:
  // `s3` must outlive it.
  S3VersionSource(S3Client& s3, std::string incoming) : s3_(s3), incoming_(std::move(incoming)) {}

  // ab/abcdef…
  static std::string KeyOf(const Sha256& hash);
  static Error Missing(const Sha256& hash);

  Result<std::unique_ptr<VersionReader>> Open(const Sha256& hash) const override;
  Status CopyTo(const Sha256& hash, int fd) const override;
  Result<Presence> Locate(const Sha256& hash) const override;
  bool IsElsewhere() const override { return true; }

 private:
  S3Client& s3_;
  const std::string incoming_;
};

}  // namespace stagefs
